"""Evaluate expressions of code on symbolic values, without running anything of it."""

import ast
import math
import operator
from collections.abc import Callable

from dlcodegen_local.plan.extraction_assignments import Assignments, iterations
from dlcodegen_local.plan.extraction_attributes import attribute_of, subscript_of
from dlcodegen_local.plan.extraction_builtins import builtin_call, is_builtin
from dlcodegen_local.plan.extraction_keras import call_layer, call_model, library_call
from dlcodegen_local.plan.extraction_methods import call_method, call_unknown
from dlcodegen_local.plan.extraction_torch import call_setting, call_torch_layer, torch_call, torch_path
from dlcodegen_local.plan.extraction_torch_flow import added, keep_last_step
from dlcodegen_local.plan.extraction_torch_methods import call_module
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    ClassValue,
    Dotted,
    Function,
    Instance,
    Layer,
    Method,
    Model,
    Partial,
    Scope,
    Setting,
    Super,
    Symbol,
    Tensor,
    Value,
    is_known,
    tensors_in,
    text_of,
)

_MAX_NUMBER = 10**15
_MAX_LENGTH = 2000
_OPERATORS: dict[type[ast.AST], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Value, Value], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: lambda left, right: left is right or left == right,
    ast.IsNot: lambda left, right: left is not right and left != right,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


