"""Follow functions, classes, models and modules of code on symbolic values; nothing of it is run."""

import ast

from dlcodegen_local.plan.extraction_attributes import CONFIG_CLASS, CONFIG_NAMES
from dlcodegen_local.plan.extraction_classes import (
    base_names,
    has_own_weights,
    is_generator,
    is_static,
    own_layer,
)
from dlcodegen_local.plan.extraction_statements import Jump, Returned, Statements
from dlcodegen_local.plan.extraction_torch_methods import is_own_loss
from dlcodegen_local.plan.extraction_torch_names import has_no_weights
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    ClassValue,
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
    tensors_in,
    value_text,
)

MAX_CALL_DEPTH = 24
MAX_NAME_CHARS = 80
_LIGHTNING_STEPS = (
    "training_step",
    "configure_optimizers",
    "validation_step",
    "test_step",
    "train_dataloader",
)


class Interpreter(Statements):
    """Follow a module from its first statement to its last."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace)
        self.module.names["__name__"] = "__main__"
        self.called: set[int] = set()
        self._active: list[ast.AST] = []
        self._generators: dict[ast.AST, bool] = {}

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
            if node not in self._generators:
                self._generators[node] = is_generator(node)
            if self._generators[node]:
                return Symbol(node.name)
            self.run_block(node.body, scope)
        except Returned as returned:
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
            [function.owner] if function.owner is not None and not is_static(function.node) else []
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
            return self.trace.new_layer(own_layer(cls, tuple(args), kwargs))
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
        if isinstance(function, Method) and isinstance(function.owner, Setting) and function.name == "fit":
            for given in [*args, *kwargs.values()]:
                loader = (
                    given.cls.lookup("train_dataloader")
                    if isinstance(given, Instance) and given.cls
                    else None
                )
                if isinstance(loader, Function):
                    self.run_function(Function(loader.node, loader.scope, given), [], {})
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
            if isinstance(step, Function) and "Lightning" in base_names(cls):
                self.run_function(Function(step.node, step.scope, model), [], {})
        self.trace.in_forward, self.trace.following = was_inside, following
        layers = model.layers()
        learns = any(not has_no_weights(layer) for layer in layers)
        stands_alone = not layers and isinstance(cls.lookup("forward"), Function) and not model.held
        if (stands_alone or (not learns and has_own_weights(cls))) and not is_own_loss(model):
            model.parts = [self.trace.new_layer(Layer(cls.name, is_torch=True))]
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
