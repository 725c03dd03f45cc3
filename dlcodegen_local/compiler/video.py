"""Video classification: clips of frames in, a class out."""

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.model_section import model_section
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import count_classes, input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.compiler.video_tables import CLIPS
from dlcodegen_local.plan.schema import Plan

DEFAULT_CLIP = (10, 64, 64, 3)
MAX_PIXELS = 520_000
DEFAULT_LAYERS = (
    "TimeDistributed(Conv2D(16, (3, 3), activation='relu'))",
    "TimeDistributed(MaxPooling2D((2, 2)))",
    "TimeDistributed(Conv2D(32, (3, 3), activation='relu'))",
    "TimeDistributed(GlobalAveragePooling2D())",
    "LSTM(64)",
    "Dense()",
)


def compile_video_classification(plan: Plan) -> Program:
    """Compile a plan that sorts clips into classes."""
    items = read_items(plan.layers)
    if not any(
        item.call is not None and item.name not in ("Input", "Dropout", "Activation") for item in items
    ):
        items = [*items, *read_items(DEFAULT_LAYERS)]
    last = last_layer(items)
    size = max(count_classes(plan.dataset_output) or last.units or 2, 2)
    objective = read_objective(plan, Targets("classes", size, last.units, last.activation))
    clip, note = read_clip(plan, items)
    units = "1" if objective.units == 1 else "config.num_classes"
    symbols = {name: Expr(units, objective.units) for name in ("num_classes", "n_classes", "nb_classes")}
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    code = "(config.frames, config.image_height, config.image_width, config.channels)"
    chain = fit_layers(items, clip, code, head, symbols)
    settings = [
        Setting("frames", clip[0]),
        Setting("image_height", clip[1]),
        Setting("image_width", clip[2]),
        Setting("channels", clip[3]),
        Setting("num_classes", size),
    ]
    forms = {
        "index": 'labels = np.array(labels, dtype="int32")',
        "one_hot": "labels = keras.utils.to_categorical(labels, config.num_classes)",
    }
    labels = forms.get(objective.labels, 'labels = np.array(labels, dtype="float32").reshape(-1, 1)')
    return Program(
        title="Video classification with a neural network",
        summary=f"Sorts clips into classes. Preprocessing planned: {plan.preprocess[:300] or 'none'}",
        data_format="one folder a class in `data_dir`; in it one folder a clip with its frames as "
        "PNG or JPEG images, in the "
        "order of their names.",
        data=fill(CLIPS, labels=labels),
        model=model_section(chain, objective, settings),
        **array_sections("class probabilities"),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*((note,) if note else ()), *objective.deviations, *chain.deviations),
    )


def read_clip(plan: Plan, items: list[Item]) -> tuple[tuple[int, int, int, int], str]:
    """Return frames, height, width and channels, and a deviation where the stated clip is too large."""
    stated = input_from_layers(items)
    for shape in [
        *([stated] if stated else []),
        *read_shapes(plan.dataset_input),
        *read_shapes(plan.preprocess),
    ]:
        if len(shape) == 3:
            shape = (None, *shape)
        elif len(shape) == 2 and min(size or 0 for size in shape) >= 16:
            shape = (None, *shape, 3)
        if len(shape) == 4 and (shape[1] or shape[2]):
            frames, height = shape[0] or DEFAULT_CLIP[0], shape[1] or shape[2] or DEFAULT_CLIP[1]
            width, channels = shape[2] or height, shape[3] if shape[3] in (1, 3, 4) else 3
            return _capped(frames, height, width, channels or 3)
    return DEFAULT_CLIP, ""


def _capped(frames: int, height: int, width: int, channels: int) -> tuple[tuple[int, int, int, int], str]:
    if frames * height * width <= MAX_PIXELS:
        return (frames, height, width, channels), ""
    smaller = (min(frames, 16), min(height, 112), min(width, 112), channels)
    note = f"clips of {frames}x{height}x{width} are scaled to {smaller[0]}x{smaller[1]}x{smaller[2]}"
    return smaller, note
