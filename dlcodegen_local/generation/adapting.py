"""A sample's sections brought to a plan without a model: values, labels, layers.

Guarantees that what comes back parses, and that every section that changed is named with what it was
made of. Where the sample's own model cannot hold the plan's layers, the floor's model stands in for it,
with those functions of the sample's that its other sections call.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcodegen_local.generation.labels import ONE_HOT, SINGLE, WHOLE, label_loss, with_labels
from dlcodegen_local.generation.plan_layers import (
    input_rank,
    with_layers_of,
    with_plan_layers,
    with_scaling_of,
)
from dlcodegen_local.generation.plan_values import (
    complete_fields,
    expected_defaults,
    mismatches,
    replaced,
    with_defaults,
    without_fields,
)
from dlcodegen_local.generation.results import Floor
from dlcodegen_local.generation.syntax import config_defaults, config_uses, names_of, parse_module
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss, canonical_metric
from dlcodegen_local.sections import Sections

PLANNED = "+plan"
_NEAR = 0.1
_PLAIN_COMPILE = ("loss=config.loss", "metrics=[config.metric]")
_DESCRIPTION = re.compile(r'ArgumentParser\(description="[^"\\\n]*"\)')
_LEARNING = re.compile(r"\.layers\[\d+\]\.adapt\(")
_SET_LOSS = re.compile(r"\blosses\.[A-Z]\w+\(\w")
_AUGMENTED = re.compile(r"augment|flip|rotat|zoom|shear", re.IGNORECASE)
_SIZES = ("image_size", "image_height", "image_width", "num_classes", "sequence_length")
# Fields of the floor's Config, and what samples call them.
_OTHER_NAMES = (
    ("image_height", "image_size"),
    ("image_width", "image_size"),
    ("max_length", "sequence_length"),
)
_MANY_CLASSES = 16
_READ_BY = ("train", "evaluate", "predict")
_CLASSES = (WHOLE, SINGLE, ONE_HOT)
# What code may ask of any Keras model: no layer by its name, no network within it.
_MODEL_USES = frozenset(
    (
        *("fit", "predict", "predict_on_batch", "train_on_batch", "evaluate", "compile", "summary"),
        *("save", "save_weights", "load_weights", "layers", "optimizer", "count_params", "stop_training"),
        *("trainable", "trainable_variables", "output_shape", "input_shape"),
    )
)


@dataclass(frozen=True)
class Adapted:
    """Hold sections that follow a plan as far as they can.

    `origins` names the sections that changed, with `+plan` for the sample's own with values of the plan, else
    with what they are made of. `expected` are the defaults that Config now has. With `is_tied` labels have
    another form than in the sample: its own config and model no longer fit. `floor` is the one whose labels
    have the form that these sections make.
    """

    sections: Sections
    origins: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_tied: bool = False
    fits: bool = True
    floor: Floor | None = None


def adapt(sections: Sections, own_plan: Plan | None, plan: Plan, floor: Floor | None) -> Adapted:
    """Bring a sample's sections to a plan; `own_plan` is the plan that they carry out as they are."""
    bodies = dict(sections.bodies)
    config = bodies.get("config", "")
    expected, notes = expected_defaults(plan, config, own_plan)
    if floor is None:
        filled = with_plan_layers(bodies.get("model", ""), plan)
        if filled is not None:
            bodies["model"] = filled
        bodies["config"] = with_defaults(config, expected)
        return Adapted(Sections(sections.header, bodies), _changed(sections, bodies), expected, notes)
    present = label_loss(config, bodies.get("model", ""))
    floor, plan, loss_notes = _for_labels(present, floor, plan)
    notes = (*notes, *loss_notes)
    other = Sections.parse(floor.source).bodies
    wanted = _wanted_by(floor)
    relabelled = with_labels(bodies, present, wanted)
    bodies.update(relabelled or {})
    own_model = bodies.get("model", "")
    made_of, bodies["model"] = _model(bodies, other, plan, is_tied=bool(relabelled))
    if made_of != PLANNED:
        bodies |= {name: _plain_calls(bodies[name]) for name in _READ_BY if bodies.get(name)}
    is_plain = made_of != PLANNED or all(text in own_model for text in _PLAIN_COMPILE)
    if bodies["model"] == own_model:
        is_plain = all(text in own_model for text in _PLAIN_COMPILE)
    if is_plain:
        expected |= _compiled_values(config, other, is_free=relabelled is not None or present not in _CLASSES)
    expected |= _sizes(config, other["config"], plan)
    if relabelled is not None and wanted == SINGLE and "num_classes" in config_defaults(config):
        expected["num_classes"] = 2
    if "loss" in config_defaults(config):
        expected.setdefault("loss", config_defaults(config)["loss"])
    if expected.get("num_classes", 0) > _MANY_CLASSES:
        bodies["data"] = _showing_every_class(bodies.get("data", ""))
    bodies["model"] = _without_idle(bodies)
    uses = frozenset[str]().union(*(config_uses(body) for body in bodies.values()))
    bodies["config"], added = complete_fields(with_defaults(config, expected), uses, [other["config"]])
    bodies["config"] = without_fields(bodies["config"], config_uses(own_model) - uses)
    notes = (*notes, *([f"[config] completed with {', '.join(added)}"] if added else []))
    bodies["config"] = _DESCRIPTION.sub(f'ArgumentParser(description="{plan.category}")', bodies["config"])
    origins = _changed(sections, bodies)
    if "model" in origins:
        origins["model"] = made_of
    fits = relabelled is not None or _are_alike(present, wanted)
    fits = fits and (made_of == PLANNED or _serves_any_model(bodies, own_model))
    fits = fits and (present == SINGLE or _has_classes_of(sections, expected))
    fits = fits and _has_columns_of(sections, expected)
    return Adapted(Sections(sections.header, bodies), origins, expected, notes, bool(relabelled), fits, floor)


