"""Image captioning; plans that only name a class of an image are compiled as image classification."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dlcodegen_local.compiler import captioning_sections as sections
from dlcodegen_local.compiler.arguments import Expr, plain
from dlcodegen_local.compiler.captioning_features import ImageEntry, read_entry
from dlcodegen_local.compiler.catalog import BASE_FACTS, MERGES, RECURRENT
from dlcodegen_local.compiler.chain import Chain, Head, Item
from dlcodegen_local.compiler.fitting import Fitter
from dlcodegen_local.compiler.image_labels import compile_image_classification, compile_image_regression
from dlcodegen_local.compiler.model_section import is_base
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import last_layer, read_shapes
from dlcodegen_local.compiler.rendering import wrapped
from dlcodegen_local.compiler.sequence_core import (
    LOAD_TRAINED,
    TextSizes,
    model_section,
    planned_items,
    planned_preprocessing,
    read_sizes,
    render_steps,
    used_settings,
)
from dlcodegen_local.compiler.sequence_fitting import SequenceFitter, takes_tokens
from dlcodegen_local.compiler.sequence_items import block_kind
from dlcodegen_local.compiler.sequence_pairs import (
    DecoderFitter,
    attends_memory,
    decoder_lines,
    with_attention,
)
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss

DEFAULT_LAYERS = (
    "Input(shape=(2048,))",
    "Dropout(0.4)",
    "Dense(256, activation='relu')",
    "Embedding(5000, 256, mask_zero=True)",
    "Dropout(0.4)",
    "LSTM(256)",
    "Add()",
    "Dense(256, activation='relu')",
    "Dense(5000, activation='softmax')",
)
_WHOLE = {
    "what": "word probabilities (images, max_length, vocab_size)",
    "at_step": "[:, step]",
    "keep": "",
    "returned": "probabilities",
}
_FIRST_WORD = {
    "what": "the first word's probabilities",
    "at_step": "",
    "keep": "if step == 0:\n    first_words = probabilities",
    "returned": "first_words",
}
DEFAULT_CAPTION_LENGTH = 20
SHORT_CAPTION_LENGTH = 10  # where every word costs a pass through a large network
LONGEST_CAPTION = 128
_IMAGE_LAYER = re.compile(r"2D$|^Resizing$|^Rescaling$|^Random")


@dataclass(frozen=True)
class Parts:
    """Hold the planned layers of the image branch, of the caption branch, and of what joins them."""

    image: list[Item]
    caption: list[Item]
    tail: list[Item]
    merge: str


def compile_image_to_text(plan: Plan) -> Program:
    """Compile a plan that writes a caption for an image."""
    items = planned_items(plan, DEFAULT_LAYERS)
    text = any(
        takes_tokens(item) or item.name in ("Bidirectional", *RECURRENT) or block_kind(item.name)
        for item in items
    )
    captions = re.search(
        r"caption|vocab|sequence|words?\b|sentence|text",
        f"{plan.dataset_input} {plan.dataset_output}".lower(),
    )
    if not text or not captions:
        numbers = canonical_loss(plan.loss).startswith("mean_") and last_layer(items).activation != "softmax"
        program = (compile_image_regression if numbers else compile_image_classification)(plan)
        return replace(
            program, deviations=(*program.deviations, "one output an image: the layers write no text")
        )
    return _captioner(plan, items)


def split_parts(items: Sequence[Item]) -> Parts:
    """Cut the layers into image branch, caption branch and tail."""
    entry = next((index for index, item in enumerate(items) if takes_tokens(item)), None)
    if entry is None:
        entry = next(
            i
            for i, item in enumerate(items)
            if item.name in ("Bidirectional", *RECURRENT) or block_kind(item.name)
        )
    start = entry - 1 if entry and items[entry - 1].name == "Input" else entry
    image = [item for item in items[:start] if item.name not in RECURRENT]
    rest = list(items[start:])
    image += [item for item in rest if _reads_image(item)]
    rest = [item for item in rest if not _reads_image(item)]
    merge = next((index for index, item in enumerate(rest) if item.name in MERGES), None)
    if merge is not None:
        return Parts(image, rest[:merge], rest[merge + 1 :], rest[merge].name)
    last = max((i for i, item in enumerate(rest) if _reads_caption(item)), default=0)
    tail = last + 1
    while tail < len(rest) and rest[tail].name in ("Dropout", "BatchNormalization"):
        tail += 1
    return Parts(image, rest[:tail], rest[tail:], "")


def _reads_image(item: Item) -> bool:
    return item.name in BASE_FACTS or _IMAGE_LAYER.search(item.name) is not None


def _reads_caption(item: Item) -> bool:
    kind = block_kind(item.name)
    return (
        takes_tokens(item)
        or item.name in ("Bidirectional", *RECURRENT)
        or attends_memory(item)
        or kind is not None
    )


def _captioner(plan: Plan, items: list[Item]) -> Program:
    parts = split_parts(items)
    entry = read_entry(plan, parts.image)
    shapes = [shape for shape in read_shapes(plan.dataset_output) if len(shape) in (1, 2)]
    whole = len(shapes[0]) == 2 if shapes else _decodes(parts)
    sizes = _sizes(plan, items, shapes, whole)
    last = last_layer(items)
    objective = read_objective(
        plan, Targets("mask" if whole else "classes", sizes.vocab_size, None, last.activation)
    )
    length, vocabulary = sizes.sequence_length, sizes.vocab_size
    head = Head(
        (length, vocabulary) if whole else (vocabulary,),
        "config.vocab_size",
        objective.activation,
        objective.accepts,
    )
    symbols = {**sizes.symbols(), "vocab_size": Expr("config.vocab_size", vocabulary)}
    network, blocks, deviations = (_attending if whole else _merging)(parts, entry, sizes, head, symbols)
    network = network.replace("config.sequence_length", "config.max_length")
    model = model_section(blocks, objective.functions, network, objective.compile_call)
    data = _data(objective, entry, whole)
    predict = fill(sections.PREDICT, **(_WHOLE if whole else _FIRST_WORD))
    settings = [*entry.settings(), Setting("train_base", False), *sizes.settings()]
    settings += [Setting("max_length", length, "words of a caption")]
    return Program(
        title="Image captioning with a neural network",
        summary=f"Learns to write a caption word by word. {planned_preprocessing(plan)}",
        data_format="`data_dir/images` with PNG or JPEG images and `data_dir/captions.csv` with the columns "
        "`image`, a file name, and `caption`; an image may have several lines.",
        data=data,
        model=model,
        train=sections.TRAIN,
        evaluate=fill(LOAD_TRAINED + sections.EVALUATE),
        predict=predict,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model, predict),
        deviations=(*entry.deviations, *objective.deviations, *deviations),
    )


def _decodes(parts: Parts) -> bool:
    """Say whether a decoder of the plan reads the whole caption at once."""
    names = [item.name for item in parts.caption + parts.tail]
    return any(block_kind(name) == "decoder" or name == "MultiHeadAttention" for name in names)


def _sizes(plan: Plan, items: list[Item], shapes: list[tuple[int | None, ...]], whole: bool) -> TextSizes:
    """Return caption length and vocabulary; the layers' own numbers first."""
    words = [item for item in items if item.name == "Embedding"]
    sizes = read_sizes(replace(plan, dataset_input=""), words)
    last = last_layer(items)
    stated = next((plain(item.call.get("input_dim", 0)) for item in words if item.call), None)
    vocabulary = shapes[0][-1] if shapes and shapes[0][-1] else None
    if vocabulary is None:
        vocabulary = last.units if last.activation == "softmax" and last.units and last.units > 50 else None
    vocabulary = vocabulary or (stated if isinstance(stated, int) else 5000)
    length = shapes[0][0] if whole and shapes and shapes[0][0] else None
    for item in items:
        shape = item.call.get("shape", 0) if item.call and item.name == "Input" else None
        if (
            length is None
            and isinstance(shape, tuple | list)
            and len(shape) == 1
            and isinstance(shape[0], int)
            and shape[0] < 200
        ):
            length = shape[0]
    usual = SHORT_CAPTION_LENGTH if any(item.name in BASE_FACTS for item in items) else DEFAULT_CAPTION_LENGTH
    return TextSizes(min(length or usual, LONGEST_CAPTION), max(8, vocabulary), sizes.embedding_dim)


