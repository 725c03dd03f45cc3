"""Where a plan's values live in code: defaults of `Config`, sizes, and their slots in a template.

Guarantees that code in which values were put differs from the original in these values only. A loss
that needs labels in another form than the code makes, and names that Keras does not know, are left
as they are and reported.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.generation.syntax import (
    config_class,
    config_defaults,
    config_fields,
    parse_module,
)
from dlcodegen_local.plan.extraction import extract
from dlcodegen_local.plan.extraction_canonical import canonical_layers, sequence_similarity
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss, canonical_metric, canonical_optimizer

_OPTIMIZERS = ("adam", "sgd", "rmsprop", "adamw", "nadam", "adagrad", "adamax", "adadelta", "ftrl", "lion")
_DISTANCES = ("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error")
REGRESSION_LOSSES = (*_DISTANCES, "mean_squared_logarithmic_error", "huber", "log_cosh")
_REGRESSION_METRICS = (*_DISTANCES, "root_mean_squared_error")
_CLASSES = ("Classification", "Recognition")


# A type that is no call, as `str | None`, reads no option.
_OPTIONAL_FIELD = ("type=field.type,", "type=field.type if callable(field.type) else str,")


def expected_defaults(
    plan: Plan, config_body: str, own_plan: Plan | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the defaults that `Config` should have under a plan, and notes on what cannot be kept.

    Only fields that the section has are named. Hyperparameters come from the plan, sizes from its
    input and output shapes; `own_plan`, the plan of the code as it is, tells which fields hold these.
    """
    has = config_defaults(config_body)
    expected: dict[str, Any] = {}
    notes: list[str] = []
    for name in ("learning_rate", "batch_size", "epochs"):
        value = getattr(plan, name)
        if value is not None and name in has:
            expected[name] = float(value) if name == "learning_rate" else value
    for name, wanted, canonical, fits in (
        ("optimizer", plan.optimizer, canonical_optimizer, _optimizer_fits),
        ("loss", plan.loss, canonical_loss, _loss_fits),
        ("metric", plan.metric, canonical_metric, _metric_fits),
    ):
        present = has.get(name)
        value = canonical(wanted)
        if not value or not isinstance(present, str) or canonical(present) == value:
            continue
        if fits(value, canonical(present)):
            expected[name] = value
        else:
            notes.append(f"{name} {wanted!r} of the plan does not fit the code, which keeps {present!r}")
    own_sizes = plan_sizes(own_plan) if own_plan else {}
    for name, size in plan_sizes(plan).items():
        default = has.get(name)
        is_size = isinstance(default, int) and not isinstance(default, bool)
        if is_size and (own_plan is None or own_sizes.get(name) == default):
            expected[name] = size
    return expected, tuple(notes)


def _optimizer_fits(wanted: str, present: str) -> bool:
    return wanted in _OPTIMIZERS


def _loss_fits(wanted: str, present: str) -> bool:
    return wanted in REGRESSION_LOSSES and present in REGRESSION_LOSSES


def _metric_fits(wanted: str, present: str) -> bool:
    if wanted == "accuracy":
        return present == "auc"
    return wanted in _REGRESSION_METRICS and present in _REGRESSION_METRICS


def label_form(config_body: str) -> str:
    """Return what the loss of a config says of the form of its labels; losses of numbers are all alike."""
    loss = canonical_loss(str(config_defaults(config_body).get("loss", "")))
    return "numbers" if loss in REGRESSION_LOSSES else loss


def differs_in_loss(config_body: str, plan: Plan) -> bool:
    """Tell whether a config has another loss than the plan asks for."""
    wanted = canonical_loss(plan.loss)
    return bool(wanted) and canonical_loss(str(config_defaults(config_body).get("loss", ""))) != wanted


def plan_sizes(plan: Plan) -> dict[str, int]:
    """Return the sizes that a plan's shapes state, under the names that `Config` gives them."""
    dims = shape_of(plan.dataset_input)
    sizes: dict[str, int | None] = {}
    if len(dims) in (3, 4) and ("Image" in plan.category or "Video" in plan.category):
        *frames, height, width, channels = dims
        sizes.update(image_height=height, image_width=width, num_channels=channels)
        sizes["image_size"] = height if height == width else None
        if frames:
            sizes.update(num_frames=frames[0])
    elif len(dims) == 2:
        sizes.update(sequence_length=dims[0], window_size=dims[0], num_features=dims[1], num_channels=dims[1])
    elif len(dims) == 1:
        name = "num_features" if "Tabular" in plan.category else "sequence_length"
        sizes[name] = dims[0] if dims[0] != 1 else None
    output = shape_of(plan.dataset_output)
    if output and output[-1] and output[-1] > 1 and any(word in plan.category for word in _CLASSES):
        sizes["num_classes"] = output[-1]
    if len(output) == 1 and plan.category == "Time Series Forecasting":
        sizes["horizon"] = output[0]
    return {name: size for name, size in sizes.items() if size}