def _for_labels(present: str, floor: Floor, plan: Plan) -> tuple[Floor, Plan, tuple[str, ...]]:
    """Return floor and plan for labels of 0 and 1, which cannot become one-hot, and a note of it."""
    if present != SINGLE or not floor.single_source or _wanted_by(floor) not in (ONE_HOT, WHOLE):
        return floor, plan, ()
    single = floor.with_single_labels()
    has_two = config_defaults(Sections.parse(floor.source).bodies["config"]).get("num_classes") == 2
    if not has_two or _wanted_by(single) != SINGLE:
        return floor, plan, ()
    note = f"the labels are 0 and 1: loss {SINGLE!r} and one probability in place of {plan.loss!r}"
    return single, single.plan, (note,)


def _wanted_by(floor: Floor) -> str:
    """Return the loss of classes whose labels the floor's model needs, or its loss where there are none."""
    bodies = Sections.parse(floor.source).bodies
    return label_loss(bodies["config"], bodies["model"], floor.plan.category)


def _serves_any_model(bodies: Mapping[str, str], own_model: str) -> bool:
    """Tell whether the floor's model, which stands in now, will do for the sample's other sections.

    Not where they give it more or fewer inputs, or ones of another rank, or ask more of it than every Keras
    model has (layers by name, networks within it); nor where the labels need a loss with settings of its own
    (classes that do not count), or where what they save could not be loaded again for layers of own making.
    """
    if bodies["model"].count("Input(") != own_model.count("Input("):
        return False
    ranks = input_rank(bodies["model"]), input_rank(own_model)
    if None not in ranks and ranks[0] != ranks[1]:
        return False
    text = "\n\n\n".join(bodies.get(name, "") for name in ("model", *_READ_BY))
    tree = parse_module(text)
    used = {
        node.attr
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "model"
    }
    has_own_layers = "(layers.Layer)" in bodies["model"] and "load_model(" in text
    return used <= _MODEL_USES and not (
        _SET_LOSS.search(own_model) or _LEARNING.search(text) or has_own_layers
    )


def _has_classes_of(sections: Sections, expected: Mapping[str, Any]) -> bool:
    """Tell whether no class of the data is left over, where their number is fixed in its code."""
    own = config_defaults(sections.bodies.get("config", "")).get("num_classes")
    is_fixed = "num_classes" not in config_uses(sections.bodies.get("data", ""))
    return not (is_fixed and own) or expected.get("num_classes", own) >= own


def _has_columns_of(sections: Sections, expected: Mapping[str, Any]) -> bool:
    """Tell whether the synthetic rows have the columns expected, where the code that writes them fixes it."""
    own = config_defaults(sections.bodies.get("config", "")).get("num_features")
    data = sections.bodies.get("data", "")
    makers = [
        ast.get_source_segment(data, node) or ""
        for node in getattr(parse_module(data), "body", [])
        if isinstance(node, ast.FunctionDef) and node.name == "make_synthetic"
    ]
    is_fixed = bool(makers) and "num_features" not in config_uses(makers[0])
    return not (is_fixed and own) or expected.get("num_features", own) == own


def _showing_every_class(data: str) -> str:
    """Return a data section whose few synthetic samples still have one of every class."""
    places: list[tuple[ast.expr, str]] = [
        (node, "max(config.synthetic_samples, config.num_classes)")
        for function in getattr(parse_module(data), "body", [])
        if isinstance(function, ast.FunctionDef) and function.name == "make_synthetic"
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "config.synthetic_samples"
    ]
    return replaced(data, places) if "num_classes" in config_uses(data) else data


def _are_alike(present: str, wanted: str) -> bool:
    """Tell whether labels for one loss mean the same as labels for another: classes, or numbers."""
    if (present, wanted) == (WHOLE, ONE_HOT):
        return True
    return not {present, wanted} & {WHOLE, ONE_HOT, SINGLE}


def _changed(sections: Sections, bodies: Mapping[str, str]) -> dict[str, str]:
    return {name: PLANNED for name, body in bodies.items() if body != sections.bodies.get(name)}


