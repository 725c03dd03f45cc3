"""Optimizer, loss and metrics: from a plan's words to Keras code, and the labels that they need.

Config keeps Keras' own name wherever the plan means one; what needs arguments or an own function comes out of
`make_optimizer`, `make_loss` or `make_metrics`, small functions that stand before `build_model`. A loss
that does not exist for the task is replaced by the nearest one that does, and the deviation says so.
"""

import re
from dataclasses import dataclass, field

from dlcodegen_local.compiler import losses, metrics
from dlcodegen_local.compiler.program import quoted
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss, canonical_optimizer

OPTIMIZERS = {
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "nadam": "Nadam",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "ftrl": "Ftrl",
    "lion": "Lion",
    "lamb": "Lamb",
    "adafactor": "Adafactor",
}


@dataclass(frozen=True)
class Targets:
    """Say what the network is to predict.

    `kind`: "classes" (one of `size`), "labels" (any of `size`), "values" (`size` numbers), "mask" (a class
    for each pixel) or "image" (pixel values). `planned_units` and `planned_activation` are those of the
    plan's last layer.
    """

    kind: str
    size: int
    planned_units: int | None = None
    planned_activation: str | None = None


@dataclass(frozen=True)
class Objective:
    """Hold everything that `model.compile` needs.

    `labels` is the form of the targets: "index", "one_hot", "binary" or "values". The head has `units`
    units and `activation`, or a planned one in `accepts`. `functions` is code for the model section,
    `compile_call` the call.
    """

    optimizer: str
    loss: str
    metric: str
    labels: str
    units: int
    activation: str | None
    accepts: frozenset[str]
    functions: str
    compile_call: str
    deviations: tuple[str, ...] = field(default_factory=tuple)


def read_objective(plan: Plan, targets: Targets) -> Objective:
    """Return code and label form for a plan's optimizer, loss and metrics."""
    deviations: list[str] = []
    choice = losses.choose_loss(plan.loss, canonical_loss(plan.loss), targets.kind, _planned_binary(targets))
    if choice.deviation:
        deviations.append(choice.deviation)
    labels, units, activation = _labels(choice.family, targets)
    logits = bool(re.search(r"from_?logits\s*=?\s*true", plan.loss, re.IGNORECASE)) and choice.code != ""
    if logits:
        activation = None
    optimizer, optimizer_code, note = _optimizer(plan.optimizer)
    deviations += [note] if note else []
    chosen = metrics.choose_metrics(plan.metric, targets.kind, labels, units, choice.name)
    deviations += chosen.deviations
    functions = [*choice.functions, *chosen.functions, optimizer_code]
    if choice.code:
        functions.append(_maker("make_loss", "loss", choice.name, choice.code))
    if chosen.codes:
        functions.append(metrics.maker(chosen))
    loss = "make_loss(config)" if choice.code else "config.loss"
    metric = "make_metrics(config)" if chosen.codes else "[config.metric]"
    call = f"model.compile(optimizer=make_optimizer(config), loss={loss}, metrics={metric})"
    return Objective(
        optimizer,
        choice.name,
        chosen.name,
        labels,
        units,
        activation,
        _accepted(choice.family, targets, logits),
        "\n\n\n".join(part.strip() for part in functions),
        call,
        tuple(deviations),
    )


def _planned_binary(targets: Targets) -> bool:
    return targets.size == 2 and (targets.planned_units == 1 or targets.planned_activation == "sigmoid")


def _labels(family: str, targets: Targets) -> tuple[str, int, str | None]:
    """Return the form of the labels, the units and the activation of the last layer."""
    size = targets.size
    if targets.kind == "image":
        return "values", size, "sigmoid"
    if targets.kind == "values":
        return "values", size, "sigmoid" if family == "binary" else None
    if targets.kind == "labels":
        return "one_hot", size, "sigmoid"
    single = size == 2 and (targets.planned_units == 1 or (targets.planned_units != 2 and family == "binary"))
    if family == "sparse":
        return "index", max(size, 2), "softmax"
    if family == "categorical":
        return "one_hot", max(size, 2), "softmax"
    if size <= 1 or single:
        return "binary", 1, "sigmoid"
    if family == "region" and targets.kind == "mask":
        return "one_hot", size, "softmax"
    return "one_hot", size, "sigmoid" if family == "binary" else "softmax"


