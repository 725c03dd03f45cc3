"""What the syntax tree says about a piece of code: does it parse, which names does it bind and need.

Guarantees that code is never run and that no input raises: what does not parse is None or empty.
"""

import ast
import builtins
import re
import symtable
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

MAX_SOURCE_CHARS = 400_000
_STATEMENT = re.compile(r"^(?:@.*\n)*(?:def|class|import|from)[ ]\w", re.MULTILINE)
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


@lru_cache(maxsize=512)
def parse_module(source: str) -> ast.Module | None:
    """Return the tree of code that compiles, else None; equal code shares one tree, which nobody changes."""
    if len(source) > MAX_SOURCE_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            compile(tree, "<draft>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


def is_broken_start(text: str) -> bool:
    """Tell whether no continuation of a text can parse: what stands before its last statement does not.

    Only a line that opens a definition or an import counts as the next statement.
    """
    starts = [match.start() for match in _STATEMENT.finditer(text)]
    return bool(starts) and starts[-1] > 0 and parse_module(text[: starts[-1]]) is None


@lru_cache(maxsize=512)
def names_of(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that code binds at module level, and those it needs from elsewhere.

    Builtins are left out. Code that does not parse binds and needs nothing.
    """
    if parse_module(source) is None:
        return frozenset(), frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = symtable.symtable(source, "<draft>", "exec")
    bound: set[str] = set()
    used: set[str] = set()
    for table in _tables(top):
        for symbol in table.get_symbols():
            outside = table is top or symbol.is_global()
            if not outside:
                continue
            if symbol.is_assigned() or symbol.is_imported():
                bound.add(symbol.get_name())
            if symbol.is_referenced():
                used.add(symbol.get_name())
    return frozenset(bound), frozenset(used - bound - _BUILTINS)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def functions_of(tree: ast.Module) -> tuple[str, ...]:
    """List the functions that a module defines at its top level."""
    return tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def config_class(source: str) -> ast.ClassDef | None:
    """Return the class `Config` of a section, or None."""
    tree = parse_module(source)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == "Config":
            return node
    return None


def config_fields(source: str) -> dict[str, ast.expr | None]:
    """Return the fields of `Config` with the expression of their default, in their order."""
    node = config_class(source)
    return {
        item.target.id: item.value
        for item in (node.body if node else ())
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


def config_defaults(source: str) -> dict[str, Any]:
    """Return the fields of `Config` whose default is a literal, with its value."""
    defaults: dict[str, Any] = {}
    for name, value in config_fields(source).items():
        try:
            defaults[name] = ast.literal_eval(value) if value is not None else None
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return defaults


@lru_cache(maxsize=512)
def config_uses(source: str) -> frozenset[str]:
    """Return the attributes that code reads from a variable called `config`."""
    tree = parse_module(source)
    return frozenset(
        node.attr
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "config"
        and not node.attr.startswith("__")
    )


def unpack_pattern(source: str, function: str) -> tuple[str, ...]:
    """Return the shapes, names left out, into which code unpacks the result of `function(...)`."""
    tree = parse_module(source)
    patterns = []
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Name) and called.id == function:
                patterns += [_shape(target) for target in node.targets]
    return tuple(sorted(set(patterns)))


def _shape(target: ast.expr) -> str:
    if isinstance(target, ast.Tuple):
        return f"({','.join(_shape(item) for item in target.elts)})"
    return "_"
