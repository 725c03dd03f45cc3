"""Read a delivered project back: its plan and its code as one source.

Understands the three layouts. Reads only the files that it names, none of them by a link, and none
over 1 MB.
"""

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.project.layouts import MODULES

_MAX_FILE_BYTES = 1_000_000
# A notebook's last cell runs what the guard of a script does.
_NOTEBOOK_MAIN = """# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)"""


@dataclass(frozen=True)
class DeliveredProject:
    """Hold a project folder's layout, its plan (None where it has none) and its single-file source."""

    folder: Path
    layout: str
    plan: Plan | None
    source: str


def read_project(folder: Path) -> DeliveredProject:
    """Read a project folder, or a single script.

    Raises:
        ConfigError: nothing there is a project; names the file that cannot be read.
    """
    if folder.is_file():
        return DeliveredProject(folder.parent, "script", None, read_text(folder))
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no project folder", hint="make one with: dlcodegen generate")
    plan_path = folder / "plan.json"
    plan = _read_plan(plan_path) if plan_path.is_file() else None
    if (folder / "train.py").is_file():
        return DeliveredProject(folder, "project", plan, _join_modules(folder))
    if (folder / "project.py").is_file():
        return DeliveredProject(folder, "script", plan, read_text(folder / "project.py"))
    if (folder / "project.ipynb").is_file():
        return DeliveredProject(folder, "notebook", plan, _notebook_source(folder / "project.ipynb"))
    raise ConfigError(f"{folder} holds neither train.py nor project.py nor project.ipynb")


def read_text(path: Path) -> str:
    """Read a text file of a project.

    Raises:
        ConfigError: it is a link, too large, or no UTF-8 text.
    """
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_FILE_BYTES:
            raise ConfigError(f"{path} is a link or larger than {_MAX_FILE_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text") from exc
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc


def _read_plan(path: Path) -> Plan:
    try:
        return Plan.from_dict(json.loads(read_text(path)))
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not a JSON plan") from exc


def _join_modules(folder: Path) -> str:
    """Put the modules of a project under section markers, without the imports between them."""
    parts = []
    for name in MODULES:
        path = folder / f"{name}.py"
        text = read_text(path) if path.is_file() else ""
        parts.append(f"# %% [{name}]\n{_without_siblings(text)}")
    return "\n\n".join(parts) + "\n"


def _without_siblings(text: str) -> str:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text  # static checks report it
    lines = text.split("\n")
    for node in tree.body:
        sibling = isinstance(node, ast.ImportFrom) and node.module in MODULES
        guard = isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        if sibling or guard:
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)


def _notebook_source(path: Path) -> str:
    try:
        notebook = json.loads(read_text(path))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        parts = [f"# %% [{cell.get('id', 'main')}]\n{''.join(cell['source'])}" for cell in cells]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ConfigError(f"{path} is not a valid notebook") from exc
    sections = [part for part in parts if not part.startswith("# %% [run]")]
    return "\n\n\n".join([*sections, _NOTEBOOK_MAIN]) + "\n"
