"""Follow statements, functions and classes of code on symbolic values, without running anything of it."""

import ast
import re
from contextlib import suppress

from dlcodegen_local.plan.extraction_attributes import CONFIG_CLASS, CONFIG_NAMES
from dlcodegen_local.plan.extraction_expressions import Evaluator, iterations
from dlcodegen_local.plan.extraction_torch_methods import is_own_loss
from dlcodegen_local.plan.extraction_torch_names import has_no_weights, translate_layer
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    ClassValue,
    Dotted,
    Function,
    Instance,
    Layer,
    Method,
    Model,
    Scope,
    Setting,
    Symbol,
    Tensor,
    Value,
    number_of,
    tensors_in,
    value_text,
)

MAX_CALL_DEPTH = 24
MAX_NAME_CHARS = 80
_MODEL_BASE = re.compile(r"(?:^|\.)(?:Model|Functional|Sequential)$")
_TORCH_BASE = re.compile(
    r"^(?:torch\.)?nn\.(?:modules\.\w+\.)?(?:Module|Sequential)$|(?:^|\.)(?:LightningModule|MessagePassing)$|"
    r"^transformers\.(?:\w*PreTrainedModel|PyTorchModelHubMixin)$|^torchvision\.models\.\w+"
)
_LAYER_BASE = re.compile(r"(?:^|\.)layers\.|(?:^|\.)Layer$")
_LIGHTNING_STEPS = ("training_step", "configure_optimizers", "validation_step", "test_step")
_STEPS = ("backward", "manual_backward", "apply_gradients", "minimize")
_TORCH_LAYERS = (
    "Linear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "BatchNorm2d",
    "LayerNorm",
    "Embedding",
)
_EPOCH = re.compile(r"epoch", re.I)


class Jump(Exception):
    """Leave a loop iteration or function; only `_Return` carries a value."""


class _Return(Jump):
    def __init__(self, value: Value) -> None:
        self.value = value


