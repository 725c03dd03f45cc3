"""What PyTorch's names mean when code is read: modules, functions, optimizers, losses, loaders, trainers.

Everything comes out in Keras' words. Covers `torch.nn`, `torch.nn.functional`, `torch.optim`, data loaders,
torchmetrics, Lightning and Hugging Face trainers; other libraries' modules keep their own names.
"""

import re

from dlcodegen_local.plan.extraction_keras import parts_of
from dlcodegen_local.plan.extraction_shapes import layer_shape
from dlcodegen_local.plan.extraction_torch_bases import torch_base
from dlcodegen_local.plan.extraction_torch_flow import use_function
from dlcodegen_local.plan.extraction_torch_names import has_no_weights, translate_layer
from dlcodegen_local.plan.extraction_trace import Trace
from dlcodegen_local.plan.extraction_values import (
    Dotted,
    Layer,
    Model,
    Parameters,
    Setting,
    Symbol,
    Tensor,
    Value,
    tensors_in,
    walk,
)

_SHORT = {"nn": "torch.nn", "F": "torch.nn.functional", "optim": "torch.optim"}
_ROOTS = re.compile(
    r"(?:torch|torchvision|torchaudio|torchmetrics|pytorch_lightning|lightning|timm|torch_geometric|"
    r"transformers|segmentation_models_pytorch|smp|monai|accelerate|bitsandbytes|torch_optimizer|pl|L)\."
)
_LOSSES = {
    "CrossEntropyLoss": "sparse_categorical_crossentropy",
    "NLLLoss": "sparse_categorical_crossentropy",
    "NLLLoss2d": "sparse_categorical_crossentropy",
    "BCELoss": "binary_crossentropy",
    "BCEWithLogitsLoss": "binary_crossentropy",
    "MultiLabelSoftMarginLoss": "binary_crossentropy",
    "MSELoss": "mean_squared_error",
    "L1Loss": "mean_absolute_error",
    "SmoothL1Loss": "huber",
    "HuberLoss": "huber",
    "CTCLoss": "ctc",
    "KLDivLoss": "kl_divergence",
    "TripletMarginLoss": "triplet",
    "TripletMarginWithDistanceLoss": "triplet",
    "CosineEmbeddingLoss": "cosine_similarity",
    "PoissonNLLLoss": "poisson",
    "HingeEmbeddingLoss": "hinge",
    "MultiMarginLoss": "categorical_hinge",
    "cross_entropy": "sparse_categorical_crossentropy",
    "nll_loss": "sparse_categorical_crossentropy",
    "binary_cross_entropy": "binary_crossentropy",
    "binary_cross_entropy_with_logits": "binary_crossentropy",
    "mse_loss": "mean_squared_error",
    "l1_loss": "mean_absolute_error",
    "smooth_l1_loss": "huber",
    "huber_loss": "huber",
    "ctc_loss": "ctc",
    "kl_div": "kl_divergence",
    "triplet_margin_loss": "triplet",
    "sigmoid_focal_loss": "focal_loss",
    "gaussian_nll_loss": "gaussian_nll_loss",
}
_RATES = {
    "Adadelta": 1.0,
    "Adagrad": 0.01,
    "Adam": 0.001,
    "AdamW": 0.001,
    "Adamax": 0.002,
    "NAdam": 0.002,
    "RAdam": 0.001,
    "RMSprop": 0.01,
    "SGD": 0.001,
}
_LIST_CONTAINERS = {"ModuleList", "ParameterList"}
_WRAPPERS = {"DataParallel", "DistributedDataParallel", "compile", "script", "prepare"}
_LOADERS = {"DataLoader", "DataListLoader", "NeighborLoader", "BucketIterator"}
_VARIANT = re.compile(r"^(?:Multiclass|Multilabel|Binary)(?=[A-Z])")
_NO_LAYERS = {"Module", "Parameter", "Buffer"}


def torch_path(function: Dotted | Symbol, has_star: bool) -> str | None:
    """Return the full path of something of PyTorch's world, None for anything else.

    `has_star` tells whether the code imports all names of `torch.nn`.
    """
    path = function.path if isinstance(function, Dotted) else function.text
    if isinstance(function, Symbol):
        head, _, rest = path.partition(".")
        if head in _SHORT and re.fullmatch(r"[\w.]+", rest):
            return f"{_SHORT[head]}.{rest}"
        is_module = has_star and (path in _LOSSES or translate_layer(path, (), {}) is not None)
        return f"torch.nn.{path}" if is_module or (has_star and path == "Sequential") else None
    return path if _ROOTS.match(path) else None


