"""A finished program as a project: one script source, cut at its markers into the three layouts.

Guarantees the same input gives the same bytes (no clock, no absolute path), and that every layout
holds the same code. Imports between modules are computed from names.
"""

import ast
import itertools
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from dlcodegen_local.project.definition import Project
from dlcodegen_local.project.readme import render_readme
from dlcodegen_local.sections import Sections

MODULES = ("config", "data", "model", "train", "evaluate", "predict")
LAYOUTS = ("project", "script", "notebook")
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "keras": "keras",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
    "torch": "torch",
    "torchvision": "torchvision",
}
_ENTRY_POINTS = {
    "train": "    print(train(parse_config()))",
    "evaluate": "    print(evaluate(parse_config()))",
    "predict": "    print(predict(parse_config()).shape)",
}
_NOTEBOOK_RUN = """config = parse_config([])
# config.synthetic = True  # no data at hand: make some
print(train(config))
print(evaluate(config))
print(predict(config).shape)"""
_SMOKE_TEST = '''"""Train, evaluate and predict once on synthetic data."""

import math
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from config import parse_config
from evaluate import evaluate
from predict import predict
from train import train


class SmokeTest(unittest.TestCase):
    """Run the whole project on a few synthetic items."""

    def test_trains_evaluates_and_predicts(self):
        with tempfile.TemporaryDirectory() as folder:
            config = parse_config(
                ["--synthetic", "--epochs", "1", "--synthetic-samples", "16", "--batch-size", "4"]
                + ["--data-dir", f"{folder}/data", "--output-dir", f"{folder}/outputs"]
            )
            self.assertTrue(math.isfinite(train(config)["loss"]))
            self.assertTrue(evaluate(config))
            self.assertGreater(len(predict(config)), 0)


if __name__ == "__main__":
    unittest.main()
'''


def render_project(project: Project, layout: str) -> dict[str, str]:
    """Return the files of a layout: relative path to text."""
    sections = Sections.parse(project.source)
    if layout == "script":
        code = {"project.py": project.source}
    elif layout == "notebook":
        code = {"project.ipynb": render_notebook(sections)}
    else:
        code = {f"{name}.py": text for name, text in split_modules(sections).items()}
        code["tests/test_smoke.py"] = _licence_line(sections) + _SMOKE_TEST
    return {
        **code,
        "README.md": render_readme(project, layout),
        "plan.json": project.plan.to_json() + "\n",
        "requirements.txt": _requirements(project),
        ".dlcodegen/provenance.json": _json(
            {
                "origin": project.origin,
                "sections": dict(project.provenance),
                "licences": dict(project.licences),
                "pools": dict(project.pools),
            }
        ),
        ".dlcodegen/verification.json": _json(_without_clock(project.verification)),
        ".dlcodegen/run.json": _json(project.record),
    }


def split_modules(sections: Sections) -> dict[str, str]:
    """Return the source of each module of the `project` layout, keyed by module name.

    Raises:
        SyntaxError: a section does not parse.
    """
    pool, bodies = _pooled_imports(sections)
    defined: dict[str, str] = {}
    modules = {}
    for name in MODULES:
        body = bodies.get(name, "")
        entry = _ENTRY_POINTS.get(name, "")
        used = _used_names(body) | ({"parse_config"} if entry else set())
        own = _bound_names(body)
        lines = list(dict.fromkeys(text for node, text in pool if _imports_any(node, used - own)))
        siblings: dict[str, list[str]] = {}
        for used_name in sorted(used - own):
            if used_name in defined:
                siblings.setdefault(defined[used_name], []).append(used_name)
        local = [
            f"from {module} import {', '.join(siblings[module])}" for module in MODULES if module in siblings
        ]
        parts = [_licence_line(sections) + f'"""{_module_title(sections, name)}"""']
        parts += _grouped(_narrow(lines, used))
        parts += ["\n".join(local)] if local else []
        text = "\n\n".join(parts) + "\n\n\n" + body.strip() + "\n"
        if entry:
            text += f'\n\nif __name__ == "__main__":\n{entry}\n'
        modules[name] = text
        defined.update(dict.fromkeys(own, name))
    return modules


def render_notebook(sections: Sections) -> str:
    """Return a valid `.ipynb` (nbformat 4.5): the docstring as Markdown, one code cell a section."""
    cells = [_cell("markdown", "about", sections.docstring)]
    for name in ("imports", *MODULES):
        if body := sections.bodies.get(name, "").strip():
            cells.append(_cell("code", name, body))
    cells.append(_cell("code", "run", _NOTEBOOK_RUN))
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return _json(notebook)