class Evaluator(Assignments):
    """Evaluate expressions; running functions and classes is left to the subclass."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.module = Scope()
        self.has_torch_star = False

    def run_function(self, function: Function, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """Return what a function of the code returns."""
        raise NotImplementedError

    def instantiate(self, cls: ClassValue, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """Return a new object of a class of the code."""
        raise NotImplementedError

    def evaluate(self, node: ast.expr, scope: Scope) -> Value:
        """Return the value of an expression, a `Symbol` of its text where it cannot be known."""
        self.trace.step()
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            return Symbol(text_of(node))
        return method(node, scope)

    def _constant(self, node: ast.Constant, scope: Scope) -> Value:
        value = node.value
        return value if value is None or isinstance(value, bool | int | float | str) else Symbol(repr(value))

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        return scope.lookup(node.id)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        return attribute_of(self.evaluate(node.value, scope), node.attr, self.module)

    def _tuple(self, node: ast.Tuple, scope: Scope) -> Value:
        return tuple(self._items(node.elts, scope))

    def _list(self, node: ast.List, scope: Scope) -> Value:
        return self._items(node.elts, scope)

    def _items(self, nodes: list[ast.expr], scope: Scope) -> list[Value]:
        items: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                value = self.evaluate(node.value, scope)
                items.extend(value if isinstance(value, list | tuple) else [value])
            else:
                items.append(self.evaluate(node, scope))
        return items

    def _dict(self, node: ast.Dict, scope: Scope) -> Value:
        table: dict[Value, Value] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.evaluate(value_node, scope)
            key = self.evaluate(key_node, scope) if key_node is not None else None
            if key_node is None:
                table.update(value if isinstance(value, dict) else {})
            elif isinstance(key, str | int | float | bool):
                table[key] = value
        return table

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        owner = self.evaluate(node.value, scope)
        if isinstance(node.slice, ast.Slice):
            bounds = [
                self.evaluate(part, scope) if part is not None else None
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if isinstance(owner, list | tuple | str) and all(b is None or isinstance(b, int) for b in bounds):
                return owner[slice(*bounds)] if bounds[2] != 0 else owner
            return (
                Tensor(parents=(owner,), is_torch=owner.is_torch)
                if isinstance(owner, Tensor)
                else Symbol(text_of(node))
            )
        found = subscript_of(owner, self.evaluate(node.slice, scope), text_of(node))
        if isinstance(owner, Tensor) and isinstance(found, Tensor) and _adds_axes(node.slice):
            found.producer = owner.producer
        if isinstance(owner, Tensor) and owner.is_torch:
            keep_last_step(owner, node.slice)
        return found

    def _binop(self, node: ast.BinOp, scope: Scope) -> Value:
        left, right = self.evaluate(node.left, scope), self.evaluate(node.right, scope)
        is_joined = (
            isinstance(node.op, ast.Add) and isinstance(left, list | tuple) and type(left) is type(right)
        )
        if is_joined and _lengths(left, right) <= _MAX_LENGTH:
            return type(left)([*left, *right])
        if isinstance(node.op, ast.Mult) and isinstance(left, list) and _is_small(node.op, left, right):
            return left * right if isinstance(right, int) else []
        if parents := tensors_in([left, right]):
            is_sum = isinstance(node.op, ast.Add) and isinstance(left, Tensor) and isinstance(right, Tensor)
            total = added(self.trace, left, right) if is_sum else None
            is_torch = any(parent.is_torch for parent in parents)
            return total or Tensor(parents=tuple(parents), shape=parents[0].shape, is_torch=is_torch)
        combine = _OPERATORS.get(type(node.op))
        if combine is not None and is_known(left) and is_known(right) and _is_small(node.op, left, right):
            try:
                return combine(left, right)
            except (TypeError, ValueError, ArithmeticError):
                pass
        return Symbol(text_of(node))

    def _unaryop(self, node: ast.UnaryOp, scope: Scope) -> Value:
        value = self.evaluate(node.operand, scope)
        if isinstance(node.op, ast.Not):
            truth = self.truth(value)
            return Symbol(text_of(node)) if truth is None else not truth
        if isinstance(value, int | float) and isinstance(node.op, ast.USub):
            return -value
        return value if isinstance(value, Tensor) else Symbol(text_of(node))

    def _boolop(self, node: ast.BoolOp, scope: Scope) -> Value:
        stop = isinstance(node.op, ast.Or)
        last: Value = None
        is_open = False
        for item in node.values:
            last = self.evaluate(item, scope)
            truth = self.truth(last)
            if truth is stop:
                return last if not is_open else stop
            is_open = is_open or truth is None
        return Symbol(text_of(node)) if is_open else last

    def _compare(self, node: ast.Compare, scope: Scope) -> Value:
        values = [self.evaluate(item, scope) for item in (node.left, *node.comparators)]
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            if isinstance(op, ast.Is | ast.IsNot) and right is None:
                known = (left is None) is isinstance(op, ast.Is)
            elif is_known(left) and is_known(right):
                try:
                    known = bool(_COMPARISONS[type(op)](left, right))
                except TypeError:
                    return Symbol(text_of(node))
            else:
                return Symbol(text_of(node))
            if not known:
                return False
        return True

    def _ifexp(self, node: ast.IfExp, scope: Scope) -> Value:
        truth = self.truth(self.evaluate(node.test, scope))
        if truth is None:
            chosen = self.evaluate(node.body, scope)
            return chosen if not isinstance(chosen, Symbol) else self.evaluate(node.orelse, scope)
        return self.evaluate(node.body if truth else node.orelse, scope)

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Value:
        return Function(node, scope)

    def _namedexpr(self, node: ast.NamedExpr, scope: Scope) -> Value:
        value = self.evaluate(node.value, scope)
        scope.names[node.target.id] = value
        return value

    def _await(self, node: ast.Await, scope: Scope) -> Value:
        return self.evaluate(node.value, scope)

    def _joinedstr(self, node: ast.JoinedStr, scope: Scope) -> Value:
        parts: list[str] = []
        for item in node.values:
            value = self.evaluate(item.value if isinstance(item, ast.FormattedValue) else item, scope)
            if not isinstance(value, str | int):
                return Symbol(text_of(node))
            parts.append(str(value))
        text = "".join(parts)
        return text if len(text) <= _MAX_LENGTH else Symbol(text_of(node))

    def _listcomp(self, node: ast.ListComp, scope: Scope) -> Value:
        return self._comprehension(node, scope)

    def _generatorexp(self, node: ast.GeneratorExp, scope: Scope) -> Value:
        return self._comprehension(node, scope)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> Value:
        items: list[Value] = []
        if not self._generate(node.elt, node.generators, scope, items):
            return Symbol(text_of(node))
        return items

    def _generate(
        self, element: ast.expr, generators: list[ast.comprehension], scope: Scope, items: list[Value]
    ) -> bool:
        """Add what a comprehension yields to the items; say whether all of it could be followed."""
        generator = generators[0]
        iterable = iterations(self.evaluate(generator.iter, scope))
        if iterable is None:
            return False
        for item in iterable:
            inner = Scope(parent=scope)
            self.bind(generator.target, item, inner)
            if any(self.truth(self.evaluate(test, inner)) is False for test in generator.ifs):
                continue
            if len(items) >= _MAX_LENGTH:
                return False
            if len(generators) == 1:
                items.append(self.evaluate(element, inner))
            elif not self._generate(element, generators[1:], inner, items):
                return False
        return True

    def _dictcomp(self, node: ast.DictComp, scope: Scope) -> Value:
        pair = ast.Tuple([node.key, node.value], ast.Load())
        items = self._comprehension(ast.ListComp(pair, node.generators), scope)
        if not isinstance(items, list) or not all(isinstance(key, str | int) for key, _ in items):
            return Symbol(text_of(node))
        return dict(items)

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            cls = scope.lookup("__class__")
            return Super(cls, scope.lookup("self")) if isinstance(cls, ClassValue) else Symbol("super")
        function = self.evaluate(node.func, scope)
        args = self._items(node.args, scope)
        kwargs: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value, scope)
            if keyword.arg is not None:
                kwargs[keyword.arg] = value
            elif isinstance(value, dict):
                kwargs.update({str(key): item for key, item in value.items()})
        return self.call(function, args, kwargs, node)

    def call(self, function: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        """Return what calling a value yields."""
        if isinstance(function, Function):
            return self.run_function(function, args, kwargs)
        if isinstance(function, ClassValue):
            return self.instantiate(function, args, kwargs)
        if isinstance(function, Layer | Model) and function.is_torch:
            if isinstance(function, Layer):
                return call_torch_layer(self.trace, function, tuple(args), kwargs)
            return call_module(self.trace, function, tuple(args), kwargs)
        if isinstance(function, Layer):
            return call_layer(self.trace, function, tuple(args), kwargs)
        if isinstance(function, Model):
            return call_model(self.trace, function, tuple(args), kwargs)
        if isinstance(function, Partial):
            given = [*function.args, *args]
            return self.call(function.function, given, {**function.kwargs, **kwargs}, node)
        text = text_of(node)
        if isinstance(function, Setting):
            return call_setting(self.trace, function, tuple(args), kwargs, text)
        if isinstance(function, Method):
            return call_method(self.trace, function, tuple(args), kwargs, text)
        if isinstance(function, Instance):
            method = function.cls.lookup("__call__") if function.cls else None
            if isinstance(method, Function):
                return self.run_function(Function(method.node, method.scope, function), args, kwargs)
        if isinstance(function, Dotted | Symbol):
            path = function.path if isinstance(function, Dotted) else function.text
            if path in ("getattr", "setattr") and len(args) >= 2 and isinstance(args[1], str):
                return self._named_attribute(path, args)
            if path == "functools.partial" and args:
                return Partial(args[0], tuple(args[1:]), kwargs)
            if is_builtin(path):
                return builtin_call(path, args, kwargs, text)
            return self._library(function, args, kwargs, text)
        return call_unknown(self.trace, "", tuple(args), kwargs, text)

    def _named_attribute(self, path: str, args: list[Value]) -> Value:
        """Follow `getattr(owner, name)` and `setattr(owner, name, value)`."""
        if path == "setattr":
            self._store(args[0], args[1], args[2] if len(args) > 2 else None)
            return None
        found = attribute_of(args[0], args[1], self.module)
        is_missing = isinstance(found, Symbol | Method) and isinstance(args[0], Instance)
        return args[2] if is_missing and len(args) > 2 else found

    def _library(
        self, function: Dotted | Symbol, args: list[Value], kwargs: dict[str, Value], text: str
    ) -> Value:
        path = function.path if isinstance(function, Dotted) else function.text
        torch = torch_path(function, self.has_torch_star)
        if torch is not None:
            if torch.endswith(".data_parallel") and args and isinstance(args[0], Layer | Model):
                return self.call(args[0], args[1:2], {}, ast.Call(ast.Constant(""), [], []))
            known = torch_call(self.trace, torch, tuple(args), kwargs, text)
            if known is not None:
                return known
        is_foreign = torch is not None and not torch.startswith("transformers.")
        if is_foreign:
            pass
        elif isinstance(function, Dotted) or path.rsplit(".", 1)[-1][:1].isupper() or tensors_in(args):
            result = library_call(self.trace, path, tuple(args), kwargs, text)
            if not isinstance(result, Symbol):
                return result
        return call_unknown(self.trace, path, tuple(args), kwargs, text)

    def truth(self, value: Value) -> bool | None:
        """Say whether a value is true, None where it cannot be known."""
        if is_known(value):
            return bool(value)
        if isinstance(value, Layer | Model | Function | Instance | ClassValue | Dotted):
            return True
        return bool(value) if isinstance(value, list | tuple | dict) else None


def _adds_axes(node: ast.expr) -> bool:
    """Say whether an index takes everything and adds axes: `x[:, :, None]`."""
    items = node.elts if isinstance(node, ast.Tuple) else [node]
    return all(
        (isinstance(item, ast.Constant) and item.value in (None, ...))
        or (isinstance(item, ast.Slice) and item.lower is None and item.upper is None)
        for item in items
    )


def _is_small(op: ast.operator, left: Value, right: Value) -> bool:
    """Guard against huge powers, repetitions and sums."""
    if isinstance(left, int | float) and isinstance(right, int | float):
        if abs(left) > _MAX_NUMBER or abs(right) > _MAX_NUMBER:
            return False
        return not isinstance(op, ast.Pow) or abs(right) * math.log2(abs(left) + 2) < 64
    if isinstance(op, ast.Mult):
        count, repeated = (left, right) if isinstance(left, int) else (right, left)
        if not isinstance(count, int) or not isinstance(repeated, str | list | tuple):
            return False
        return count * len(repeated) <= _MAX_LENGTH and not any(isinstance(i, list | tuple) for i in repeated)
    return isinstance(op, ast.Add) and _lengths(left, right) <= _MAX_LENGTH


def _lengths(*values: Value) -> int:
    return sum(len(value) for value in values if isinstance(value, str | list | tuple))