def _image_branch(parts: Parts, entry: ImageEntry) -> Chain:
    """Fit the image branch; it ends where the plan ends it."""
    chain = Chain(entry.shape, entry.shape_code)
    items = [item for item in parts.image if item.call and item.name not in MERGES]
    return Fitter(items, chain, {}, None).run()


def _merging(
    parts: Parts, entry: ImageEntry, sizes: TextSizes, head: Head, symbols: dict[str, Expr]
) -> tuple[str, dict[str, str], list[str]]:
    """Return a model that joins a vector of the image with a vector of the caption so far."""
    image = _image_branch(parts, entry)
    _to_vector(image)
    caption = SequenceFitter(list(parts.caption), Chain((sizes.sequence_length,), ""), symbols, None)
    caption.run()
    if caption.tokens:
        caption._embed("captions are token ids")
    _to_vector(caption.chain)
    merge = parts.merge or "Add"
    width, other = image.shape[0] or 1, caption.chain.shape[0] or 1
    lines = _image_lines(image, entry)
    deviations = [*image.deviations, *caption.chain.deviations]
    if merge != "Concatenate" and width != other:
        lines += [f"# added: {merge} takes equal sizes", f'x = layers.Dense({other}, activation="relu")(x)']
        deviations.append(f"Dense({other}) added: {merge} takes equal sizes")
    if not parts.merge:
        deviations.append("Add added: image and caption have to meet")
    lines += [
        "image_vector = x",
        'caption = layers.Input(shape=(config.max_length,), dtype="int32", name="caption")',
    ]
    lines += [*render_steps(caption.chain.steps, "caption"), f"x = layers.{merge}()([image_vector, x])"]
    merged = width + other if merge == "Concatenate" else other
    tail = SequenceFitter(list(parts.tail), Chain((merged,), ""), symbols, head)
    tail.tokens = False
    tail.run()
    lines += [*render_steps(tail.chain.steps, "x"), "model = keras.Model([image, caption], x)"]
    return "\n".join(lines), {**caption.blocks, **tail.blocks}, [*deviations, *tail.chain.deviations]


