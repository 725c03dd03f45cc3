"""Methods of PyTorch modules, and calls of them."""

from dlcodegen_local.plan.extraction_keras import sequential_shape
from dlcodegen_local.plan.extraction_torch import called_loss, sequence_parts
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    Layer,
    Model,
    Parameters,
    Setting,
    Symbol,
    Tensor,
    Value,
    tensors_in,
)

_WEIGHTS = {"parameters", "named_parameters", "state_dict"}
_PIECES = 8  # More than code cuts off a pretrained architecture.


def is_own_loss(model: Model) -> bool:
    """Say whether a module is a loss of the code's own, going by the name of its class."""
    cls = model.instance.cls if model.instance is not None else None
    return cls is not None and any(word in cls.name.lower() for word in ("loss", "criterion"))


def call_module(trace: Trace, model: Model, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
    """Return the tensors that a module puts out."""
    inputs = tensors_in([*args, *kwargs.values()])[:8]
    if is_own_loss(model) and model.instance is not None and model.instance.cls is not None:
        return called_loss(trace, Setting("loss", model.instance.cls.name), args, kwargs)
    if not model.parts and not model.held and model.instance is None:
        return inputs[0] if inputs else Tensor(is_torch=True)
    if len(model.outputs) > 1:
        outputs = [trace.used(model, *inputs) for _ in model.outputs]
        for output, known in zip(outputs, model.outputs, strict=True):
            output.shape = known.shape
        return outputs
    output = trace.used(model, *inputs)
    if model.outputs:
        output.shape = model.outputs[0].shape
    elif model.instance is None:
        output.shape = sequential_shape(model, inputs)
    return output


def module_method(
    trace: Trace, model: Model, name: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Return what a method of a module yields and record what it does."""
    if name in _WEIGHTS:
        return Parameters(model)
    if name in ("forward", "__call__"):
        return call_module(trace, model, args, kwargs)
    if name in ("children", "modules", "named_children", "named_modules"):
        return _pieces(model, name)
    if name == "__init__":
        model.parts.extend(sequence_parts(trace, args))
        return None
    if name in ("add_module", "register_module", "append", "insert", "extend"):
        return _extend(trace, model, name, args)
    if name in ("backward", "manual_backward"):
        for tensor in tensors_in(args):
            trace.record("backward", tensor)
        return None
    if name in ("optimizers", "log", "log_dict", "register_buffer", "generate", "zero_grad", "get_parameter"):
        return Symbol(text)
    return model


def layer_method(trace: Trace, layer: Layer, name: str, text: str) -> Value:
    """Return what a method of a layer of PyTorch yields, as far as it is no use of the layer."""
    if name in _WEIGHTS:
        return Parameters(layer)
    return (
        layer if name in ("to", "cuda", "cpu", "train", "eval", "apply", "requires_grad_") else Symbol(text)
    )


def setting_method(
    trace: Trace, setting: Setting, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Value | None:
    """Record a training step or a training by a trainer; None where the method is something else."""
    if setting.kind == "optimizer" and name == "step":
        trace.record("apply", setting)
        return Symbol("step")
    if setting.kind == "trainer" and name in ("fit", "train"):
        model = args[0] if args else kwargs.get("model", setting.kwargs.get("model"))
        epochs = setting.kwargs.get("max_epochs")
        if isinstance(model, Model):
            trace.record("fit", model, (), {} if epochs is None else {"epochs": epochs})
        return Symbol("fit")
    if setting.kind == "loss" and name in ("to", "cuda"):
        return setting
    if setting.kind == "loss" and name == "forward":
        return called_loss(trace, setting, args, kwargs)
    return None


def _pieces(model: Model, name: str) -> Value:
    parts: list[Value] = list(model.parts or model.held)
    if model.base is not None:
        parts = [model.base] * _PIECES
    return [(str(index), part) for index, part in enumerate(parts)] if name.startswith("named") else parts


def _extend(trace: Trace, model: Model, name: str, args: tuple[Value, ...]) -> Value:
    value = list(args[-1]) if name == "extend" and args and isinstance(args[-1], list) else list(args[-1:])
    parts = sequence_parts(trace, value)
    if model.instance is None:
        model.parts.extend(parts)
        return model
    model.held.extend(parts)
    if name != "extend" and len(args) == 2 and isinstance(args[0], str):
        model.instance.attributes[args[0]] = args[1]
    return model