def differs_in_size(one: Plan, other: Plan) -> bool:
    """Tell whether one plan's output is as wide and high as its input, and the other's is not."""
    kept = [
        dims[:2] == output[:2]
        for plan in (one, other)
        if len(dims := shape_of(plan.dataset_input)) == len(output := shape_of(plan.dataset_output)) == 3
    ]
    return len(set(kept)) > 1


def shape_of(text: str) -> tuple[int | None, ...]:
    """Return the first shape in a text without its batch dimension; None for an open size."""
    match = re.search(r"\(([^()]*)\)", text)
    parts = [part.strip() for part in match.group(1).split(",") if part.strip()] if match else []
    if parts and not re.fullmatch(r"None|-1|N|[a-z]\w*", parts[0], re.IGNORECASE):
        return ()
    return tuple(int(part) if part.isdigit() and len(part) < 8 else None for part in parts[1:])


def with_defaults(config_body: str, values: Mapping[str, Any]) -> str:
    """Return the config section with other defaults; a number of 0.001 is written as it is read."""
    texts = {name: _literal(value) for name, value in values.items()}
    return _replace_defaults(config_body, texts)


def complete_fields(
    config_body: str, used: frozenset[str], others: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the config section with the fields in `used` that it lacks, as far as others have them.

    The fields go behind the last one, as the first of `others` that has them writes them; their
    names, sorted, are returned too.
    """
    node = config_class(config_body)
    has = config_fields(config_body)
    if node is None or not has or used <= has.keys():
        return config_body, ()
    lines: dict[str, str] = {}
    for other in others:
        for item in getattr(config_class(other), "body", []):
            if (
                isinstance(item, ast.AnnAssign)
                and isinstance(item.target, ast.Name)
                and item.value is not None
            ):
                name = item.target.id
                if name in used and name not in has:
                    lines.setdefault(name, ast.get_source_segment(other, item) or "")
    last = max(item.end_lineno or 0 for item in node.body if isinstance(item, ast.AnnAssign))
    text = config_body.split("\n")
    text[last:last] = [f"    {lines[name]}" for name in sorted(lines)]
    completed = "\n".join(text)
    if any(" | None" in line for line in lines.values()):
        completed = completed.replace(*_OPTIONAL_FIELD)
    if not lines or parse_module(completed) is None:
        return config_body, ()
    return completed, tuple(sorted(lines))


def without_fields(config_body: str, names: frozenset[str]) -> str:
    """Return the config section without these fields."""
    lines = config_body.split("\n")
    for item in reversed(getattr(config_class(config_body), "body", [])):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id in names:
            del lines[item.lineno - 1 : item.end_lineno]
    return "\n".join(lines)


def with_slots(config_body: str, names: frozenset[str]) -> str:
    """Return the config section with `{{name}}` in place of the defaults of these fields."""
    return _replace_defaults(config_body, {name: f"{{{{{name}}}}}" for name in names})


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _replace_defaults(config_body: str, texts: Mapping[str, str]) -> str:
    node = config_class(config_body)
    places = [
        (item.value, texts[item.target.id])
        for item in (node.body if node else ())
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and item.target.id in texts
        and item.value is not None
    ]
    return replaced(config_body, places)


def replaced(body: str, places: list[tuple[ast.expr, str]]) -> str:
    """Return code with texts in place of expressions, which may not overlap."""
    lines = body.encode("utf-8").split(b"\n")
    for node, text in sorted(places, key=lambda place: (place[0].lineno, place[0].col_offset), reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        before = lines[first][: node.col_offset]
        after = lines[last][node.end_col_offset or 0 :]
        lines[first : last + 1] = [before + text.encode("utf-8") + after]
    return b"\n".join(lines).decode("utf-8")


def mismatches(section: str, body: str, plan: Plan, expected: Mapping[str, Any], context: str = "") -> float:
    """Return how far a section is from the plan: 0 where it agrees, or where the plan says nothing of it.

    For [config] the number of defaults that differ from `expected`; for [model] 1 minus the likeness
    of its layers to the plan's, in hundredths. `context` is the code from which it takes values.
    """
    if section == "config":
        has = config_defaults(body)
        return float(sum(has.get(name) != value for name, value in expected.items()))
    if section != "model" or not plan.layers:
        return 0.0
    try:
        found = canonical_layers(extract(f"{context}\n\n\n{body}").layers)
    except ConfigError:
        return 1.0
    return round(1 - sequence_similarity(canonical_layers(plan.layers), found), 2)