class Interpreter(Evaluator):
    """Follow a module from its first statement to its last."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace)
        self.module.names["__name__"] = "__main__"
        self.called: set[int] = set()
        self._active: list[ast.AST] = []

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
        raise _Return(self.evaluate(node.value, scope) if node.value is not None else None)

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
            truth = not leaves
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
            except _Return:
                raise
            except Jump:
                continue

    _asyncfor = _for

    def _items_of(self, node: ast.For, scope: Scope) -> list[Value] | None:
        """Return what a loop runs through; a training loop's body is followed once."""
        items = iterations(self.evaluate(node.iter, scope))
        trains = any(isinstance(item, ast.Attribute) and item.attr in _STEPS for item in ast.walk(node))
        if not trains:
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
        try:
            self.run_block(node.body, scope)
        except _Return:
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
        cls = ClassValue(node.name, body.names, bases, _class_kind(bases, self.has_torch_star), node)
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

    def run_function(self, function: Function, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """Return what a function returns; one that calls itself or goes too deep yields its name."""
        node = function.node
        self.called.add(id(node))
        if len(self._active) >= MAX_CALL_DEPTH or self._active.count(node) >= 2:
            return Symbol(value_text(function))
        scope = self._bound(function, args, kwargs)
        if "loss" in value_text(function)[:MAX_NAME_CHARS].lower() and not isinstance(node, ast.Lambda):
            self.trace.record("own loss", Setting("loss", node.name))
        self._active.append(node)
        try:
            if isinstance(node, ast.Lambda):
                return self.evaluate(node.body, scope)
            if _is_generator(node):
                return Symbol(node.name)
            self.run_block(node.body, scope)
        except _Return as returned:
            return returned.value
        except Jump:
            return Symbol(value_text(function))
        finally:
            self._active.pop()
        return None

    def _bound(self, function: Function, args: list[Value], kwargs: dict[str, Value]) -> Scope:
        """Bind parameters to arguments, then to defaults, then to what their name suggests."""
        spec = function.node.args
        scope = Scope(parent=function.scope)
        names = [parameter.arg for parameter in (*spec.posonlyargs, *spec.args)]
        values = (
            [function.owner] if function.owner is not None and not _is_static(function.node) else []
        ) + args
        for name, value in zip(names, values, strict=False):
            keeps = isinstance(value, Symbol) and not value.text.isidentifier()
            scope.names[name] = Symbol(name) if keeps else value
        if spec.vararg is not None:
            scope.names[spec.vararg.arg] = tuple(values[len(names) :])
        everything = (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)
        known = {parameter.arg for parameter in everything}
        scope.names.update({name: value for name, value in kwargs.items() if name in known})
        if spec.kwarg is not None:
            scope.names[spec.kwarg.arg] = {name: value for name, value in kwargs.items() if name not in known}
        defaults = dict(zip(names[len(names) - len(spec.defaults) :], spec.defaults, strict=False))
        defaults |= {
            parameter.arg: default
            for parameter, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
            if default is not None
        }
        for parameter in everything:
            if parameter.arg in scope.names:
                continue
            default = defaults.get(parameter.arg)
            scope.names[parameter.arg] = (
                self.evaluate(default, function.scope) if default is not None else self._suggested(parameter)
            )
        return scope

    def _suggested(self, parameter: ast.arg) -> Value:
        """Return an object of the configuration class for a parameter that is called like one."""
        annotated = self.module.lookup(ast.unparse(parameter.annotation)) if parameter.annotation else None
        if isinstance(annotated, ClassValue) and not annotated.kind:
            return Instance(annotated)
        if CONFIG_NAMES.fullmatch(parameter.arg):
            for value in self.module.names.values():
                if isinstance(value, ClassValue) and not value.kind and CONFIG_CLASS.search(value.name):
                    return Instance(value)
        return Symbol(parameter.arg)

    def instantiate(self, cls: ClassValue, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """Return a new object: a layer by its name, a model with its data flow followed, or an instance."""
        if cls.kind == "layer":
            return self.trace.new_layer(_own_layer(cls, tuple(args), kwargs))
        instance = Instance(cls)
        if cls.kind == "torch":
            return self._module(cls, instance, args, kwargs)
        if cls.kind == "model":
            model = self.trace.new_model(Model(instance=instance))
            self._initialise(model, cls, args, kwargs)
            self._follow_call(model, cls)
            return model
        self._initialise(instance, cls, args, kwargs)
        return instance

    def call(self, function: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        """Return what calling a value yields; fitting a model follows its own training step."""
        result = super().call(function, args, kwargs, node)
        if isinstance(function, Method) and function.name == "fit" and isinstance(function.owner, Model):
            instance = function.owner.instance
            step = instance.cls.lookup("train_step") if instance is not None and instance.cls else None
            if isinstance(step, Function):
                self.run_function(Function(step.node, step.scope, function.owner), [Symbol("data")], {})
        return result

    def _module(
        self, cls: ClassValue, instance: Instance, args: list[Value], kwargs: dict[str, Value]
    ) -> Value:
        """Return a new PyTorch module, with its `forward` and the steps of its training followed."""
        model = self.trace.new_model(Model(instance=instance, is_torch=True))
        init = cls.lookup("__init__")
        if isinstance(init, Function):
            scope = self._bound(Function(init.node, init.scope, model), args, kwargs)
            instance.attributes["hparams"] = Instance(None, dict(scope.names))
        was_inside, following = self.trace.in_forward, self.trace.following
        self.trace.in_forward, self.trace.following = False, []
        self._initialise(model, cls, args, kwargs)
        self.trace.following = [model]
        model.inputs, model.outputs = self._follow_forward(model, cls)
        for name in _LIGHTNING_STEPS:
            step = cls.lookup(name)
            if isinstance(step, Function) and "Lightning" in _base_names(cls):
                self.run_function(Function(step.node, step.scope, model), [], {})
        self.trace.in_forward, self.trace.following = was_inside, following
        learns = any(not has_no_weights(layer) for layer in model.layers())
        if not learns and _has_own_weights(cls) and not is_own_loss(model):
            model.parts = [self.trace.new_layer(Layer(cls.name, tuple(args), kwargs, is_torch=True))]
        return model

    def _follow_forward(self, model: Model, cls: ClassValue) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Follow the data through `forward`; return the tensors that go in and those that come out."""
        forward = cls.lookup("forward")
        if not isinstance(forward, Function):
            return (), ()
        arguments = forward.node.args
        count = max(len(arguments.args) - len(arguments.defaults) - 1, 1)
        inputs = tuple(Tensor(is_torch=True) for _ in range(count))
        self.trace.in_forward = True
        takes = len(arguments.args) > 1 or arguments.vararg is not None
        bound = Function(forward.node, forward.scope, model)
        result = self.run_function(bound, list(inputs) if takes else [], {})
        self.trace.in_forward = False
        return inputs, tuple(tensors_in(result))

    def _initialise(self, owner: Value, cls: ClassValue, args: list[Value], kwargs: dict[str, Value]) -> None:
        init = cls.lookup("__init__")
        if isinstance(init, Function):
            self.run_function(Function(init.node, init.scope, owner), args, kwargs)
            return
        target = owner.instance if isinstance(owner, Model) else owner
        fields = [
            statement.target.id
            for statement in cls.node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        ]
        if isinstance(target, Instance):
            target.attributes.update(dict(zip(fields, args, strict=False)) | kwargs)

    def _follow_call(self, model: Model, cls: ClassValue) -> None:
        """Follow the data through `call`, so that the layers stand in the order of their use."""
        call = cls.lookup("call")
        if not isinstance(call, Function):
            return
        arguments = call.node.args
        count = len(arguments.args) - len(arguments.defaults) - 1
        inputs = [Tensor() for _ in range(max(count, 1))]
        first = arguments.args[1].arg if len(arguments.args) > 1 else ""
        result = self.run_function(Function(call.node, call.scope, model), list(inputs) if first else [], {})
        model.inputs = tuple(inputs)
        model.outputs = tuple(tensors_in(result))


def _class_kind(bases: tuple[Value, ...], has_torch_star: bool) -> str:
    for base in bases:
        if isinstance(base, ClassValue) and base.kind:
            return base.kind
        path = base.path if isinstance(base, Dotted) else base.text if isinstance(base, Symbol) else ""
        if _TORCH_BASE.search(path) or (path == "Module" and has_torch_star):
            return "torch"
        if path.startswith("torch.nn.") and path.rsplit(".", 1)[-1] in _TORCH_LAYERS:
            return "layer"
        if _MODEL_BASE.search(path):
            return "model"
        if _LAYER_BASE.search(path):
            return "layer"
    return ""


def _own_layer(cls: ClassValue, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Layer:
    """Return a layer of the code's own; one of PyTorch's with a new name and nothing else is that layer."""
    base = cls.bases[0] if cls.bases else None
    is_torch = isinstance(base, Dotted) and base.path.startswith("torch.")
    made = translate_layer(base.name, args, kwargs) if isinstance(base, Dotted) and is_torch else None
    layer = made[0] if made and "__init__" not in cls.attributes else Layer(cls.name, args, kwargs)
    layer.is_torch = is_torch
    return layer


def _base_names(cls: ClassValue) -> str:
    """Return the names of a class's bases, and of theirs, as one text."""
    names = ""
    waiting: list[Value] = list(cls.bases)
    while waiting:
        base = waiting.pop()
        names += f" {base.path if isinstance(base, Dotted) else getattr(base, 'text', '')}"
        waiting.extend(base.bases if isinstance(base, ClassValue) else ())
    return names


def _has_own_weights(cls: ClassValue) -> bool:
    return any(
        isinstance(node, ast.Attribute | ast.Name) and "Parameter" in ast.unparse(node)
        for node in ast.walk(cls.node)
    )


def _is_generator(node: ast.AST) -> bool:
    return any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(node))


def _is_static(node: ast.AST) -> bool:
    return any(ast.unparse(item) == "staticmethod" for item in getattr(node, "decorator_list", ()))
