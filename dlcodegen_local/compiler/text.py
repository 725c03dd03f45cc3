"""Text classification, token classification and question answering."""

import re

from dlcodegen_local.compiler import text_pair_sections as pairs
from dlcodegen_local.compiler import text_sections as texts
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import last_layer, read_shapes
from dlcodegen_local.compiler.sequence_core import (
    LOAD_TRAINED,
    TextSizes,
    encode_labels,
    label_shape,
    model_section,
    planned_items,
    planned_preprocessing,
    read_sizes,
    read_target,
    reads_bag,
    render_chain,
    used_settings,
)
from dlcodegen_local.compiler.sequence_fitting import fit_sequence
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_LAYERS = (
    "Embedding(10000, 64)",
    "Bidirectional(LSTM(64))",
    "Dense(64, activation='relu')",
    "Dropout(0.3)",
)
DEFAULT_TAG_LAYERS = (
    "Embedding(10000, 64)",
    "Bidirectional(LSTM(64, return_sequences=True))",
    "Dropout(0.3)",
)
_DRAW_CLASS = (
    'target = index % $count\ntopics = [f"topic{index % 3}"] * 2 if target else [f"other{index % 3}"] * 2'
)
_DRAW_TARGETS = (
    "target = rng.integers(0, 2, size=config.num_targets).tolist()\n"
    'topics = [f"topic{number}" for number in np.flatnonzero(target)]'
)


def compile_text_classification(plan: Plan) -> Program:
    """Compile a plan whose output is a class, labels or numbers for a text."""
    items = planned_items(plan, DEFAULT_LAYERS)
    shapes = read_shapes(plan.dataset_output)
    if shapes and len(shapes[0]) == 2:
        return compile_token_classification(plan)
    return _labelled(plan, items, "texts.csv")


def compile_question_answering(plan: Plan) -> Program:
    """Compile a plan whose output is the span of an answer, or labels for a question and its context."""
    items = planned_items(plan, DEFAULT_LAYERS)
    last = last_layer(items)
    output = plan.dataset_output.lower()
    span = re.search(r"\bstart|\bend\b|\bspan|position", output)
    labelled = (
        last.units
        or last.activation
        or re.search(r"binary|label|class|target|probab|score|answers?\b", output)
    )
    return _labelled(plan, items, "questions.jsonl") if labelled and not span else _span(plan, items)


def compile_token_classification(plan: Plan) -> Program:
    """Compile a plan whose output is a tag for every word."""
    items = planned_items(plan, DEFAULT_TAG_LAYERS)
    sizes = read_sizes(plan, items, default_length=64)
    last = last_layer(items)
    shapes = [shape for shape in read_shapes(plan.dataset_output) if len(shape) == 2]
    count = next((shape[1] for shape in shapes if shape[1]), None) or last.units
    length = next((shape[0] for shape in shapes if shape[0]), None)
    sizes = TextSizes(length or sizes.sequence_length, sizes.vocab_size, sizes.embedding_dim)
    count = count or (
        int(match.group(1)) if (match := re.search(r"(\d{1,3})\s+\w*\s*tags", plan.dataset_output)) else 9
    )
    objective = read_objective(plan, Targets("mask", max(count, 2), last.units, last.activation))
    single = objective.units == 1
    units = "1" if single else "config.num_classes"
    symbols = {**sizes.symbols(), **_counts(units, objective.units)}
    head = Head((sizes.sequence_length, objective.units), units, objective.activation, objective.accepts)
    chain, blocks = fit_sequence(items, (sizes.sequence_length,), "(config.sequence_length,)", head, symbols)
    model = model_section(blocks, objective.functions, render_chain(chain), objective.compile_call)
    encoded = encode_labels(objective.labels, "tags")
    true_tags = {"one_hot": "tags.argmax(axis=-1)", "binary": "tags[..., 0]"}.get(objective.labels, "tags")
    data = fill(pairs.TAG_DATA + pairs.TAG_VOCABULARY, encode_tags=encoded)
    chosen = "(probabilities[..., 0] > 0.5).astype(int)" if single else "probabilities.argmax(axis=-1)"
    settings = [*sizes.settings(), Setting("num_classes", max(count, 2))]
    return Program(
        title="Token classification with a neural network",
        summary=f"Learns from tagged sentences to give every word a tag. {planned_preprocessing(plan)}",
        data_format="`data_dir/tokens.conll`, a word, a blank or tab and its tag on every line, "
        "a blank line between sentences.",
        data=data,
        model=model,
        train=pairs.TAG_TRAIN,
        evaluate=fill(LOAD_TRAINED + pairs.TAG_EVALUATE, chosen=chosen, true_tags=true_tags),
        predict=fill(pairs.TAG_PREDICT, chosen=chosen),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model),
        deviations=(*objective.deviations, *chain.deviations),
    )


def _counts(units: str, size: int) -> dict[str, Expr]:
    """Return the names that plans give the number of outputs."""
    names = ("num_classes", "n_classes", "number_of_classes", "num_labels", "n_tags", "num_tags")
    return {name: Expr(units, size) for name in names}


