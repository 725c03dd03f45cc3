"""Read the fields of a plan off the record of a reading: the model, its settings and its shapes."""

import ast
import re
from collections.abc import Callable

from dlcodegen_local.plan.extraction_attributes import config_default
from dlcodegen_local.plan.extraction_keras import sequential_shape
from dlcodegen_local.plan.extraction_models import main_models
from dlcodegen_local.plan.extraction_scan import called_losses, named_metrics
from dlcodegen_local.plan.extraction_torch_bases import head_loss
from dlcodegen_local.plan.extraction_trace import Event, Trace
from dlcodegen_local.plan.extraction_values import (
    ClassValue,
    Dotted,
    Function,
    Layer,
    Model,
    Scope,
    Setting,
    Symbol,
    Tensor,
    Value,
    number_of,
    value_text,
    walk,
)
from dlcodegen_local.plan.vocabulary import (
    canonical_loss,
    canonical_metric,
    canonical_optimizer,
    is_known_loss,
    is_known_metric,
)

DEFAULT_BATCH_SIZE = 32
_DEFAULT_RATES = {
    "adam": 0.001,
    "adamw": 0.001,
    "adamax": 0.001,
    "nadam": 0.001,
    "rmsprop": 0.001,
    "adagrad": 0.001,
    "adadelta": 0.001,
    "ftrl": 0.001,
    "sgd": 0.01,
    "lion": 0.001,
    "adafactor": 0.001,
    "rectified_adam": 0.001,
}
_EPOCHS = ("epochs", "num_epochs", "EPOCHS", "NUM_EPOCHS", "n_epochs")
_RATE_KEYS = ("learning_rate", "lr", "initial_learning_rate", "max_lr", "initial_lr", "base_lr")


