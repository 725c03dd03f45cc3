"""Attributes and items of symbolic values."""

import re

from dlcodegen_local.plan.extraction_torch_bases import MODULE_METHODS
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
)

CONFIG_NAMES = re.compile(
    r"(?:self\.)?_?(?:config|cfg|args|hp|hparams|params|conf|opt|flags|settings|options)", re.I
)
CONFIG_CLASS = re.compile(r"config|cfg|args|param|setting|option|hyper|conf$", re.I)


def attribute_of(owner: Value, name: str, module: Scope) -> Value:
    """Return an attribute; one of an unknown configuration comes from the code's Config class."""
    if isinstance(owner, Dotted):
        return Dotted(f"{owner.path}.{name}")
    if isinstance(owner, Instance):
        return _instance_attribute(owner, owner, name)
    if isinstance(owner, ClassValue):
        found = owner.lookup(name)
        return Symbol(f"{owner.name}.{name}") if found is None and name not in owner.attributes else found
    if isinstance(owner, Super):
        return _inherited(owner, name)
    if isinstance(owner, Model):
        return _model_attribute(owner, name)
    if isinstance(owner, Layer):
        return _layer_attribute(owner, name)
    if isinstance(owner, Tensor):
        if name == "shape" and owner.is_torch:
            return Symbol("shape")
        if name in ("data", "T", "mT", "values", "last_hidden_state", "logits") and owner.is_torch:
            return owner if name == "data" else Tensor(parents=(owner,), is_torch=True)
        if name == "shape":
            return (None, *owner.shape) if owner.shape is not None else Symbol("shape")
        return Method(owner, name)
    if isinstance(owner, Symbol):
        if CONFIG_NAMES.fullmatch(owner.text) and (default := config_default(module, name)) is not None:
            return default
        return Symbol(f"{owner.text}.{name}")
    if isinstance(owner, list | dict | str | Setting):
        return Method(owner, name)
    return Symbol(name)


def config_default(module: Scope, name: str) -> Value | None:
    """Return the default that the code's configuration class has for a name."""
    for value in module.names.values():
        if isinstance(value, ClassValue) and not value.kind and CONFIG_CLASS.search(value.name):
            found = value.lookup(name)
            if found is not None and not isinstance(found, Function):
                return found
    return None


def subscript_of(owner: Value, key: Value, text: str) -> Value:
    """Return an item of a value."""
    if isinstance(owner, dict):
        if isinstance(key, Symbol) and (choices := list(owner.values())) and all(map(_is_callable, choices)):
            return choices[0]  # Which one is not known: the first that the code lists.
        return owner.get(key, Symbol(text)) if isinstance(key, str | int | float) else Symbol(text)
    if isinstance(owner, Dotted) and isinstance(key, str):
        return Dotted(f"{owner.path.removesuffix('.__dict__')}.{key}")
    if isinstance(owner, list | tuple | str):
        if isinstance(key, int) and -len(owner) <= key < len(owner):
            return owner[key]
        return (
            owner[0]
            if isinstance(owner, list | tuple) and owner and isinstance(key, Symbol)
            else Symbol(text)
        )
    if isinstance(owner, Tensor):
        is_whole = key == 0 and owner.is_torch and _returns_states(owner.producer)
        return owner if is_whole else Tensor(parents=(owner,), is_torch=owner.is_torch)
    if isinstance(owner, Model) and owner.is_torch:
        if owner.base is None and isinstance(key, int) and -len(owner.parts) <= key < len(owner.parts):
            return owner.parts[key]
        return owner
    if isinstance(owner, Layer):
        return owner
    if isinstance(owner, Instance) and isinstance(key, str):
        return owner.attributes.get(key, Symbol(text))
    return Symbol(text)


def _is_callable(value: Value) -> bool:
    return isinstance(value, Dotted | ClassValue | Function | Partial)


def _returns_states(producer: Layer | Model | None) -> bool:
    """Say whether what made a tensor puts out a tuple, of which the tensor is the first item."""
    layers = producer.layers() if isinstance(producer, Model) else [producer] if producer else []
    return any(
        layer.name in ("LSTM", "GRU", "SimpleRNN", "Bidirectional", "MultiHeadAttention") for layer in layers
    )


def _instance_attribute(owner: Value, instance: Instance, name: str) -> Value:
    if name in instance.attributes:
        return instance.attributes[name]
    if name == "__dict__":
        return instance.attributes
    found = instance.cls.lookup(name) if instance.cls else None
    if isinstance(found, Function):
        return Function(found.node, found.scope, owner)
    if found is not None or (instance.cls and name in instance.cls.attributes):
        return found
    return Method(instance, name) if instance.cls is None or name == "replace" else Symbol(name)


def _inherited(owner: Super, name: str) -> Value:
    for base in owner.cls.bases:
        found = base.lookup(name) if isinstance(base, ClassValue) else None
        if isinstance(found, Function):
            return Function(found.node, found.scope, owner.owner)
    return Method(owner.owner, name) if isinstance(owner.owner, Model) else Symbol("super")


def _model_attribute(model: Model, name: str) -> Value:
    if model.instance is not None:
        found = _instance_attribute(model, model.instance, name)
        overridden = isinstance(found, Function) and name in ("compile", "fit", "summary", "build_graph")
        if not isinstance(found, Symbol | Method) and not overridden:
            return found
    if model.is_torch:
        return _module_attribute(model, name)
    if name in ("input", "inputs"):
        return list(model.inputs) if name == "inputs" else (model.inputs[0] if model.inputs else Tensor())
    if name in ("output", "outputs"):
        outputs = list(model.outputs) or [Tensor(producer=model)]
        if model.order < 0 and not model.outputs:
            model.order = 0
        return outputs if name == "outputs" else outputs[0]
    if name == "layers":
        return model.layers()
    if name in (
        "input_shape",
        "output_shape",
        "optimizer",
        "loss",
        "trainable_variables",
        "trainable_weights",
    ):
        return Symbol(f"model.{name}")
    return Method(model, name)


def _module_attribute(model: Model, name: str) -> Value:
    """Return an attribute of a PyTorch model; what a pretrained architecture is made of stands for it."""
    if name in MODULE_METHODS or name == "__init__":
        return Method(model, name)
    if model.base is None or name in (
        "config",
        "training",
        "device",
        "dtype",
        "in_features",
        "out_features",
        "in_channels",
    ):
        return Symbol(name)
    return model


def _layer_attribute(layer: Layer, name: str) -> Value:
    if name == "output":
        return Tensor(producer=layer, shape=layer.shape)
    if name in ("input", "inputs"):
        tensor = layer.kwargs.get("input_tensor")
        return tensor if isinstance(tensor, Tensor) else Tensor()
    if name == "layers" and layer.is_base:
        return layer  # Whatever is taken out of a base stands for the base.
    return Method(layer, name)