def _labelled(plan: Plan, items: list[Item], file: str) -> Program:
    """Compile texts with labels; `file` says whether they are texts or questions with contexts."""
    target = read_target(plan, items)
    objective = read_objective(plan, target)
    bag = reads_bag(items)
    sizes = read_sizes(plan, items)
    if bag:
        sizes = TextSizes(1, _bag_size(plan, items), sizes.embedding_dim)
    several = target.kind != "classes"
    count = "config.num_targets" if several else "config.num_classes"
    units = "1" if objective.units == 1 and not several else count
    symbols = {**({} if bag else sizes.symbols()), **_counts(units, objective.units)}
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    width = sizes.vocab_size if bag else sizes.sequence_length
    code = "(config.vocab_size,)" if bag else "(config.sequence_length,)"
    chain, blocks = fit_sequence(items, (width,), code, head, symbols)
    network = render_chain(chain, "float32" if bag else "int32")
    model = model_section(blocks, objective.functions, network, objective.compile_call)
    data = f"{_label_data(objective, several, file)}\n\n\n{fill(texts.BAG if bag else texts.VOCABULARY)}"
    settings = [*sizes.settings(), Setting("num_targets" if several else "num_classes", target.size)]
    outputs = "target values" if several else "class probabilities"
    bag_note = (
        ["every text is one bag of words: the plan names no layer that reads word order"] if bag else []
    )
    return Program(
        title=f"{plan.category} with a neural network",
        summary=f"Learns a vocabulary and trains the planned network. {planned_preprocessing(plan)}",
        data_format=_data_format(file, several),
        data=data,
        model=model,
        train=texts.TRAIN,
        evaluate=fill(LOAD_TRAINED + texts.EVALUATE),
        predict=fill(texts.PREDICT, what=outputs),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model),
        deviations=(*objective.deviations, *bag_note, *chain.deviations),
    )


def _bag_size(plan: Plan, items: list[Item]) -> int:
    """Return the number of words that a bag counts: the plan's input width."""
    shapes = [shape[0] for shape in read_shapes(plan.dataset_input) if len(shape) == 1 and shape[0]]
    stated = [item.call.get("shape", 0, item.call.kwargs.get("input_shape")) for item in items if item.call]
    widths = [
        shape[0]
        for shape in stated
        if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], int)
    ]
    return max(8, min((*widths, *shapes, 5000)[0], 50_000))


def _label_data(objective: Objective, several: bool, file: str) -> str:
    """Return make_synthetic, the reader and load_data for labelled texts or questions."""
    encoded = encode_labels(objective.labels) if not several else "labels"
    shape = "(rows, num_targets)" if several else label_shape(objective.labels)
    load = fill(texts.LOAD_TEXTS, file=file, what="targets" if several else "labels")
    if file == "questions.jsonl":
        draw = _DRAW_TARGETS if several else fill(_DRAW_CLASS, count="config.num_classes")
        dtype = "float32" if several else "int32"
        key = "targets" if several else "label"
        reader = fill(
            pairs.LABELLED_DATA,
            draw_target=draw,
            key=key,
            dtype=dtype,
            label_shape=shape,
            encode_labels=encoded,
        )
    elif several:
        reader = fill(texts.TARGETS_DATA)
    else:
        reader = fill(texts.CLASS_DATA, label_shape=shape, encode_labels=encoded)
    return f"{reader}\n\n\n{load}"


def _data_format(file: str, several: bool) -> str:
    if file == "questions.jsonl":
        key = "`targets`, a list of numbers" if several else "`label`, the class as a whole number from 0"
        return f"`data_dir/questions.jsonl`, one JSON object a line with `context`, `question` and {key}."
    if several:
        return (
            "`data_dir/texts.csv` with a header line; the first column is the text, the others are numbers."
        )
    return "`data_dir/texts.csv` with the columns `text` and `label`, the class as a whole number from 0."


def _span(plan: Plan, items: list[Item]) -> Program:
    """Compile a plan that finds the first and the last word of the answer in the context."""
    sizes = read_sizes(plan, items, default_length=192)
    length = max(sizes.sequence_length, 16)
    sizes = TextSizes(length, sizes.vocab_size, sizes.embedding_dim)
    objective = read_objective(plan, Targets("mask", length, None, None))
    head = Head((length, 2), "2", None, frozenset())
    chain, blocks = fit_sequence(items, (length,), "(config.sequence_length,)", head, sizes.symbols())
    if chain.shape[0] != length:
        chain.deviations.append("the sequence is brought back to its length before the output")
    ending = [] if objective.activation is None else [f'layers.Activation("{objective.activation}")']
    for code in ["layers.Permute((2, 1))", *ending]:
        chain.steps.append(type(chain.steps[-1])(code, (2, length)))
    model = model_section(blocks, objective.functions, render_chain(chain), objective.compile_call)
    encoded = encode_labels(objective.labels, "spans", "config.sequence_length")
    one_hot = objective.labels == "one_hot"
    data = fill(
        pairs.SPAN_DATA + texts.VOCABULARY_PARTS,
        encode_spans=encoded,
        span_shape="(rows, 2, sequence_length)" if one_hot else "(rows, 2)",
    )
    settings = [*sizes.settings(), Setting("question_length", max(4, min(32, length // 4)))]
    return Program(
        title="Extractive question answering with a neural network",
        summary=f"Finds the answer to a question in a context. {planned_preprocessing(plan)}",
        data_format="`data_dir/questions.jsonl`, one JSON object a line with `context`, `question` and the "
        "numbers of the answer's first and last word in the context, `start` and `end`, from 0.",
        data=data,
        model=model,
        train=pairs.SPAN_TRAIN,
        evaluate=fill(
            LOAD_TRAINED + pairs.SPAN_EVALUATE, true_spans="spans.argmax(axis=-1)" if one_hot else "spans"
        ),
        predict=pairs.SPAN_PREDICT,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model),
        deviations=(*objective.deviations, *chain.deviations),
    )