def _accepted(family: str, targets: Targets, logits: bool) -> frozenset[str]:
    """Return the activations that a plan may keep on its last layer beside the usual one."""
    if logits:
        return frozenset({"linear"})
    if targets.kind == "image":
        return frozenset({"tanh", "linear", "relu"}) if family != "binary" else frozenset()
    if targets.kind == "values":
        if family == "binary":
            return frozenset({"softmax"})
        return frozenset(
            {"sigmoid", "relu", "softplus", "tanh", "linear", "leaky_relu", "elu", "selu", "exponential"}
        )
    if family == "binary":
        return frozenset({"softmax"}) if targets.size > 2 or targets.planned_units == 2 else frozenset()
    if family in ("sparse", "categorical"):
        return frozenset({"sigmoid"}) if family == "categorical" else frozenset()
    return frozenset({"sigmoid", "softmax", "tanh", "linear"})


def _optimizer(text: str) -> tuple[str, str, str]:
    """Return the name for Config, the code of `make_optimizer` and a deviation."""
    canonical = canonical_optimizer(text)
    known = (
        canonical if canonical in OPTIMIZERS else next((name for name in OPTIMIZERS if name in canonical), "")
    )
    note = ""
    if not known:
        known = "adam"
        if text.strip():
            note = f"optimizer adam: Keras has no {text!r}"
    extras = _extras(known, text)
    body = (
        'settings = {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}}\n'
        "    return keras.optimizers.get(settings)"
    )
    if extras:
        short = f"keras.optimizers.{OPTIMIZERS[known]}(learning_rate=config.learning_rate, {extras})"
        body = f'if config.optimizer == "{known}":\n        return {short}\n    {body}'
    code = (
        "def make_optimizer(config: Config) -> keras.optimizers.Optimizer:\n"
        '    """Return the optimizer that `config.optimizer` names."""\n'
        f"    {body}\n"
    )
    return known, code, note


def _extras(name: str, text: str) -> str:
    """Return the arguments that a plan states beside the learning rate."""
    lowered = text.lower()
    parts = []
    if name == "sgd" and (match := re.search(r"momentum\D{0,12}(0?\.\d+)?", lowered)):
        parts.append(f"momentum={float(match.group(1) or 0.9)}")
        if "nesterov" in lowered:
            parts.append("nesterov=True")
    if name == "adam" and "amsgrad" in lowered:
        parts.append("amsgrad=True")
    match = re.search(r"weight[ _]?decay\D{0,12}(\d+(?:\.\d+)?(?:e-?\d+)?)", lowered)
    if match and 0 < float(match.group(1)) < 1:
        parts.append(f"weight_decay={float(match.group(1))}")
    if match := re.search(r"clip_?(norm|value)\D{0,6}(\d+(?:\.\d+)?)", lowered):
        parts.append(f"clip{match.group(1)}={float(match.group(2))}")
    if match := re.search(r"beta_?1\D{0,6}(0?\.\d+)", lowered):
        parts.append(f"beta_1={float(match.group(1))}" if name.startswith(("adam", "nadam")) else "")
    if re.search(r"\bswa\b|averag|\bema\b", lowered):
        parts.append("use_ema=True")
    return ", ".join(part for part in parts if part)


def _maker(function: str, field_name: str, value: str, code: str) -> str:
    """Return a function that knows one name of the plan and passes Keras' names through."""
    return (
        f"def {function}(config: Config):\n"
        f'    """Return the {field_name}; `config.{field_name}` may also be any name that Keras knows."""\n'
        f"    if config.{field_name} == {quoted(value)}:\n"
        f"        return {code}\n"
        f"    return config.{field_name}\n"
    )
