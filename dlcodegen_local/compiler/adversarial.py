"""Image generation by a generator and a discriminator, from noise or from paired input images."""

import re
from dataclasses import dataclass, replace

from dlcodegen_local.compiler import losses
from dlcodegen_local.compiler.adversarial_tables import DATA, MODEL, NOISE, PAIRED, SECTIONS
from dlcodegen_local.compiler.catalog import BASE_FACTS
from dlcodegen_local.compiler.chain import Chain, Head, Item, read_items
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.images import ImageFormat, read_format, reading_code
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.pair_tables import IMAGE_PAIRS, with_flip
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import input_from_layers, read_shapes
from dlcodegen_local.compiler.rendering import render_network
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.layers import LayerCall
from dlcodegen_local.plan.schema import Plan

DEFAULT_LATENT = 100
DISCRIMINATOR = (
    "Conv2D(32, (3, 3), strides=(2, 2), padding='same')",
    "LeakyReLU(0.2)",
    "Conv2D(64, (3, 3), strides=(2, 2), padding='same')",
    "LeakyReLU(0.2)",
    "Flatten()",
    "Dense(1, activation='sigmoid')",
)
GENERATOR = (
    "Conv2DTranspose(64, (4, 4), strides=(2, 2), padding='same')",
    "BatchNormalization()",
    "LeakyReLU(0.2)",
    "Conv2DTranspose(32, (4, 4), strides=(2, 2), padding='same')",
    "BatchNormalization()",
    "LeakyReLU(0.2)",
    "Conv2D(3, (3, 3), padding='same', activation='tanh')",
)
ENCODER = ("Conv2D(32, (3, 3), strides=(2, 2), padding='same')", "LeakyReLU(0.2)")
_RIVAL = re.compile(r"discriminator|critic", re.IGNORECASE)
_MAKER = re.compile(r"generator", re.IGNORECASE)
WASSERSTEIN = '''
def wasserstein_loss(y_true, y_pred):
    """Return the mean score, negative for real images (label 1)."""
    return keras.ops.mean((1.0 - 2.0 * y_true) * y_pred)
'''


@dataclass(frozen=True)
class Networks:
    """Hold the planned layers of both networks; `generator_first` is the plan's order."""

    generator: list[Item]
    discriminator: list[Item]
    generator_first: bool = True


def is_adversarial(plan: Plan) -> bool:
    """Say whether a plan's layers name a discriminator."""
    return any(
        _RIVAL.search(text) or re.search(r"\bgans?\b|cyclegan|pix2pix", text, re.IGNORECASE)
        for text in plan.layers
    )