def _compiled_values(config: str, floor: Mapping[str, str], *, is_free: bool) -> dict[str, Any]:
    """Return loss and metric as the floor names them, where the labels allow it."""
    has, wanted = config_defaults(config), config_defaults(floor["config"])
    values: dict[str, Any] = {}
    present, loss = (canonical_loss(str(table.get("loss", ""))) for table in (has, wanted))
    if "loss" in has and loss and loss != present and is_free:
        values["loss"] = wanted["loss"]
    metric = str(wanted.get("metric", ""))
    if "metric" in has and metric and canonical_metric(metric) != canonical_metric(str(has["metric"])):
        values["metric"] = metric
    return values


def _sizes(config: str, floor_config: str, plan: Plan) -> dict[str, int]:
    """Return the sizes that the plan's shapes name, as the floor reads them."""
    has, read = config_defaults(config), config_defaults(floor_config)
    size = read.get("image_size")
    read = {
        **read,
        "image_height": read.get("image_height", size),
        "image_width": read.get("image_width", size),
    }
    stated = re.findall(r"\d+", f"{plan.dataset_input} {plan.dataset_output}")
    return {
        name: read[name]
        for name in _SIZES
        if isinstance(has.get(name), int) and str(read.get(name)) in stated and has[name] != read[name]
    }


def _model(
    bodies: Mapping[str, str], floor: Mapping[str, str], plan: Plan, *, is_tied: bool
) -> tuple[str, str]:
    """Return the model section for the plan, and what it is made of; the sample's own comes first."""
    own = bodies.get("model", "")
    context = "\n\n\n".join(bodies.get(name, "") for name in ("imports", "config"))
    if not is_tied and mismatches("model", own, plan, {}, context) <= _NEAR:
        return PLANNED, own
    is_augmented = bool(_AUGMENTED.search(plan.preprocess))
    filled = with_layers_of(own, floor["model"], is_augmented=is_augmented)
    lacks_blocks = filled is not None and names_of(filled)[1] & names_of(floor["model"])[0]
    if filled is not None and not lacks_blocks and all(text in own for text in _PLAIN_COMPILE):
        return PLANNED, filled
    helpers = _helpers(bodies)
    scaled = with_scaling_of(_in_words_of(bodies.get("config", ""), floor["model"]), own)
    body = f"{helpers}\n\n\n{scaled}" if helpers else scaled
    return (f"{Floor.id}, *" if helpers else Floor.id), body


def _in_words_of(config: str, model: str) -> str:
    """Return the floor's model reading its sizes from the fields that a sample has for them."""
    has = config_defaults(config)
    for name, own in _OTHER_NAMES:
        if name not in has and own in has:
            model = re.sub(rf"\bconfig\.{name}\b", f"config.{own}", model)
    return model


def _without_idle(bodies: Mapping[str, str]) -> str:
    """Return the model section without the functions and classes that nothing uses any longer."""
    body = bodies["model"]
    tree = parse_module(body)
    others = set[str]().union(*(names_of(text)[1] for name, text in bodies.items() if name != "model"))
    while tree is not None:
        blocks = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        read = {id_ for node in tree.body for id_ in _names_in(node) - {getattr(node, "name", "")}} | others
        idle = next((node for node in blocks if node.name not in read | {"build_model"}), None)
        if idle is None:
            break
        body = body.replace(_text(body, idle), "", 1)
        tree = parse_module(body)
    return re.sub(r"\n{4,}", "\n\n\n", body).strip() if body != bodies["model"] else body


def _names_in(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def _plain_calls(body: str) -> str:
    """Return a section that gives `build_model` its config alone, all that the floor's takes."""
    tree = parse_module(body)
    calls = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "build_model" and node.args
    ]
    places: list[tuple[ast.expr, str]] = [
        (node, f"build_model({ast.unparse(node.args[0])})")
        for node in calls
        if len(node.args) > 1 or node.keywords
    ]
    return replaced(body, places)


def _helpers(bodies: Mapping[str, str]) -> str:
    """Return what the sections after the model need of it, apart from `build_model` itself."""
    tree = parse_module(bodies.get("model", ""))
    wanted = set[str]().union(*(names_of(bodies.get(name, ""))[1] for name in _READ_BY))
    kept: dict[int, str] = {}
    changed = True
    while tree and changed:
        changed = False
        for place, node in enumerate(tree.body):
            names = _bound(node)
            if place in kept or "build_model" in names or not names & wanted:
                continue
            kept[place] = _text(bodies["model"], node)
            wanted |= names_of(kept[place])[1]
            changed = True
    return "\n\n\n".join(kept[place] for place in sorted(kept))


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _text(source: str, node: ast.stmt) -> str:
    """Return the code of a statement, its decorators too."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(item.lineno for item in decorators)])
    return "\n".join(source.split("\n")[first - 1 : node.end_lineno])
