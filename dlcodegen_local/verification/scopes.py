"""Follow names through the scopes of a module: what it binds, what it lacks, what dotted names mean.

Scopes are Python's own (`symtable`), so comprehensions, class bodies, `global` and `nonlocal` are
right by construction. Does not follow control flow: a name bound on one branch counts as bound.
"""

import ast
import builtins
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ALWAYS_BOUND = frozenset(dir(builtins)) | {"__annotations__", "__builtins__", "__file__"}


@dataclass(frozen=True)
class GlobalUse:
    """A name that some scope takes from the module. `immediate` where the module's own run does so."""

    name: str
    line: int
    immediate: bool


def bound_lines(tree: ast.Module) -> dict[str, list[int]]:
    """Return the lines on which the module itself binds each name, in order."""
    lines: dict[str, list[int]] = {}
    for node in _module_level(tree):
        for name in _bound_by(node):
            lines.setdefault(name, []).append(getattr(node, "lineno", 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            for name in node.names:
                lines.setdefault(name, []).append(node.lineno)
    return {name: sorted(found) for name, found in lines.items()}


def global_uses(tree: ast.Module, source: str, filename: str) -> list[GlobalUse]:
    """Return every use of a name that Python looks up in the module or the builtins.

    Raises:
        SyntaxError, RecursionError, ValueError: as `compile` does.
    """
    functions = _scope_nodes(tree)
    deferred = _deferred_annotations(tree)
    uses: list[GlobalUse] = []
    pending: list[tuple[symtable.SymbolTable, ast.AST, bool]] = [
        (symtable.symtable(source, filename, "exec"), tree, True)
    ]
    while pending:
        table, node, immediate = pending.pop()
        names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and _from_module(s, table)}
        for name_node in _own_names(node):
            if isinstance(name_node.ctx, ast.Load) and name_node.id in names:
                now = immediate and id(name_node) not in deferred
                uses.append(GlobalUse(name_node.id, name_node.lineno, now))
        taken: dict[tuple[int, str], int] = {}
        for child in table.get_children():
            key = (child.get_lineno(), child.get_name())
            candidates = functions.get(key, [])
            if (index := taken.get(key, 0)) < len(candidates):
                taken[key] = index + 1
                inner = candidates[index]
                called = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                pending.append((child, inner, immediate and not called))
    return sorted(set(uses), key=lambda use: (use.line, use.name, use.immediate))


def undefined_names(uses: list[GlobalUse], bound: Mapping[str, list[int]]) -> Iterator[tuple[GlobalUse, str]]:
    """Yield each use of a name that nothing binds, or that is bound only after it, with the reason."""
    reported: set[str] = set()
    for use in uses:
        if use.name in _ALWAYS_BOUND or use.name in reported:
            continue
        if use.name not in bound:
            reported.add(use.name)
            yield use, f"{use.name!r} is not defined"
        elif use.immediate and bound[use.name][0] > use.line:
            reported.add(use.name)
            yield use, f"{use.name!r} is used before line {bound[use.name][0]} defines it"


def import_aliases(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for, as a dotted name; names bound otherwise too are out."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                aliases[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return aliases


def rebound_names(tree: ast.Module) -> set[str]:
    """Return names that are bound by something else than an import, in any scope."""
    names = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return names | {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def dotted_name(node: ast.AST, aliases: Mapping[str, str]) -> str | None:
    """Return the dotted name that an attribute chain on an imported name stands for."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in aliases:
        return None
    return ".".join([aliases[node.id], *reversed(parts)])


def _deferred_annotations(tree: ast.Module) -> set[int]:
    """Return the ids of names that stand in annotations which Python does not evaluate."""
    features = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    if not any(alias.name == "annotations" for node in features for alias in node.names):
        return set()
    annotations = [getattr(node, "annotation", None) for node in ast.walk(tree)]
    annotations += [getattr(node, "returns", None) for node in ast.walk(tree)]
    return {id(inner) for node in annotations if isinstance(node, ast.AST) for inner in ast.walk(node)}


def _from_module(symbol: symtable.Symbol, table: symtable.SymbolTable) -> bool:
    return table.get_type() == "module" or symbol.is_global()


_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
_TABLE_NAMES: dict[type[ast.AST], str] = {
    ast.Lambda: "lambda",
    ast.ListComp: "listcomp",
    ast.SetComp: "setcomp",
    ast.DictComp: "dictcomp",
    ast.GeneratorExp: "genexpr",
}


def _scope_nodes(tree: ast.Module) -> dict[tuple[int, str], list[ast.AST]]:
    """Index the nodes that open a scope as `symtable` names them: by line and name."""
    found: dict[tuple[int, str], list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, _SCOPES):
            name = _TABLE_NAMES.get(type(node)) or str(getattr(node, "name", ""))
            lines = {
                node.lineno,
                *(decorator.lineno for decorator in getattr(node, "decorator_list", [])[:1]),
            }
            for line in sorted(lines):
                found.setdefault((line, name), []).append(node)
    return found


def _own_names(scope: ast.AST) -> Iterator[ast.Name]:
    """Yield the names that a scope itself evaluates: not those of scopes inside it.

    What a scope's header evaluates (defaults, decorators, bases, a comprehension's first iterable)
    belongs to the scope around it.
    """
    pending: list[ast.AST] = _inside(scope)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name):
            yield node
        elif isinstance(node, _SCOPES):
            pending += _header(node)
        else:
            pending += ast.iter_child_nodes(node)


def _inside(scope: ast.AST) -> list[ast.AST]:
    if isinstance(scope, ast.Lambda):
        return [scope.body]
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
        return [*scope.body]
    header = _header(scope)
    children: list[ast.AST] = []
    for child in ast.iter_child_nodes(scope):
        children += [*ast.iter_child_nodes(child)] if isinstance(child, ast.comprehension) else [child]
    return [child for child in children if child not in header]


def _header(scope: ast.AST) -> list[ast.AST]:
    if isinstance(scope, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return [scope.generators[0].iter]
    parts: list[ast.AST] = []
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        parts += scope.decorator_list
    if isinstance(scope, ast.ClassDef):
        parts += [*scope.bases, *(keyword.value for keyword in scope.keywords)]
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        arguments = scope.args
        parts += [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        parts += [argument.annotation for argument in every if argument.annotation]
        if not isinstance(scope, ast.Lambda) and scope.returns:
            parts.append(scope.returns)
    return parts


def _module_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every node that runs in the module's own scope."""
    pending: list[ast.AST] = [*tree.body]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            walrus = [inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
            pending += [*_header(node), *walrus]
        else:
            pending += _header(node) if isinstance(node, _SCOPES) else ast.iter_child_nodes(node)


def _bound_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return [node.name]
    if isinstance(node, ast.MatchMapping) and node.rest:
        return [node.rest]
    return []