def compile_image_generation(plan: Plan) -> Program:
    """Compile a plan that makes images from noise."""
    networks = split_networks(plan)
    image = _format(plan, networks)
    latent = _latent(plan, networks.generator, image)
    entry = [item for item in networks.generator if item.name not in ("Input", "Embedding", "")]
    generator = networks.generator
    if not entry or entry[0].name not in ("Dense", "Reshape"):
        side = (max(1, image.height // 4), max(1, image.width // 4), 64)
        size = side[0] * side[1] * side[2]
        generator = [*read_items([f"Dense({size}, activation='relu')", f"Reshape({side})"]), *generator]
    return _program(plan, replace(networks, generator=generator), image, latent)


def compile_paired_gan(plan: Plan) -> Program:
    """Compile a plan that turns images into images against a discriminator."""
    networks = split_networks(plan, paired=True)
    return _program(plan, networks, _format(plan, networks), None)


def split_networks(plan: Plan, paired: bool = False) -> Networks:
    """Cut a plan's layers into generator and discriminator."""
    items = read_items(plan.layers)
    groups: dict[str, list[Item]] = {"generator": [], "discriminator": []}
    if is_adversarial(plan) and any(_RIVAL.search(item.text) for item in items):
        current = "generator"
        for item in items:
            if _RIVAL.search(item.text):
                current = "discriminator"
            elif _MAKER.search(item.text):
                current = "generator"
            groups[current].append(item)
        first = next((index for index, item in enumerate(items) if _RIVAL.search(item.text)), 1)
        networks = Networks(groups["generator"], groups["discriminator"], first > 0)
    else:
        networks = _cut(items)
    generator = networks.generator
    if not _built(generator):
        generator = [*generator, *read_items([*ENCODER, *GENERATOR] if paired else GENERATOR)]
    rival = (
        networks.discriminator
        if _built(networks.discriminator)
        else [*networks.discriminator, *read_items(DISCRIMINATOR)]
    )
    return replace(networks, generator=generator, discriminator=rival)


def _built(items: list[Item]) -> bool:
    return sum(item.call is not None and item.name not in ("Input", "Dropout") for item in items) > 0


def _cut(items: list[Item]) -> Networks:
    """Find the border: after the generator's tanh, or after a discriminator's single unit."""
    ends = [index for index, item in enumerate(items) if item.call and _is_single(item.call)]
    grows = [
        index
        for index, item in enumerate(items)
        if "Transpose" in item.name or item.name.startswith("UpSampling")
    ]
    if ends and not grows and not any(item.name == "Reshape" for item in items):
        return Networks([], items)
    if ends and grows and ends[0] < grows[0]:
        border = ends[0] + 1
        return Networks(items[border:], items[:border], generator_first=False)
    for index, item in enumerate(items[:-1]):
        if item.call and "tanh" in (item.call.kwargs.get("activation"), item.call.get("activation", 0)):
            return Networks(items[: index + 1], items[index + 1 :])
    if ends and grows and ends[-1] > grows[-1]:
        start = next(
            (i for i in range(grows[-1] + 1, len(items)) if items[i].name.startswith("Conv2D")), len(items)
        )
        return (
            Networks(items[: grows[-1] + 1], items[grows[-1] + 1 :])
            if start == len(items)
            else Networks(items[:start], items[start:])
        )
    return Networks(items, [])


def _is_single(call: LayerCall) -> bool:
    return call.name == "Dense" and call.get("units", 0) == 1


def _format(plan: Plan, networks: Networks) -> ImageFormat:
    """Return the image format: the output's, else the input's, small where neither says."""
    for text in (plan.dataset_output, plan.dataset_input, plan.preprocess):
        for shape in read_shapes(text):
            if len(shape) >= 2 and (shape[0] or shape[1]):
                return read_format(replace(plan, dataset_input=str(shape), preprocess=""), [])
    stated = input_from_layers(networks.discriminator)
    if stated and len(stated) == 3:
        return read_format(replace(plan, dataset_input=str(stated), preprocess=""), [])
    grey = re.search(r"mnist|gr[ae]y", f"{plan.dataset_input} {plan.preprocess}".lower())
    return ImageFormat(28, 28, 1) if grey else ImageFormat(64, 64, 3)


def _latent(plan: Plan, items: list[Item], image: ImageFormat) -> int:
    stated = input_from_layers(items)
    found = [stated] if stated else []
    found += read_shapes(plan.dataset_input)
    for shape in found:
        size = shape[0] if len(shape) == 1 or (len(shape) == 3 and shape[:2] == (1, 1)) else None
        size = shape[-1] if len(shape) == 3 and shape[:2] == (1, 1) else size
        if size and 2 <= size <= 2048 and size != image.height * image.width:
            return size
    return DEFAULT_LATENT


def _program(plan: Plan, networks: Networks, image: ImageFormat, latent: int | None) -> Program:
    images = Head(image.shape, "config.channels", "tanh", frozenset({"sigmoid"}))
    source = ((latent,), "(config.latent_dim,)") if latent else (image.shape, image.shape_code)
    generator = fit_layers(_single_base(networks.generator), source[0], source[1], images, image.symbols)
    signed = "sigmoid" not in generator.steps[-1].code
    rival, logits = _discriminator(plan, networks.discriminator, image)
    objective = read_objective(plan, Targets("classes", 2, 1, "sigmoid"))
    functions, loss, name = _adversarial_loss(plan, objective.loss, logits)
    metric = " ".join(plan.metric.split())[:120]
    notes = [note for note in objective.deviations if not note.startswith(("loss", "metric"))]
    if name != objective.loss or any(note.startswith("loss") for note in objective.deviations):
        notes.append(f"loss {name} for {plan.loss!r}: scores are compared with 1 (real) and 0 (made)")
    if metric:
        notes.append(f"metric {metric!r}: evaluate compares brightness and contrast of made and real images")
    settings = [*image.settings, *((Setting("latent_dim", latent),) if latent else ())]
    makers = [
        fill(MODEL["generator"], network=render_network(generator)),
        fill(MODEL["discriminator"], network=render_network(rival)),
    ]
    optimizer = objective.functions[objective.functions.index("def make_optimizer") :].split("\n\n\n")[0]
    model = fill(
        MODEL["model"],
        functions="\n\n\n".join(part for part in (functions.strip(), optimizer.strip()) if part),
        networks="\n\n\n".join(makers if networks.generator_first else makers[::-1]),
        loss=loss,
        **(NOISE if latent else PAIRED),
    )
    image_notes = (image.deviation,) if image.deviation else ()
    return Program(
        title=f"{plan.category} with a generative adversarial network",
        summary="A generator makes images, a discriminator tells them from real ones; both learn "
        "from each other. "
        f"Preprocessing planned: {plan.preprocess[:300] or 'none'}",
        data_format=(
            "PNG or JPEG images in the folder `data_dir/images`."
            if latent
            else "`data_dir/inputs` and `data_dir/targets`, PNG or JPEG files of the same names."
        ),
        data=_data(plan, image, signed, latent is not None),
        model=model,
        **{name: fill(text, **_section_values(latent is not None)) for name, text in SECTIONS.items()},
        optimizer=objective.optimizer,
        loss=name,
        metric=metric or objective.metric,
        settings=settings,
        deviations=(*image_notes, *notes, *generator.deviations, *rival.deviations),
    )


def _single_base(items: list[Item]) -> list[Item]:
    """Take pretrained networks out: a generator learns from scratch."""
    return [Item(item.text, None) if item.name in BASE_FACTS else item for item in items]


def _discriminator(plan: Plan, items: list[Item], image: ImageFormat) -> tuple[Chain, bool]:
    """Return the fitted discriminator, and whether it ends in raw scores."""
    items = [
        item for item in _single_base(items) if item.name not in ("Embedding", "Concatenate", "Multiply")
    ]
    built = [item for item in items if item.call is not None and item.name not in ("Activation", "Dropout")]
    last = next((item for item in reversed(built)), None)
    accepts = frozenset({"linear"})
    patch = (
        last is not None
        and last.call is not None
        and last.name == "Conv2D"
        and last.call.get("filters", 0) == 1
    )
    if patch:
        chain = fit_layers(items, image.shape, image.shape_code, None, image.symbols)
        if len(chain.shape) != 3 or chain.shape[-1] != 1:
            patch = False
    if not patch:
        head = Head((1,), "1", "sigmoid", accepts)
        chain = fit_layers(items, image.shape, image.shape_code, head, image.symbols)
    code = next((step.code for step in reversed(chain.steps) if step.code), "")
    return chain, "sigmoid" not in code


def _adversarial_loss(plan: Plan, name: str, logits: bool) -> tuple[str, str, str]:
    """Return own functions, the expression of the loss and its name in Config."""
    if re.search(r"wasserstein|earth", plan.loss, re.IGNORECASE):
        return WASSERSTEIN, "wasserstein_loss", "wasserstein_loss"
    if name in losses.FUNCTIONS:
        return losses.FUNCTIONS[name], name, name
    if name in ("mean_squared_error", "mean_absolute_error", "hinge", "huber"):
        return "", "keras.losses.get(config.loss)", name
    if logits:
        return "", "keras.losses.BinaryCrossentropy(from_logits=True)", "binary_crossentropy"
    return "", "keras.losses.get(config.loss)", "binary_crossentropy"


def _data(plan: Plan, image: ImageFormat, signed: bool, noise: bool) -> str:
    reading = reading_code(replace(plan, preprocess=""), [], image, signed)
    if noise:
        return fill(DATA, reading=reading, shape=image.shape_code)
    pairs = with_flip(IMAGE_PAIRS, "").replace("config.output_channels", "config.channels")
    code = fill(pairs, reading=reading, shape=image.shape_code, size=image.size_code)
    if signed:
        code = code.replace("target image of a file, in [0, 1]", "target image of a file, in [-1, 1]")
        code = code.replace(
            f"tf.image.resize(image, {image.size_code}) / 255.0",
            f"tf.image.resize(image, {image.size_code}) / 127.5 - 1.0",
        )
    return code


def _section_values(noise: bool) -> dict[str, str]:
    return {
        "made": "model.make_images(len(images))" if noise else "model.make_images(inputs)",
        "stacked": (
            "images = np.concatenate(list(test.as_numpy_iterator()))"
            if noise
            else "inputs, images = (np.concatenate(part) for part in zip(*test.as_numpy_iterator()))"
        ),
    }
