"""Image classification, regression and detection: an image in, a class, numbers or a box out."""

import re

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import dataset_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.image_tables import FOLDERS, TABLE
from dlcodegen_local.compiler.images import ImageFormat, augmentation_code, read_format, reading_code
from dlcodegen_local.compiler.model_section import model_section
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import count_classes, last_layer, read_shapes
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.compiler.video import compile_video_classification
from dlcodegen_local.plan.schema import Plan

DEFAULT_LAYERS = (
    "Conv2D(32, (3, 3), activation='relu')",
    "MaxPooling2D((2, 2))",
    "Conv2D(64, (3, 3), activation='relu')",
    "MaxPooling2D((2, 2))",
    "Conv2D(128, (3, 3), activation='relu')",
    "GlobalAveragePooling2D()",
    "Dense(128, activation='relu')",
    "Dropout(0.3)",
    "Dense()",
)


def compile_image_classification(plan: Plan) -> Program:
    """Compile a plan whose output is the class of an image, or several labels of it."""
    items = planned_items(plan)
    if any("3D" in item.name or item.name in ("ConvLSTM2D", "TimeDistributed") for item in items):
        return compile_video_classification(plan)
    last = last_layer(items)
    size = count_classes(plan.dataset_output) or last.units or count_classes(plan.dataset_input) or 2
    several = (
        re.search(r"multi-?label", f"{plan.dataset_output} {plan.preprocess}".lower()) is not None
        and size > 1
    )
    kind = "labels" if several else "classes"
    size = size if several else max(size, 2)
    objective = read_objective(plan, Targets(kind, size, last.units, last.activation))
    return _program(plan, items, objective, kind, size)


def compile_image_regression(plan: Plan) -> Program:
    """Compile a plan whose output is one or several numbers for an image."""
    items = planned_items(plan)
    last = last_layer(items)
    size = _vector_size(plan) or min(last.units or 1, 1000)
    objective = read_objective(plan, Targets("values", size, last.units, last.activation))
    return _program(plan, items, objective, "values", size)


def compile_object_detection(plan: Plan) -> Program:
    """Compile a plan that locates one object in an image: a box in fractions of the image."""
    items = planned_items(plan)
    last = last_layer(items)
    size = _vector_size(plan) or 4
    objective = read_objective(plan, Targets("values", max(size, 4), last.units, last.activation))
    return _program(plan, items, objective, "box", max(size, 4))


def planned_items(plan: Plan) -> list[Item]:
    """Return the plan's layers, the family's own where the plan names none that can be built."""
    items = read_items(plan.layers)
    if any(item.call is not None and item.name not in ("Input", "Dropout", "Activation") for item in items):
        return items
    return [*items, *read_items(DEFAULT_LAYERS)]


def _vector_size(plan: Plan) -> int:
    shapes = [shape[0] for shape in read_shapes(plan.dataset_output) if len(shape) == 1]
    return min(shapes[0] or 0, 1000) if shapes else 0


def _program(plan: Plan, items: list[Item], objective: Objective, kind: str, size: int) -> Program:
    image = read_format(plan, items)
    items = [item for index, item in enumerate(items) if not (item.name == "Reshape" and index < 2)]
    name = "num_classes" if kind in ("classes", "labels") else "num_outputs"
    single = objective.units == 1 and kind == "classes"
    units = "1" if single else f"config.{name}"
    symbols = image.symbols | {
        key: Expr(units, objective.units) for key in ("num_classes", "n_classes", "nb_classes")
    }
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    chain = fit_layers(items, image.shape, image.shape_code, head, symbols)
    settings = [*image.settings, Setting(name, size)]
    model = model_section(chain, objective, settings)
    what = {"classes": "class probabilities", "labels": "a probability for every label"}.get(
        kind, "the predicted numbers"
    )
    note = (image.deviation,) if image.deviation else ()
    return Program(
        title=f"{plan.category} with a convolutional network",
        summary=_summary(kind, plan),
        data_format=_format(kind),
        data=_data(plan, items, image, objective, (kind, size)),
        model=model,
        **dataset_sections(what),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*note, *objective.deviations, *chain.deviations),
    )


def _summary(kind: str, plan: Plan) -> str:
    task = {
        "classes": "Sorts images into classes.",
        "labels": "Tells which of several labels an image has.",
        "box": "Finds the box round the object in an image, as fractions of its width and height.",
    }.get(kind, "Predicts numbers for an image.")
    return f"{task} Preprocessing planned: {plan.preprocess[:300] or 'none'}"


def _format(kind: str) -> str:
    if kind == "classes":
        return (
            "one folder a class in `data_dir`, each with PNG or JPEG images; classes are "
            "numbered in the order of their names."
        )
    columns = {
        "labels": "a column of 0 or 1 for each label",
        "box": "the columns x_min, y_min, x_max, y_max in [0, 1]",
    }.get(kind, "a column for each number to predict")
    return (
        f"`data_dir/images` with PNG or JPEG images and `data_dir/labels.csv` with the column "
        f"`file` and {columns}."
    )


def _data(
    plan: Plan, items: list[Item], image: ImageFormat, objective: Objective, output: tuple[str, int]
) -> str:
    kind, size = output
    augmentation = augmentation_code(plan) if kind in ("classes", "labels") else ""
    values = {
        "augmentation": augmentation,
        "reading": reading_code(plan, items, image),
        "shape": image.shape_code,
        "augment": (
            "augment = make_augmentation(config)\n"
            "dataset = dataset.map(lambda images, targets: (augment(images, training=True), targets))"
            if augmentation
            else ""
        ),
    }
    if kind == "classes":
        return fill(FOLDERS, labels=_labels(objective.labels), **values)
    columns = "config.num_classes" if kind == "labels" else "config.num_outputs"
    targets = {
        "labels": f"rng.integers(0, 2, size={columns})",
        "box": f"np.sort(rng.random({columns})).round(4)",
    }.get(kind, f"(level / 255 + np.arange({columns})).round(4)")
    corners = kind == "box" and size == 4
    header = (
        '["x_min", "y_min", "x_max", "y_max"]' if corners else f'[f"target_{{i}}" for i in range({columns})]'
    )
    return fill(TABLE, targets=targets, header=header, columns=columns, **values)


def _labels(labels: str) -> str:
    return {
        "index": 'labels = np.array(labels, dtype="int32")',
        "one_hot": "labels = keras.utils.to_categorical(labels, config.num_classes)",
    }.get(labels, 'labels = np.array(labels, dtype="float32").reshape(-1, 1)')