class Fields:
    """Answer for each field of a plan; `""` or None where the code leaves it open."""

    def __init__(self, trace: Trace, module: Scope, tree: ast.Module) -> None:
        self.trace = trace
        self.module = module
        self.tree = tree
        self.models = main_models(trace)
        self.fit = self._main_fit()
        self.compile = _main_compile(trace, self.models, self.fit)

    def layers(self) -> list[Layer]:
        """Return the layers of the main models in order, each once."""
        found: dict[int, Layer] = {}
        for model in self.models:
            for layer in model.layers():
                found.setdefault(id(layer), layer)
        if not found:
            used = sorted(
                (layer for layer in self.trace.layers if layer.order >= 0), key=lambda layer: layer.order
            )
            nested = {id(inner) for layer in self.trace.layers for inner in _wrapped(layer)}
            found = {id(layer): layer for layer in used or self.trace.layers if id(layer) not in nested}
        return list(found.values())

    def optimizer(self) -> str:
        """Return the canonical name of the optimizer."""
        value = self._optimizer_value()
        if isinstance(value, Setting):
            return canonical_optimizer(value.name)
        if isinstance(value, str):
            return canonical_optimizer(value)
        if isinstance(value, Symbol | Dotted):
            name = canonical_optimizer(value_text(value))
            return name if name in _DEFAULT_RATES else self._config_text("optimizer", canonical_optimizer)
        return self._config_text("optimizer", canonical_optimizer)

    def learning_rate(self) -> float | None:
        """Return the (first) learning rate, Keras' default where the code names only an optimizer."""
        value = self._optimizer_value()
        rate = _rate_of(value) if isinstance(value, Setting) else None
        if rate is None and not (isinstance(value, Setting) and not value.args and not value.kwargs):
            rate = self._config_number("learning_rate", "lr", "LEARNING_RATE", "LR")
        if rate is None and value is not None and not (isinstance(value, Setting) and _names_rate(value)):
            rate = _DEFAULT_RATES.get(self.optimizer())
        return float(rate) if rate is not None and 0 < rate <= 1e4 else None

    def loss(self) -> str:
        """Return the canonical name of the loss, an own loss function's name as it is."""
        value = _argument(self.compile, "loss", 1)
        if value is None and self.compile is not None:
            value = next((item for key, item in self.compile.kwargs.items() if "loss" in key), None)
        if name := _loss_name(value):
            return name
        if value is None and (computed := self._computed_loss()):
            return computed
        return self._config_text("loss", canonical_loss) or (
            canonical_loss(value_text(value)) if isinstance(value, Symbol) else ""
        )

    def _computed_loss(self) -> str:
        """Return the loss that a training loop computes: one it goes back from, else one that it names."""
        configured = self._config_text("loss", canonical_loss)
        own = [canonical_loss(event.owner.name) for event in self.trace.of_kind("own loss")]
        if configured and configured in own:
            return configured
        calls = self.trace.of_kind("loss call")
        starts = [event.owner for event in self.trace.of_kind("backward")]
        behind = _ancestors(starts)
        names = [event.owner.name for event in calls if id(event.args[0]) in behind]
        names = names or [event.owner.name for event in calls]
        names = names or [event.owner.name for event in self.trace.of_kind("loss")]
        names = names or [name for layer in self.layers() if (name := head_loss(layer))]
        names = names or called_losses(self.tree)
        names = names or [event.owner.name for event in self.trace.of_kind("own loss")]
        known = [name for name in names if is_known_loss(canonical_loss(name))]
        return canonical_loss((known or names or [""])[0])

    def metrics(self) -> list[str]:
        """Return the canonical names of all metrics, those of `compile` first."""
        items = list(walk(_argument(self.compile, "metrics", 2)))
        items += [event.owner for event in self.trace.of_kind("metric")]
        names = [name for item in items if (name := _metric_name(item)) and name != "mean"]
        if self.compile is None:
            names += named_metrics(self.tree)
        if configured := self._config_text("metric", canonical_metric):
            names = [configured, *names] if self.compile is None else [*names, configured]
        return list(dict.fromkeys(names))

    def metric(self) -> str:
        """Return the canonical name of the first metric."""
        return next(iter(self.metrics()), "")

    def batch_size(self) -> int | None:
        """Return the batch size of the training, Keras' default where arrays are fitted without one."""
        if self.fit is not None and (size := _whole(self.fit.kwargs.get("batch_size"))):
            return size
        sizes = [
            size for event in self.trace.of_kind("batch") if (size := _whole(event.args[0])) and size > 1
        ]
        configured = _whole(self._config_number("batch_size", "BATCH_SIZE", "bs", "BS", "batch"))
        if configured is not None and (configured in sizes or not sizes):
            return configured
        default = DEFAULT_BATCH_SIZE if self.fit is not None and len(self.fit.args) > 1 else None
        return sizes[0] if sizes else default

    def epochs(self) -> int | None:
        """Return the number of epochs of the training."""
        epochs = _whole(_epochs_of(self.fit)) if self.fit is not None else None
        if epochs is not None and (epochs > 1 or not self.trace.of_kind("epochs")):
            return epochs
        for event in self.trace.of_kind("epochs"):
            if epochs := _whole(event.args[0]):
                return epochs
        loops = [epochs for event in self.trace.of_kind("loop") if (epochs := _whole(event.args[0]))]
        if loops:
            return loops[-1]
        found = _whole(self._config_number(*_EPOCHS))
        return found or (1 if self.fit is not None and _epochs_of(self.fit) is None else None)

    def input_shape(self) -> str:
        """Return the input shapes as "(batch_size, 224, 224, 3)"; several are joined by ";"."""
        shapes = [layer.shape for layer in self.layers() if layer.name == "Input" and layer.shape is not None]
        if not shapes:
            for layer in self.layers():
                declared = layer.kwargs.get("input_shape", layer.kwargs.get("batch_input_shape"))
                length = layer.kwargs.get("input_length", layer.kwargs.get("input_dim"))
                if isinstance(declared, tuple | list):
                    shapes.append(tuple(declared))
                elif length is not None and layer.name in ("Embedding", "Dense"):
                    shapes.append(
                        (length,) if layer.name == "Dense" or "input_length" in layer.kwargs else ()
                    )
                if shapes:
                    break
        if not shapes and (first := self._torch_input()):
            return first
        return "; ".join(shape_text(shape) for shape in shapes if shape)

    def _torch_input(self) -> str:
        """Return what the first layer of a PyTorch model of one input says that it takes, channels last."""
        layers = self.layers()
        takes = layers[0].takes if layers else None
        if takes is None or len(self.models) != 1 or len(self.models[0].inputs) > 1:
            return ""
        axes = {3: ["height", "width"], 4: ["depth", "height", "width"]}.get(len(takes), [])
        known = layers[0].name.startswith(("Conv2D", "Conv3D", "Dense"))
        if number_of(takes[-1]) is None or not known:
            return ""
        return f"({', '.join(['batch_size', *axes, str(takes[-1])])})"

    def output_shape(self) -> str:
        """Return the shapes that the main model puts out, "" where they are not known."""
        shapes: list[tuple[Value, ...]] = []
        for model in self.models[:1]:
            shapes = [output.shape for output in model.outputs if output.shape is not None]
            if not model.outputs and (shape := sequential_shape(model, [Tensor()])):
                shapes = [shape]
        return "; ".join(shape_text(shape) for shape in shapes)

    def _main_fit(self) -> Event | None:
        """Return the training of the main model: for the configured epochs, else the first longest one."""
        fits = self.trace.of_kind("fit")
        owned = [event for event in fits if any(event.owner is model for model in self.models)]
        configured = _whole(self._config_number(*_EPOCHS))
        for event in owned:
            if configured is not None and _whole(_epochs_of(event)) == configured:
                return event
        return max(owned or fits, key=lambda event: _whole(_epochs_of(event)) or 0, default=None)

    def _optimizer_value(self) -> Value:
        value = _argument(self.compile, "optimizer", 0)
        if value is None and self.compile is not None:
            value = next((item for key, item in self.compile.kwargs.items() if "opt" in key), None)
        if value is not None and not (isinstance(value, Symbol) and self.trace.of_kind("optimizer")):
            return value
        events = self.trace.of_kind("apply") or self.trace.of_kind("optimizer")
        return events[0].owner if events else value

    def _config_text(self, name: str, canonical: Callable[[str], str]) -> str:
        for value in self._config_values(name, name.upper()):
            if isinstance(value, str):
                return canonical(value)
        return ""

    def _config_number(self, *names: str) -> float | int | None:
        for value in self._config_values(*names):
            if (number := number_of(value)) is not None:
                return number
        return None

    def _config_values(self, *names: str) -> list[Value]:
        found = [self.module.names.get(name) for name in names]
        found += [config_default(self.module, name) for name in names]
        for table in self.module.names.values():
            if isinstance(table, dict):
                found += [table.get(name) for name in names]
        for event in self.trace.of_kind("options"):
            found += [event.owner.attributes.get(name) for name in names]
        return [
            value for value in found if value is not None and not isinstance(value, Function | ClassValue)
        ]


