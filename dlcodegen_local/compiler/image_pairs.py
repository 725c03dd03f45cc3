"""Segmentation and image-to-image: an image in, a mask or another image of the same size out."""

import re

from dlcodegen_local.compiler.adversarial import compile_paired_gan, is_adversarial
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item, read_items
from dlcodegen_local.compiler.fitloop import dataset_sections
from dlcodegen_local.compiler.fitting import fit_layers
from dlcodegen_local.compiler.images import ImageFormat, read_format, reading_code
from dlcodegen_local.compiler.model_section import model_section
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.pair_tables import IMAGE_PAIRS, MASK_PAIRS, with_flip
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import last_layer, read_shapes
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

UNET = (
    "Conv2D(32, (3, 3), activation='relu', padding='same')",
    "MaxPooling2D((2, 2))",
    "Conv2D(64, (3, 3), activation='relu', padding='same')",
    "MaxPooling2D((2, 2))",
    "Conv2D(128, (3, 3), activation='relu', padding='same')",
    "Conv2DTranspose(64, (3, 3), strides=(2, 2), padding='same', activation='relu')",
    "Concatenate()",
    "Conv2D(64, (3, 3), activation='relu', padding='same')",
    "Conv2DTranspose(32, (3, 3), strides=(2, 2), padding='same', activation='relu')",
    "Concatenate()",
    "Conv2D(32, (3, 3), activation='relu', padding='same')",
)


def compile_segmentation(plan: Plan) -> Program:
    """Compile a plan whose output is a class for each pixel."""
    items = planned_items(plan)
    image = read_format(plan, items)
    last = last_layer(items)
    height, width, channels = _output_shape(
        plan, image, last.units if last.units and last.units <= 256 else 1
    )
    size = 2 if channels == 1 else channels
    objective = read_objective(plan, Targets("mask", size, 1 if channels == 1 else channels, last.activation))
    one = objective.units == 1
    labels = {
        "index": 'mask = tf.cast(mask, "int32")',
        "one_hot": "mask = tf.one_hot(mask[..., 0], config.num_classes)",
    }.get(objective.labels, 'mask = tf.cast(mask > 0, "float32")')
    data = fill(
        with_flip(MASK_PAIRS, _flip(plan)),
        reading=reading_code(plan, items, image),
        shape=image.shape_code,
        size=_size_code(image, height, width),
        level="255" if one else "config.num_classes - 1",
        labels=labels,
    )
    pixels = "0 is background, anything else foreground" if one else "a pixel's value is its class"
    settings = [
        *image.settings,
        *(() if one else (Setting("num_classes", size),)),
        *_extra(image, height, width),
    ]
    return _program(
        plan,
        items,
        image,
        objective,
        Head(
            (height, width, objective.units),
            "1" if one else "config.num_classes",
            objective.activation,
            objective.accepts,
        ),
        data=data,
        settings=settings,
        data_format=f"`data_dir/images` and `data_dir/masks`, files of the same names; a mask has "
        f"one channel: {pixels}.",
        what="class probabilities for every pixel",
    )


def compile_image_to_image(plan: Plan) -> Program:
    """Compile a plan whose output is another image."""
    if is_adversarial(plan):
        return compile_paired_gan(plan)
    items = planned_items(plan)
    image = read_format(plan, items)
    last = last_layer(items)
    height, width, channels = _output_shape(plan, image, image.channels)
    channels = channels if channels in (1, 3, 4) else image.channels
    objective = read_objective(plan, Targets("image", channels, last.units, last.activation))
    data = fill(
        with_flip(IMAGE_PAIRS, _flip(plan)),
        reading=reading_code(plan, items, image),
        shape=image.shape_code,
        size=_size_code(image, height, width),
    )
    same = (height, width) == (image.height, image.width)
    return _program(
        plan,
        items,
        image,
        objective,
        Head((height, width, channels), "config.output_channels", objective.activation, objective.accepts),
        data=data,
        settings=[
            *image.settings,
            Setting("output_channels", channels),
            *(() if same else _extra(image, height, width)),
        ],
        data_format="`data_dir/inputs` and `data_dir/targets`, PNG or JPEG files of the same names.",
        what="the images that the network makes",
    )


def planned_items(plan: Plan) -> list[Item]:
    """Return the plan's layers; a plan without any to build, or with only "U-Net", gets a small U-Net."""
    items = read_items(plan.layers)
    built = [item for item in items if item.call is not None and item.name != "Input"]
    named = any(re.search(r"u-?net", text, re.IGNORECASE) for text in plan.layers)
    if len(built) < (3 if named else 1):
        return [*[item for item in items if item.call is None], *read_items(UNET)]
    return items


def _program(
    plan: Plan, items: list[Item], image: ImageFormat, objective: Objective, head: Head, **sections: object
) -> Program:
    items = [item for index, item in enumerate(items) if not (item.name == "Reshape" and index < 2)]
    symbols = image.symbols | {
        name: Expr(head.units, head.shape[-1]) for name in ("num_classes", "n_classes", "classes")
    }
    chain = fit_layers(items, image.shape, image.shape_code, head, symbols)
    settings = sections["settings"]
    assert isinstance(settings, list)
    note = (image.deviation,) if image.deviation else ()
    model = model_section(chain, objective, settings)
    task = (
        "Finds the class of every pixel"
        if plan.category == "Image Segmentation"
        else "Turns images into images"
    )
    return Program(
        title=f"{plan.category} with a convolutional network",
        summary=f"{task}. Preprocessing planned: {plan.preprocess[:300] or 'none'}",
        data_format=str(sections["data_format"]),
        data=str(sections["data"]),
        model=model,
        **dataset_sections(str(sections["what"])),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=settings,
        deviations=(*note, *objective.deviations, *chain.deviations),
    )


def _output_shape(plan: Plan, image: ImageFormat, channels: int) -> tuple[int, int, int]:
    """Return height, width and channels that the plan's output states, else the image's own."""
    for shape in read_shapes(plan.dataset_output):
        shape = shape[1:] if len(shape) == 4 else shape
        if len(shape) == 3 and (shape[2] or 1) <= 256:
            height, width = shape[0] or image.height, shape[1] or image.width
            fits = 4 <= height <= 512 and 4 <= width <= 512 and not image.deviation
            return (
                (height, width, shape[2] or channels)
                if fits
                else (image.height, image.width, shape[2] or channels)
            )
        if len(shape) == 2 and (shape[0], shape[1]) == (image.height, image.width):
            return image.height, image.width, 1
    return image.height, image.width, channels


def _size_code(image: ImageFormat, height: int, width: int) -> str:
    same = (height, width) == (image.height, image.width)
    return image.size_code if same else "(config.output_height, config.output_width)"


def _extra(image: ImageFormat, height: int, width: int) -> tuple[Setting, ...]:
    if (height, width) == (image.height, image.width):
        return ()
    return (Setting("output_height", height), Setting("output_width", width))


def _flip(plan: Plan) -> str:
    """Return the augmentation that a pair can share."""
    if not re.search(r"augment|flip", plan.preprocess.lower()):
        return ""
    return (
        "choice = tf.random.uniform(()) > 0.5\n"
        "return tf.cond(\n"
        "    choice,\n"
        "    lambda: (tf.image.flip_left_right(image), tf.image.flip_left_right(target)),\n"
        "    lambda: (image, target),\n"
        ")"
    )
