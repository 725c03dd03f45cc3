"""Follow statements, functions and classes of code on symbolic values, without running anything of it."""

import ast
import re
from contextlib import suppress

from dlcodegen_local.plan.extraction_assignments import iterations
from dlcodegen_local.plan.extraction_classes import class_kind
from dlcodegen_local.plan.extraction_expressions import Evaluator
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    ClassValue,
    Dotted,
    Function,
    Scope,
    Symbol,
    Value,
    number_of,
)

_STEPS = ("backward", "manual_backward", "apply_gradients", "minimize")
_EPOCH = re.compile(r"epoch", re.I)


class Jump(Exception):
    """Leave a loop iteration or function; only `Returned` carries a value."""


class Returned(Jump):
    """Leave a function with a value."""

    def __init__(self, value: Value) -> None:
        self.value = value


class Statements(Evaluator):
    """Follow statements; running functions and making objects is left to the subclass."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace)
        self.trains: dict[ast.AST, bool] = {}

    def run_block(self, body: list[ast.stmt], scope: Scope) -> None:
        """Follow statements in order."""
        for statement in body:
            self.trace.step()
            method = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if method is not None:
                method(statement, scope)

    def _import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            path = alias.name if alias.asname else alias.name.split(".")[0]
            scope.names[alias.asname or path] = Dotted(path)

    def _importfrom(self, node: ast.ImportFrom, scope: Scope) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.has_torch_star |= (node.module or "").startswith("torch.nn")
            else:
                scope.names[alias.asname or alias.name] = Dotted(f"{node.module or ''}.{alias.name}")

    def _expr(self, node: ast.Expr, scope: Scope) -> None:
        self.evaluate(node.value, scope)

    def _assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.evaluate(node.value, scope)
        for target in node.targets:
            self.bind(target, value, scope)

    def _annassign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            self.bind(node.target, self.evaluate(node.value, scope), scope)

    def _augassign(self, node: ast.AugAssign, scope: Scope) -> None:
        left = node.target
        if isinstance(left, ast.Name | ast.Attribute):
            load = (
                ast.Name(left.id, ast.Load())
                if isinstance(left, ast.Name)
                else (ast.Attribute(left.value, left.attr, ast.Load()))
            )
            self.bind(left, self.evaluate(ast.BinOp(load, node.op, node.value), scope), scope)
        else:
            self.evaluate(node.value, scope)

    def _return(self, node: ast.Return, scope: Scope) -> None:
        raise Returned(self.evaluate(node.value, scope) if node.value is not None else None)

    def _raise(self, node: ast.Raise, scope: Scope) -> None:
        raise Jump

    def _continue(self, node: ast.Continue, scope: Scope) -> None:
        raise Jump

    def _break(self, node: ast.Break, scope: Scope) -> None:
        raise Jump

    def _if(self, node: ast.If, scope: Scope) -> None:
        truth = self.truth(self.evaluate(node.test, scope))
        if truth is None:
            leaves = isinstance(node.body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
            truth = not leaves and not _compares_shapes(node.test)
        self.run_block(node.body if truth else node.orelse, scope)

    def _for(self, node: ast.For, scope: Scope) -> None:
        epochs = self._epochs_of(node, scope)
        items = None
        if epochs is not None:
            self.trace.record("epochs", Symbol("for"), (epochs,))
        else:
            items = self._items_of(node, scope)
        for item in items if items is not None else [Symbol("")]:
            self.bind(node.target, item, scope)
            try:
                self.run_block(node.body, scope)
            except Returned:
                raise
            except Jump:
                continue

    _asyncfor = _for

    def _items_of(self, node: ast.For, scope: Scope) -> list[Value] | None:
        """Return what a loop runs through; a training loop's body is followed once."""
        items = iterations(self.evaluate(node.iter, scope))
        if node not in self.trains:
            attributes = (item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute))
            self.trains[node] = any(name in _STEPS for name in attributes)
        if not self.trains[node]:
            return items
        is_step = re.search(r"step|iter|batch|idx", ast.unparse(node.target))
        if (
            not is_step
            and isinstance(node.iter, ast.Call)
            and ast.unparse(node.iter.func) in ("range", "trange")
        ):
            bounds = [number_of(self.evaluate(arg, scope)) for arg in node.iter.args]
            known = [bound for bound in bounds if bound is not None]
            if known and len(known) == len(bounds):
                self.trace.record(
                    "loop", Symbol("for"), (known[0] if len(known) == 1 else known[1] - known[0],)
                )
        return items[:1] if items and not isinstance(items[0], int) else None

    def _epochs_of(self, node: ast.For, scope: Scope) -> Value | None:
        """Return how often a training loop runs, None where the loop is no such one."""
        call = node.iter
        names = ast.unparse(node.target) + ast.unparse(call)
        if not _EPOCH.search(names):
            return None
        while isinstance(call, ast.Call) and not (
            isinstance(call.func, ast.Name) and call.func.id in ("range", "trange")
        ):
            call = call.args[0] if call.args else ast.Constant(None)
        if not isinstance(call, ast.Call):
            return None
        bounds = [number_of(self.evaluate(arg, scope)) for arg in call.args]
        known = [bound for bound in bounds if bound is not None]
        if not known or len(known) < min(len(bounds), 2):
            return None
        return known[0] if len(known) == 1 else known[1] - known[0]

    def _while(self, node: ast.While, scope: Scope) -> None:
        test = node.test
        if isinstance(test, ast.Compare) and _EPOCH.search(ast.unparse(test.left)):
            limit = number_of(self.evaluate(test.comparators[0], scope))
            if limit is not None and isinstance(test.ops[0], ast.Lt | ast.LtE):
                self.trace.record("epochs", Symbol("while"), (limit,))
        try:
            self.run_block(node.body, scope)
        except Returned:
            raise
        except Jump:
            return

    def _with(self, node: ast.With, scope: Scope) -> None:
        for item in node.items:
            value = self.evaluate(item.context_expr, scope)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, scope)
        self.run_block(node.body, scope)

    _asyncwith = _with

    def _try(self, node: ast.Try, scope: Scope) -> None:
        try:
            self.run_block([*node.body, *node.orelse], scope)
        finally:
            self.run_block(node.finalbody, scope)

    def _functiondef(self, node: ast.FunctionDef, scope: Scope) -> None:
        scope.names[node.name] = Function(node, scope)

    def _asyncfunctiondef(self, node: ast.AsyncFunctionDef, scope: Scope) -> None:
        scope.names[node.name] = Function(node, scope)

    def _classdef(self, node: ast.ClassDef, scope: Scope) -> None:
        bases = tuple(self.evaluate(base, scope) for base in node.bases)
        body = Scope(parent=scope)
        cls = ClassValue(node.name, body.names, bases, class_kind(bases, self.has_torch_star), node)
        body.parent = Scope({"__class__": cls}, parent=scope)
        with suppress(Jump):
            self.run_block(node.body, body)
        for name, value in list(body.names.items()):
            if isinstance(value, Symbol) and value.text == name:
                body.names[name] = self._field_default(node, name, scope) or value
        scope.names[node.name] = cls

    def _field_default(self, node: ast.ClassDef, name: str, scope: Scope) -> Value:
        """Return the default that a dataclass `field(...)` gives."""
        for statement in node.body:
            value = getattr(statement, "value", None)
            target = getattr(statement, "target", None)
            if not (isinstance(target, ast.Name) and target.id == name and isinstance(value, ast.Call)):
                continue
            for keyword in value.keywords:
                if keyword.arg == "default":
                    return self.evaluate(keyword.value, scope)
                if keyword.arg == "default_factory":
                    factory = self.evaluate(keyword.value, scope)
                    return self.run_function(factory, [], {}) if isinstance(factory, Function) else None
        return None


def _compares_shapes(test: ast.expr) -> bool:
    """Say whether a condition guards against shapes that differ, which they do not as a rule."""
    is_guard = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.NotEq)
    return is_guard and bool(re.search(r"\.(?:shape|size\()", ast.unparse(test)))