def torch_call(
    trace: Trace, path: str, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value | None:
    """Return what calling a name of PyTorch's world yields, None where nothing is known of it."""
    name = path.rsplit(".", 1)[-1]
    if name in _WRAPPERS and args and ("torch" in path or name == "prepare"):
        return args[0] if len(args) == 1 or name != "prepare" else list(args)
    if (base := torch_base(trace, path, args, kwargs)) is not None:
        return base
    if setting := _setting(trace, path, name, args, kwargs):
        return setting
    if name in _LOADERS:
        _record_loader(trace, path, args, kwargs)
        return Symbol(text)
    if name == "TrainingArguments" or name == "Seq2SeqTrainingArguments":
        return _training_arguments(trace, kwargs, text)
    if name in _LOSSES and name.islower() and path.startswith("torch"):
        return called_loss(trace, Setting("loss", _LOSSES[name]), args, kwargs)
    if re.match(r"torch(?:\.nn\.functional|\.special)?\.[a-z]\w*$", path):
        return use_function(trace, name, args, kwargs)
    return _module(trace, path, name, args, kwargs)


def called_loss(trace: Trace, setting: Setting, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Tensor:
    """Return the tensor of a loss, and note that the code computes it."""
    tensor = Tensor(parents=tuple(tensors_in([*args, *kwargs.values()])), is_torch=True)
    trace.record("loss call", setting, (tensor,))
    return tensor


def call_setting(
    trace: Trace, setting: Setting, args: tuple[Value, ...], kwargs: dict[str, Value], text: str
) -> Value:
    """Return what calling a loss, a metric or the like yields."""
    if setting.kind == "loss":
        return called_loss(trace, setting, args, kwargs)
    tensors = tensors_in([*args, *kwargs.values()])
    return Tensor(parents=tuple(tensors)) if tensors else Symbol(text)


def call_torch_layer(trace: Trace, layer: Layer, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Tensor:
    """Return the tensor that a layer of PyTorch puts out; one without weights counts for each use."""
    inputs = tensors_in([*args, *kwargs.values()])[:8]
    if has_no_weights(layer) and trace.following:
        layer = trace.use_of(layer, *inputs[:1])
    output = trace.used(layer, *inputs)
    output.shape = layer_shape(layer, [inputs[0].shape or layer.takes if inputs else layer.takes])
    return output


def _setting(
    trace: Trace, path: str, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Setting | None:
    if ".lr_scheduler." in path or (name.startswith("get_") and "schedule" in name):
        return Setting("schedule", name, args, kwargs)
    if re.search(r"(?:\.|_)optim(?:izer|ization)?\.[A-Z]\w*$", path) or name in ("AdamW", "Adafactor"):
        rate = kwargs.get("lr", kwargs.get("learning_rate", args[1] if len(args) > 1 else _RATES.get(name)))
        setting = Setting("optimizer", name, (), {"learning_rate": _group_rate(rate, args)})
        trace.record("optimizer", setting, args[:1] or tuple(kwargs.values())[:1])
        return setting
    if (name in _LOSSES and name[:1].isupper()) or re.fullmatch(r"[A-Z]\w*Loss", name):
        setting = Setting("loss", _LOSSES.get(name, name), (), kwargs)
        trace.record("loss", setting)
        return setting
    if "torchmetrics" in path or (".metrics." in path and name[:1].isupper()):
        setting = Setting("metric", _VARIANT.sub("", name), args, kwargs)
        trace.record("metric", setting)
        return setting
    if name == "Trainer":
        for key, kind in (("max_epochs", "epochs"), ("args", "arguments")):
            if key in kwargs:
                trace.record(kind, Symbol("Trainer"), (kwargs[key],))
        return Setting("trainer", name, args, kwargs)
    return None


def _group_rate(rate: Value, args: tuple[Value, ...]) -> Value:
    """Return the rate of the first group of weights that has its own, else that of the optimizer."""
    groups = args[0] if args and isinstance(args[0], list) else []
    own = [group["lr"] for group in groups if isinstance(group, dict) and "lr" in group]
    return own[0] if own and len(own) == len(groups) else rate


def _record_loader(trace: Trace, path: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> None:
    sampler = kwargs.get("batch_sampler")
    size = kwargs.get("batch_size", args[1] if len(args) > 1 else None if sampler is not None else 1)
    trace.record("batch", Symbol(path), (size,))


def _training_arguments(trace: Trace, kwargs: dict[str, Value], text: str) -> Symbol:
    rate = kwargs.get("learning_rate", 5e-5)
    trace.record("optimizer", Setting("optimizer", "AdamW", (), {"learning_rate": rate}))
    trace.record("epochs", Symbol("Trainer"), (kwargs.get("num_train_epochs", 3),))
    trace.record("batch", Symbol("Trainer"), (kwargs.get("per_device_train_batch_size", 8),))
    return Symbol(text)


def _module(
    trace: Trace, path: str, name: str, args: tuple[Value, ...], kwargs: dict[str, Value]
) -> Value | None:
    is_nn = path.startswith(("torch.nn.", "torch_geometric.nn.", "torchvision.ops.", "monai.networks."))
    if not is_nn or not name[:1].isupper() or name in _NO_LAYERS or ".utils." in path or ".init." in path:
        return None
    if name == "Sequential":
        return trace.new_model(Model(parts=sequence_parts(trace, args), is_torch=True))
    if name in _LIST_CONTAINERS:
        value = args[0] if args else []
        return list(value) if isinstance(value, list | tuple) else value
    if name == "ModuleDict":
        value = args[0] if args else {}
        return dict(value) if isinstance(value, dict) else value
    layers = translate_layer(name, args, kwargs) if path.startswith("torch.nn.") else None
    if layers is None:
        layers = [Layer(name, args[1:] if "Conv" in name else args, kwargs)]
    for layer in layers:
        layer.is_torch = True
        trace.new_layer(layer)
    if len(layers) == 1:
        return layers[0]
    return trace.new_model(Model(parts=list(layers), is_torch=True))


def sequence_parts(trace: Trace, value: Value) -> list[Layer | Model]:
    """Return the parts of a sequence; a module without weights that is given twice counts twice."""
    parts: list[Layer | Model] = []
    seen: set[int] = set()
    for part in parts_of(value):
        if isinstance(part, Layer) and id(part) in seen and has_no_weights(part):
            part = trace.new_layer(Layer(part.name, part.args, part.kwargs, is_torch=True))
        seen.add(id(part))
        parts.append(part)
    return parts


def owners_of(value: Value) -> list[Layer | Model]:
    """Return the models and layers whose weights are in a value."""
    return [item.owner for item in walk(value) if isinstance(item, Parameters)]