def _image_lines(chain: Chain, entry: ImageEntry) -> list[str]:
    """Return the image branch's lines; a convolutional base learns only where `train_base` is set."""
    lines = [f'image = layers.Input(shape={entry.shape_code}, name="image")']
    base = next((step.code for step in chain.steps if is_base(step.code)), "")
    if base:
        lines += [wrapped(f"base = {base}", 0), "base.trainable = config.train_base"]
    steps = [replace(step, code="base") if base and step.code == base else step for step in chain.steps]
    return [*lines, *render_steps(steps, "image")]


def _to_vector(chain: Chain) -> None:
    """Pool what is not yet a vector."""
    rank = len(chain.shape)
    if rank > 1:
        fitter = Fitter([], chain, {}, None)
        fitter.adapt(
            f"layers.GlobalAveragePooling{rank - 1}D()",
            (chain.shape[-1],),
            "image and caption meet as vectors",
        )


def _attending(
    parts: Parts, entry: ImageEntry, sizes: TextSizes, head: Head, symbols: dict[str, Expr]
) -> tuple[str, dict[str, str], list[str]]:
    """Return a model whose decoder looks at the places of the image."""
    encoders = [item for item in parts.caption if block_kind(item.name) == "block"]
    items = [*(item for item in parts.caption if block_kind(item.name) != "block"), *parts.tail]
    image = _image_branch(parts, entry)
    fitter = SequenceFitter(encoders, image, symbols, None)
    fitter.tokens = False
    if len(image.shape) == 3:
        places = (image.shape[0] or 1) * (image.shape[1] or 1)
        fitter.adapt(
            f"layers.Reshape((-1, {image.shape[2]}))", (places, image.shape[2]), "the decoder reads places"
        )
    elif len(image.shape) == 1:
        fitter.adapt(
            f"layers.Reshape((1, {image.shape[0]}))", (1, image.shape[0]), "the decoder reads places"
        )
    fitter.run()
    decoder = DecoderFitter([], Chain((sizes.sequence_length,), ""), symbols, head)
    attends = any(attends_memory(item) for item in items) or any(item.name in RECURRENT for item in items)
    decoder.items = items if attends else with_attention(items)
    decoder.head_index = decoder._find_head()
    decoder.causal = ", use_causal_mask=True"
    decoder.memory_width = image.shape[-1] or 64
    decoder.run()
    lines = _image_lines(image, entry)
    lines += [
        "encoded = x",
        'caption = layers.Input(shape=(config.max_length,), dtype="int32", name="caption")',
    ]
    lines += [
        *decoder_lines(decoder.chain, image.shape, [], "caption"),
        "model = keras.Model([image, caption], x)",
    ]
    return (
        "\n".join(lines),
        {**fitter.blocks, **decoder.blocks},
        [*image.deviations, *decoder.chain.deviations],
    )


def _data(objective: Objective, entry: ImageEntry, whole: bool) -> str:
    one_hot = "tf.one_hot(word, config.vocab_size)"
    target = {"one_hot": one_hot, "binary": "word[..., None]"}.get(objective.labels, "word")
    template = sections.READ_CAPTIONS + entry.code() + sections.LOAD_DATA
    template += sections.WHOLE_CAPTION if whole else sections.NEXT_WORD
    return fill(template, target=target, image_values=entry.values, read_images=entry.read_code)