def shape_text(shape: tuple[Value, ...]) -> str:
    """Return a shape with its batch axis, as a plan writes it."""
    return f"({', '.join(['batch_size', *(value_text(axis) for axis in shape)])})"


def _main_compile(trace: Trace, models: list[Model], fit: Event | None) -> Event | None:
    """Return the last compilation of the main model before its training."""
    found: Event | None = None
    for event in trace.events:
        if event is fit and found is not None:
            break
        if event.kind == "compile" and any(event.owner is model for model in models):
            found = event
    events = trace.of_kind("compile")
    return found or (events[-1] if events else None)


def _ancestors(tensors: list[Tensor]) -> set[int]:
    """Return the ids of tensors and of all that they were computed from."""
    found: set[int] = set()
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in found:
            found.add(id(tensor))
            waiting.extend(tensor.parents)
    return found


def _epochs_of(event: Event) -> Value:
    return event.kwargs.get("epochs", event.kwargs.get("nb_epoch"))


def _wrapped(layer: Layer) -> list[Layer]:
    return [value for value in (*layer.args, *layer.kwargs.values()) if isinstance(value, Layer)]


def _argument(event: Event | None, name: str, position: int) -> Value:
    if event is None:
        return None
    if name in event.kwargs:
        return event.kwargs[name]
    return event.args[position] if position < len(event.args) else None


def _names_rate(setting: Setting) -> bool:
    return bool(setting.args) or any(key in setting.kwargs for key in _RATE_KEYS)


def _rate_of(setting: Setting) -> float | int | None:
    keys = ("warmup_target", *_RATE_KEYS)
    value = next((setting.kwargs[key] for key in keys if setting.kwargs.get(key) is not None), None)
    if value is None and setting.args:
        value = setting.args[0]
    if isinstance(value, Setting):
        return _rate_of(value)
    if isinstance(value, list | tuple) and value:
        value = value[0]
    return number_of(value)


def _loss_name(value: Value) -> str:
    for item in walk(value):
        if isinstance(item, Setting):
            return canonical_loss(item.name)
        if isinstance(item, str):
            return canonical_loss(item)
        if isinstance(item, Dotted):
            return canonical_loss(item.name)
        if isinstance(item, Function):
            return canonical_loss(value_text(item)) if hasattr(item.node, "name") else "custom_loss"
        if isinstance(item, Symbol) and re.fullmatch(r"[\w.]+", item.text) and item.text != "loss":
            return canonical_loss(item.text.rsplit(".", 1)[-1])
    return ""


def _metric_name(value: Value) -> str:
    if isinstance(value, Setting):
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", value.name).lower()
        return canonical_metric(value.name) if is_known_metric(value.name) else snake
    if isinstance(value, str):
        return canonical_metric(value)
    if isinstance(value, Dotted):
        return canonical_metric(value.name)
    if isinstance(value, Function):
        return canonical_metric(value_text(value))
    if isinstance(value, Symbol) and value.text.isidentifier() and value.text not in ("metrics", "metric"):
        return canonical_metric(value.text)
    return ""


def _whole(value: Value) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and 1 <= number <= 10**6 and number == int(number) else None