def _cell(kind: str, name: str, text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": lines}
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell


def _pooled_imports(sections: Sections) -> tuple[list[tuple[ast.stmt, str]], dict[str, str]]:
    """Return all top-level imports, wherever they stand, and the sections' bodies without them.

    What else stands in [imports] opens [config].
    """
    pool: list[tuple[ast.stmt, str]] = []
    bodies: dict[str, str] = {}
    for name in ("imports", *MODULES):
        kept = []
        for node, text in _split_statements(sections.bodies.get(name, "")):
            if _is_import(node):
                pool.append((node, text))
            else:
                kept.append(text)
        bodies[name] = "\n".join(kept).strip("\n")
    if opening := bodies.pop("imports"):
        bodies["config"] = f"{opening}\n\n\n{bodies['config']}"
    return pool, bodies


def _split_statements(body: str) -> list[tuple[ast.stmt, str]]:
    """Return every top-level statement with its text, and with the comments and blank lines above it.

    Lines are cut at newlines alone, as the parser counts them; of statements that share a line, each
    is written anew.
    """
    lines = body.split("\n")
    nodes = ast.parse(body).body
    shared = {
        line
        for first, second in itertools.pairwise(nodes)
        if (line := first.end_lineno or first.lineno) >= _first_line(second)
    }
    statements, start = [], 0
    for node in nodes:
        end = node.end_lineno or node.lineno
        text = "\n".join(lines[start:end])
        if {end, _first_line(node)} & shared:
            text = ast.unparse(node)
        statements.append((node, text.strip("\n") if _is_import(node) else text.rstrip()))
        start = end
    if statements and (comment := "\n".join(lines[start:]).rstrip()):
        node, text = statements[-1]
        statements[-1] = (node, f"{text}\n{comment}")
    return statements


def _first_line(node: ast.stmt) -> int:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return node.lineno


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _imports_any(node: ast.stmt, used: set[str]) -> bool:
    assert isinstance(node, ast.Import | ast.ImportFrom)
    return (isinstance(node, ast.ImportFrom) and node.module == "__future__") or any(
        _bound(alias) in used for alias in node.names
    )


def _narrow(lines: list[str], used: set[str]) -> list[str]:
    """Drop from each import the names that the module does not use."""
    narrowed = []
    for line in lines:
        node = ast.parse(line).body[0]
        assert isinstance(node, ast.Import | ast.ImportFrom)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        kept = [alias for alias in node.names if future or _bound(alias) in used]
        if len(kept) < len(node.names):
            node.names = kept
            line = ast.unparse(node)
        narrowed.append(line)
    return narrowed


def _grouped(lines: list[str]) -> list[str]:
    """Return the imports as up to two paragraphs: the standard library's, then the others."""
    groups: dict[bool, list[str]] = {False: [], True: []}
    for line in lines:
        node = ast.parse(line).body[0]
        module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name  # type: ignore[attr-defined]
        groups[str(module).split(".")[0] not in sys.stdlib_module_names].append(line)
    return ["\n".join(group) for group in groups.values() if group]


def _used_names(body: str) -> set[str]:
    tree = ast.parse(body)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    # annotations may be quoted
    names |= {
        word
        for node in ast.walk(tree)
        if isinstance(node, ast.arg | ast.AnnAssign) and isinstance(node.annotation, ast.Constant)
        for word in re.findall(r"\w+", str(node.annotation.value))
    }
    return names


def _bound_names(body: str) -> set[str]:
    """Return the names that a section binds at module level."""
    bound: set[str] = set()
    for node in ast.parse(body).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        else:
            for child in ast.walk(node):
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    bound.add(child.id)
                elif isinstance(child, ast.Import | ast.ImportFrom):
                    bound |= {_bound(alias) for alias in child.names}
    return bound


def _module_title(sections: Sections, name: str) -> str:
    docstring = sections.docstring.replace("\\", "\\\\").replace('"""', "'''")
    title = docstring.split("\n")[0].rstrip(". ") or "Generated project"
    roles = {
        "config": f"{docstring}\n\nThis module holds the settings; each is an option on the command line.\n"
        if docstring
        else "Settings; each is an option on the command line.",
        "data": f"{title}: reading the data, and making synthetic data.",
        "model": f"{title}: the network.",
        "train": f"{title}: training.",
        "evaluate": f"{title}: measuring the saved model on the test split.",
        "predict": f"{title}: predicting with the saved model.",
    }
    return roles[name]


def _licence_line(sections: Sections) -> str:
    match = re.search(r"^# SPDX-License-Identifier: .+$", sections.header, re.MULTILINE)
    return f"{match.group(0)}\n" if match else ""


def _without_clock(verification: Mapping[str, Any]) -> dict[str, Any]:
    smoke = {key: value for key, value in verification["smoke"].items() if key != "seconds"}
    return {**verification, "smoke": smoke}


def _requirements(project: Project) -> str:
    versions = dict(project.facts.get("versions") or {})
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(project.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    if "keras" in imported:
        imported.add("tensorflow")
    lines = [
        f"{DISTRIBUTIONS[name]}=={versions[name]}" if name in versions else DISTRIBUTIONS[name]
        for name in sorted(imported & DISTRIBUTIONS.keys())
    ]
    note = (
        "# the versions this project was verified with"
        if versions
        else "# not verified: no smoke run was made"
    )
    return "\n".join([note, *lines]) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
