"""Check a source file, or a project folder, without running it.

Findings have stable rules: syntax, bidi, section, section-order, missing-function, undefined-name,
import, attribute, network, shell, pickle, dynamic-code, absolute-path, side-effect. The same source
and environment give the same findings in the same order.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.sections import REQUIRED_FUNCTIONS, SECTION_NAMES
from dlcodegen_local.verification import scopes
from dlcodegen_local.verification.environment import Target
from dlcodegen_local.verification.hazards import character_findings, hazard_findings
from dlcodegen_local.verification.report import Finding

MAX_SOURCE_BYTES = 1 << 20
_MARKER = re.compile(r"# %% \[([^\]]*)\][ \t]*")


def check_source(
    source: str, filename: str = "script.py", target: Target | None = None
) -> tuple[Finding, ...]:
    """Check a single-file source that follows the section contract, in the order of its lines."""
    tree, findings = _parse(source, filename)
    if tree is not None:
        findings += _contract_findings(source, tree, filename)
        findings += _name_findings(source, tree, filename)
        findings += _module_findings(tree, filename)
        findings += _environment_findings({filename: tree}, target or Target(), frozenset())
    return _in_order(findings)


def check_project(folder: Path, target: Target | None = None) -> tuple[Finding, ...]:
    """Check the Python files of a project folder as modules that import each other.

    Raises:
        ConfigError: the folder cannot be read.
    """
    findings: list[Finding] = []
    trees: dict[str, ast.Module] = {}
    try:
        files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py")) if path.is_file()}
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read", hint=str(error)) from error
    for name, content in files.items():
        source = content.decode("utf-8", "replace")
        tree, found = _parse(source, name)
        findings += found
        if tree is not None:
            trees[name] = tree
            findings += _name_findings(source, tree, name)
            findings += _module_findings(tree, name)
    for section, functions in REQUIRED_FUNCTIONS.items():
        findings += _missing_in_module(f"{section}.py", functions, files, trees)
    findings += _sibling_findings(trees)
    siblings = frozenset(Path(name).stem for name in files)
    findings += _environment_findings(trees, target or Target(), siblings)
    return _in_order(findings)


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda f: (f.file, f.line, f.rule, f.message)))


def _parse(source: str, filename: str) -> tuple[ast.Module | None, list[Finding]]:
    findings = [Finding(filename, *found) for found in character_findings(source)]
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE_BYTES:
        return None, [Finding(filename, 1, "syntax", f"is over {MAX_SOURCE_BYTES} bytes")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, filename)
            compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        findings.append(Finding(filename, error.lineno or 1, "syntax", error.msg or "does not parse"))
    except (RecursionError, MemoryError):
        findings.append(Finding(filename, 1, "syntax", "is nested too deeply to parse"))
    except ValueError as error:
        findings.append(Finding(filename, 1, "syntax", str(error)))
    else:
        return tree, findings
    return None, findings


def _contract_findings(source: str, tree: ast.Module, filename: str) -> list[Finding]:
    starts, findings = _section_starts(source, filename)
    defined = {
        node.name: node.lineno
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for section, functions in REQUIRED_FUNCTIONS.items():
        for name in functions:
            if name not in defined:
                line = starts.get(section, 1)
                message = f"section [{section}] must define {name}()"
                findings.append(Finding(filename, line, "missing-function", message))
            elif starts and (place := _section_at(starts, defined[name])) != section:
                message = f"{name}() stands in section [{place}], it belongs into [{section}]"
                findings.append(Finding(filename, defined[name], "section-order", message))
    if not any(_is_main_guard(node) for node in tree.body):
        line = starts.get("main", 1)
        findings.append(
            Finding(filename, line, "missing-function", "no `if __name__ == '__main__':` at the end")
        )
    if starts:
        findings += _order_findings(source, tree, filename, starts)
    return findings


def _section_starts(source: str, filename: str) -> tuple[dict[str, int], list[Finding]]:
    starts: dict[str, int] = {}
    findings = []
    for number, line in enumerate(source.split("\n"), 1):
        if match := _MARKER.fullmatch(line):
            name = match.group(1)
            if name not in SECTION_NAMES:
                findings.append(Finding(filename, number, "section", f"unknown section [{name[:40]}]"))
            elif name in starts:
                findings.append(Finding(filename, number, "section", f"section [{name}] stands twice"))
            else:
                starts[name] = number
    if not starts:
        findings.append(Finding(filename, 1, "section", "has no section markers (`# %% [config]`)"))
    elif missing := [name for name in SECTION_NAMES if name not in starts]:
        findings.append(Finding(filename, 1, "section", f"lacks the sections {', '.join(missing)}"))
    elif sorted(starts, key=lambda name: starts[name]) != list(SECTION_NAMES):
        findings.append(
            Finding(filename, 1, "section", f"sections must stand in the order {', '.join(SECTION_NAMES)}")
        )
    return starts, findings


def _section_at(starts: dict[str, int], line: int) -> str:
    before = [name for name in starts if starts[name] <= line]
    return max(before, key=lambda name: starts[name]) if before else ""


def _order_findings(
    source: str, tree: ast.Module, filename: str, starts: dict[str, int]
) -> Iterator[Finding]:
    """Find uses of names that only a later section binds: as modules, these would import each other."""
    rank = {name: index for index, name in enumerate(SECTION_NAMES)}
    bound = scopes.bound_lines(tree)
    for use in scopes.global_uses(tree, source, filename):
        if use.name not in bound:
            continue
        here = _section_at(starts, use.line)
        there = min(
            (_section_at(starts, line) for line in bound[use.name]), key=lambda name: rank.get(name, -1)
        )
        if rank.get(here, -1) < rank.get(there, -1):
            message = f"section [{here}] uses {use.name!r} of the later section [{there}]"
            yield Finding(filename, use.line, "section-order", message)


def _name_findings(source: str, tree: ast.Module, filename: str) -> Iterator[Finding]:
    stars = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]
    for node in stars:
        yield Finding(filename, node.lineno, "import", f"import of * from {node.module}: name what is used")
    if stars:
        return
    uses = scopes.global_uses(tree, source, filename)
    for use, reason in scopes.undefined_names(uses, scopes.bound_lines(tree)):
        yield Finding(filename, use.line, "undefined-name", reason)


def _module_findings(tree: ast.Module, filename: str) -> Iterator[Finding]:
    for found in hazard_findings(tree, scopes.import_aliases(tree)):
        yield Finding(filename, *found)
    for node in tree.body:
        effect = isinstance(node, ast.For | ast.While | ast.With) or (
            isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        )
        if effect:
            yield Finding(filename, node.lineno, "side-effect", "runs when the module is imported", "warning")


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in {
        inner.id for inner in ast.walk(node.test) if isinstance(inner, ast.Name)
    }


def _missing_in_module(
    file: str, functions: tuple[str, ...], files: Iterable[str], trees: dict[str, ast.Module]
) -> Iterator[Finding]:
    if file not in files:
        yield Finding(
            file, 1, "missing-function", f"there is no {file}, which must define {', '.join(functions)}"
        )
    elif file in trees:
        bound = scopes.bound_lines(trees[file])
        for name in functions:
            if name not in bound:
                yield Finding(file, 1, "missing-function", f"{file} must define {name}()")


def _sibling_findings(trees: dict[str, ast.Module]) -> Iterator[Finding]:
    """Find names that a module takes from another one of the project that does not have them."""
    for file, tree in sorted(trees.items()):
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or f"{node.module}.py" not in trees:
                continue
            bound = scopes.bound_lines(trees[f"{node.module}.py"])
            for alias in node.names:
                if alias.name != "*" and alias.name not in bound:
                    yield Finding(file, node.lineno, "import", f"{node.module}.py has no {alias.name!r}")


def _environment_findings(
    trees: dict[str, ast.Module], target: Target, siblings: frozenset[str]
) -> list[Finding]:
    """Hold imports and attributes against the environment, all files at once: asking takes seconds."""
    modules: dict[str, list[tuple[str, int]]] = {}
    dotted: dict[str, list[tuple[str, int]]] = {}
    for file, tree in sorted(trees.items()):
        for name, line in _imported(tree):
            if name.split(".")[0] not in siblings:
                modules.setdefault(name.split(".")[0], []).append((file, line))
                dotted.setdefault(name, []).append((file, line))
        for name, line in _attributes(tree):
            if name.split(".")[0] not in siblings:
                dotted.setdefault(name, []).append((file, line))
    missing = target.missing_modules(modules)
    findings = [
        Finding(file, line, "import", f"the environment has no module {name!r}")
        for name in sorted(missing)
        for file, line in modules[name]
    ]
    present = [name for name in dotted if name.split(".")[0] not in missing]
    for name, reason in target.missing_attributes(present).items():
        findings += [Finding(file, line, "attribute", reason) for file, line in dotted[name]]
    return findings


def _imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield dotted names that the module cannot be imported without."""
    optional = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and node.handlers
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in optional:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node.module if alias.name == "*" else f"{node.module}.{alias.name}", node.lineno


def _attributes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield attribute chains on imported modules.

    Of packages whose classes are built at run time a chain ends at its first capitalised part: what
    an instance or a class has is not asked.
    """
    rebound = scopes.rebound_names(tree)
    aliases = {name: dotted for name, dotted in scopes.import_aliases(tree).items() if name not in rebound}
    optional = _guarded_by_hasattr(tree)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner or not isinstance(node.ctx, ast.Load):
            continue
        dotted = scopes.dotted_name(node, aliases)
        if dotted is None or dotted in optional:
            continue
        parts = dotted.split(".")
        kept = next((end for end, part in enumerate(parts, 1) if part[:1].isupper()), len(parts))
        if len(parts[:kept]) > 1:
            yield ".".join(parts[:kept]), node.lineno


def _guarded_by_hasattr(tree: ast.Module) -> set[str]:
    aliases = scopes.import_aliases(tree)
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="hasattr"), args=[owner, ast.Constant(value=str(attribute))]):
                found.add(f"{scopes.dotted_name(owner, aliases)}.{attribute}")
    return found
