"""Methods of models, layers, tensors, optimizers, containers and of what is not known."""

from dlcodegen_local.plan.extraction_keras import call_layer, call_model, parts_of
from dlcodegen_local.plan.extraction_torch_flow import tensor_method
from dlcodegen_local.plan.extraction_torch_methods import layer_method, module_method, setting_method
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    MAX_WALK,
    Instance,
    Layer,
    Method,
    Model,
    Setting,
    Symbol,
    Tensor,
    Value,
    number_of,
    tensors_in,
)

_FITS = {"fit", "fit_generator", "train_on_batch", "fit_on_batch", "search"}
_BATCHES = {"batch", "padded_batch", "ragged_batch"}


def call_method(
    trace: Trace, method: Method, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Return what a method yields and record what it does."""
    owner, name = method.owner, method.name
    if isinstance(owner, Model) and owner.is_torch:
        return module_method(trace, owner, name, args, kwargs, text)
    if isinstance(owner, Model):
        return _model_method(trace, owner, name, args, kwargs)
    if isinstance(owner, Layer) and owner.is_torch and name != "forward":
        return layer_method(trace, owner, name, text)
    if isinstance(owner, Layer):
        return _layer_method(trace, owner, name, args, kwargs, text)
    if isinstance(owner, Tensor):
        return tensor_method(trace, owner, name, args, kwargs, text)
    if isinstance(owner, Setting):
        if (done := setting_method(trace, owner, name, args, kwargs)) is not None:
            return done
        if name in ("apply_gradients", "minimize", "get_scaled_loss"):
            trace.record("apply", owner)
        return owner if name in ("from_config", "build") else Symbol(text)
    if isinstance(owner, list):
        return _list_method(owner, name, args, text)
    if isinstance(owner, dict):
        return _dict_method(owner, name, args, kwargs, text)
    if isinstance(owner, Instance):
        return _namespace_method(owner, name, args, kwargs, text)
    if isinstance(owner, str):
        return owner.lower() if name == "lower" else owner.upper() if name == "upper" else Symbol(text)
    return Symbol(text)


def call_unknown(
    trace: Trace, path: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Return a tensor where tensors go into a call that is not known, else a `Symbol`."""
    name = path.rsplit(".", 1)[-1]
    if name in _BATCHES:
        trace.record("batch", Symbol(path), (kwargs.get("batch_size", args[0] if args else None),))
    elif "batch_size" in kwargs and number_of(kwargs["batch_size"]) is not None:
        trace.record("batch", Symbol(path), (kwargs["batch_size"],))
    elif name in ("flow", "flow_from_directory", "flow_from_dataframe"):
        trace.record("batch", Symbol(path), (32,))
    if name == "backward" and args:
        for tensor in tensors_in(args):
            trace.record("backward", tensor)
    if name == "compile" and kwargs:
        trace.record("compile", Symbol(path), args, kwargs)
    if name in _FITS and ("epochs" in kwargs or "validation_data" in kwargs):
        trace.record("fit", Symbol(path), args, kwargs)
    if name == "ArgumentParser":
        options = Instance(None)
        trace.record("options", options)
        return options
    tensors = tensors_in([*args, *kwargs.values()])
    return Tensor(parents=tuple(tensors)) if tensors else Symbol(text)


def _model_method(
    trace: Trace, model: Model, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Value:
    if name == "add":
        model.parts.extend(parts_of(list(args)))
        return None
    if name == "pop" and model.parts:
        model.parts.pop()
        return None
    if name == "compile":
        trace.record("compile", model, _compile_arguments(model, args, kwargs), kwargs)
        return None
    if name in _FITS:
        trace.record("fit", model, args, kwargs)
        return Symbol("history")
    if name == "__init__":
        model.inputs = tuple(tensors_in(kwargs.get("inputs", args[:1])))
        model.outputs = tuple(tensors_in(kwargs.get("outputs", args[1:2])))
        return None
    if name in ("call", "__call__"):
        return call_model(trace, model, args, kwargs)
    if name == "get_layer":
        return _named_layer(model, args, kwargs)
    return model if name in ("build_graph", "model") else Symbol(name)


def _compile_arguments(model: Model, args: tuple[Value, ...], kwargs: dict[str, Value]) -> tuple[Value, ...]:
    """Name the positional arguments of an own `compile` by its parameters."""
    own = model.instance.cls.lookup("compile") if model.instance and model.instance.cls else None
    node = getattr(own, "node", None)
    if node is None or not args:
        return args
    for parameter, value in zip(node.args.args[1:], args, strict=False):
        kwargs.setdefault(parameter.arg, value)
    return ()


def _named_layer(model: Model, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
    wanted = kwargs.get("name", args[0] if args else None)
    for layer in model.layers():
        if wanted is not None and layer.kwargs.get("name") == wanted:
            return layer
    return model


def _layer_method(
    trace: Trace, layer: Layer, name: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    if name == "get_layer":
        return layer
    if name == "compile":
        trace.record("compile", layer, args, kwargs)
        return None
    if name in _FITS:
        trace.record("fit", layer, args, kwargs)
        return Symbol("history")
    tensors = tensors_in([*args, *kwargs.values()])
    return call_layer(trace, layer, args, kwargs) if tensors else Symbol(text)


def _list_method(owner: list[Value], name: str, args: tuple[Value, ...], text: str) -> Value:
    if name == "append" and args:
        owner.append(args[0])
    elif name == "extend" and args and isinstance(args[0], list | tuple):
        owner.extend(args[0][:MAX_WALK] if len(owner) < MAX_WALK else [])
    elif name == "insert" and len(args) == 2 and isinstance(args[0], int):
        owner.insert(args[0], args[1])
    elif name == "reverse":
        owner.reverse()
    elif name == "pop" and owner:
        return owner.pop(0 if args == (0,) else -1)
    elif name == "copy":
        return list(owner)
    else:
        return Symbol(text)
    return None


def _dict_method(
    owner: dict[Value, Value], name: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    if name == "get" and args and isinstance(args[0], str | int):
        return owner.get(args[0], args[1] if len(args) > 1 else None)
    if name == "items":
        return list(owner.items())
    if name == "keys":
        return list(owner)
    if name == "values":
        return list(owner.values())
    if name == "copy":
        return dict(owner)
    if name == "update":
        owner.update(args[0] if args and isinstance(args[0], dict) else kwargs)
        return None
    return Symbol(text)


def _namespace_method(
    owner: Instance, name: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Follow argparse: options with their defaults become attributes of what `parse_args` returns."""
    if name == "add_argument":
        option = next((arg for arg in args if isinstance(arg, str) and arg.startswith("--")), None)
        switched = kwargs.get("action")
        default = kwargs.get("default", switched == "store_false" if isinstance(switched, str) else None)
        if isinstance(option, str) and ("default" in kwargs or switched in ("store_true", "store_false")):
            target = kwargs.get("dest")
            key = target if isinstance(target, str) else option.lstrip("-").replace("-", "_")
            owner.attributes[key] = default
        return None
    if name in ("add_argument_group", "add_mutually_exclusive_group", "parse_args"):
        return owner
    if name == "parse_known_args":
        return (owner, [])
    return Symbol(text)
