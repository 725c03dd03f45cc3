"""The import section: which statements a script needs, united from several drafts.

Guarantees that a section which already has exactly what is needed stays as it is, byte for byte.
"""

import ast
import sys
from collections.abc import Mapping, Sequence

from dlcodegen_local.generation.syntax import names_of, parse_module

# What code of this contract means by a name that nobody imported.
_USUAL = {
    "np": "import numpy as np",
    "tf": "import tensorflow as tf",
    "keras": "import keras",
    "layers": "from keras import layers",
    "ops": "from keras import ops",
    "Path": "from pathlib import Path",
    **{
        name: f"import {name}"
        for name in (
            "argparse",
            "collections",
            "csv",
            "dataclasses",
            "json",
            "math",
            "os",
            "random",
            "re",
            "string",
            "wave",
        )
    },
    "dataclass": "from dataclasses import dataclass",
}


def is_imports_only(body: str) -> bool:
    """Tell whether code consists of absolute import statements that name what they import."""
    tree = parse_module(body)
    return tree is not None and all(_is_plain_import(node) for node in tree.body)


def _is_plain_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and all(alias.name != "*" for alias in node.names)
    return isinstance(node, ast.Import)


def complete_imports(bodies: Mapping[str, str], others: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the import section that the other sections need, and the names that were added to it.

    What the section lacks comes from the import sections in `others`, in their order, then from what
    is usual. Imports that nothing needs are dropped.
    """
    own = bodies.get("imports", "")
    if own and not is_imports_only(own):
        return own, ()
    needed: set[str] = set()
    bound: set[str] = set()
    for name, body in bodies.items():
        if name != "imports":
            found, used = names_of(body)
            bound |= found
            needed |= used
    needed -= bound
    table = _statements(own)
    if set(table) == needed:
        return own, ()
    known = dict(_USUAL)
    for body in reversed(others):
        known.update(_statements(body))
    statements = {name: table.get(name) or known.get(name) for name in sorted(needed)}
    added = tuple(name for name, text in statements.items() if text and name not in table)
    wanted = [text for text in statements.values() if text]
    if not added and set(table) <= needed:
        return own, ()
    return _layout(wanted), added


def _statements(body: str) -> dict[str, str]:
    """Map every name that an import section binds to a statement that binds it."""
    tree = parse_module(body) if is_imports_only(body) else None
    table: dict[str, str] = {}
    for node in tree.body if tree else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                single = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                if isinstance(node, ast.ImportFrom):
                    table[name] = f"from {node.module} import {single}"
                else:
                    table[name.split(".")[0]] = f"import {single}"
    return table


def _layout(statements: Sequence[str]) -> str:
    """Return the statements in two blocks, the standard library first; `import` before `from`."""
    standard: list[str] = []
    others: list[str] = []
    for statement in sorted(set(statements), key=lambda text: (text.startswith("from"), text.lower())):
        module = statement.split()[1].split(".")[0]
        (standard if module in sys.stdlib_module_names else others).append(statement)
    return "\n\n".join("\n".join(block) for block in (standard, others) if block)
