"""Text generation, translation and summarisation."""

import re
from collections.abc import Sequence

from dlcodegen_local.compiler import sequence_sections as sections
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.chain import Head, Item
from dlcodegen_local.compiler.objective import Objective, Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import last_layer, read_shapes
from dlcodegen_local.compiler.sequence_core import (
    LOAD_TRAINED,
    TextSizes,
    model_section,
    planned_items,
    planned_preprocessing,
    read_sizes,
    render_chain,
    used_settings,
)
from dlcodegen_local.compiler.sequence_fitting import fit_sequence
from dlcodegen_local.compiler.sequence_items import block_kind
from dlcodegen_local.compiler.sequence_pairs import fit_pair, split_branches
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan

DEFAULT_LAYERS = ("Embedding(10000, 128)", "LSTM(128)", "Dense(10000, activation='softmax')")
DEFAULT_PAIR_LAYERS = (
    "Embedding layer (encoder)",
    "LSTM(128) layer (encoder)",
    "Embedding layer (decoder)",
    "LSTM(128) layer (decoder)",
    "Dense layer with softmax activation",
)
_SEES_AHEAD = frozenset({"Bidirectional", "Attention", "AdditiveAttention", "MultiHeadAttention", "Conv1D"})
_POOLS = re.compile(r"Flatten|Global|Reshape")


def compile_text_generation(plan: Plan) -> Program:
    """Compile a plan that learns to continue a text, by words or by characters."""
    items = planned_items(plan, DEFAULT_LAYERS)
    characters = re.search(r"\bchar", f"{plan.dataset_input} {plan.dataset_output} {plan.preprocess}".lower())
    sizes = _generation_sizes(plan, items, bool(characters))
    every = _predicts_every_token(plan, items)
    last = last_layer(items)
    kind = "mask" if every else "classes"
    objective = read_objective(plan, Targets(kind, sizes.vocab_size, None, last.activation))
    length, vocabulary = sizes.sequence_length, sizes.vocab_size
    head = Head(
        (length, vocabulary) if every else (vocabulary,),
        "config.vocab_size",
        objective.activation,
        objective.accepts,
    )
    chain, blocks = fit_sequence(
        items, (length,), "(config.sequence_length,)", head, sizes.symbols(), "causal" if every else "tokens"
    )
    model = model_section(blocks, objective.functions, render_chain(chain), objective.compile_call)
    data = _corpus(objective, every, bool(characters))
    settings = [
        *sizes.settings(),
        Setting("window_step", length if every else 1, "tokens between two windows"),
        Setting("generated_tokens", 40),
        Setting("temperature", 0.8),
    ]
    predict = fill(
        sections.GENERATION_PREDICT,
        last_step="[-1]" if every else "",
        output_shape="(windows, sequence_length, vocab_size)" if every else "(windows, vocab_size)",
        joiner="" if characters else " ",
        scores="np.log(np.clip(outputs, 1e-9, None))" if objective.activation == "softmax" else "outputs",
    )
    return Program(
        title=f"Text generation by {'characters' if characters else 'words'}",
        summary=f"Learns the next {'character' if characters else 'word'} of a text and continues it. "
        + planned_preprocessing(plan),
        data_format="`data_dir/text.txt`, one plain text in UTF-8.",
        data=data,
        model=model,
        train=sections.GENERATION_TRAIN,
        evaluate=fill(LOAD_TRAINED + sections.GENERATION_EVALUATE),
        predict=predict,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model, predict),
        deviations=(*objective.deviations, *chain.deviations),
    )


def compile_translation(plan: Plan) -> Program:
    """Compile a plan that turns a sentence into one of another language."""
    return _pairs(plan, "Translation", "a word of the target for every word of the source, in the same order")


def compile_summarization(plan: Plan) -> Program:
    """Compile a plan that turns a text into a shorter one."""
    return _pairs(plan, "Summarisation", "the summary is the first words of the text, in another vocabulary")


def _generation_sizes(plan: Plan, items: list[Item], characters: bool) -> TextSizes:
    sizes = read_sizes(plan, items, default_length=40)
    last = last_layer(items)
    stated = any(
        item.name == "Embedding" and item.call and isinstance(item.call.get("input_dim", 0), int)
        for item in items
    )
    vocabulary = sizes.vocab_size if stated else 128 if characters else sizes.vocab_size
    shapes = [shape[-1] for shape in read_shapes(plan.dataset_output) if shape[-1]]
    if last.activation == "softmax" and last.units and last.units > 8 and not shapes:
        vocabulary = last.units
    elif shapes and shapes[0]:
        vocabulary = max(3, shapes[0])
    return TextSizes(min(sizes.sequence_length, 1024), vocabulary, sizes.embedding_dim)


def _predicts_every_token(plan: Plan, items: Sequence[Item]) -> bool:
    """Say whether the network puts out a token for every place, or only the one that follows."""
    shapes = read_shapes(plan.dataset_output)
    if shapes and len(shapes[0]) in (1, 2):
        return len(shapes[0]) == 2
    names = [item.name for item in items if item.call]
    if any(name in _SEES_AHEAD or _POOLS.search(name) for name in names):
        return False
    recurrent = [item.call for item in items if item.call and item.name in ("LSTM", "GRU", "SimpleRNN")]
    if recurrent:
        return recurrent[-1].kwargs.get("return_sequences") is True
    return any(block_kind(name) in ("block", "pretrained", "decoder") for name in names)


def _corpus(objective: Objective, every: bool, characters: bool) -> str:
    token = 'tf.cast(window[1:], "int32")' if every else "window[-1]"
    target = {"one_hot": f"tf.one_hot({token}, config.vocab_size)", "binary": f"{token}[..., None]"}.get(
        objective.labels, token
    )
    return fill(
        sections.CORPUS_DATA,
        token="character" if characters else "word",
        split="character" if characters else "whitespace",
        line_tokens="14" if characters else "4",
        targets="tokens at every place" if every else "token",
        window_target=target,
    )


def _pairs(plan: Plan, title: str, synthetic: str) -> Program:
    """Compile a plan from text to text, with a decoder of its own or as one chain."""
    items = planned_items(plan, DEFAULT_PAIR_LAYERS)
    sizes = read_sizes(plan, items, default_length=32)
    sizes = TextSizes(
        min(sizes.sequence_length, 512), _target_vocabulary(plan, items, sizes), sizes.embedding_dim
    )
    branches = split_branches(items)
    length = (
        min(sizes.sequence_length, _target_length(plan) or sizes.sequence_length)
        if branches
        else sizes.sequence_length
    )
    last = last_layer(items)
    objective = read_objective(plan, Targets("mask", sizes.vocab_size, None, last.activation))
    head = Head((length, sizes.vocab_size), "config.vocab_size", objective.activation, objective.accepts)
    symbols = {**sizes.symbols(), "target_length": Expr("config.target_length", length)}
    if branches:
        network, blocks, deviations = fit_pair(branches, sizes, head, symbols)
    else:
        chain, blocks = fit_sequence(
            items, (sizes.sequence_length,), "(config.sequence_length,)", head, symbols
        )
        network = render_chain(chain).replace(f"RepeatVector({length})", "RepeatVector(config.target_length)")
        deviations = [*chain.deviations, "one chain from source to target: the plan names no decoder"]
    model = model_section(blocks, objective.functions, network, objective.compile_call)
    data = _pair_data(objective, bool(branches), synthetic, sizes.sequence_length)
    predict = fill(sections.WRITE_TEXTS + (sections.PREDICT_TEACHER if branches else sections.PREDICT_CHAIN))
    settings = [*sizes.settings(), Setting("target_length", length)]
    return Program(
        title=f"{title} with a neural network",
        summary=f"Learns from pairs of texts to write target from source. {planned_preprocessing(plan)}",
        data_format="`data_dir/pairs.tsv`, on every line a source text, a tab and its target text.",
        data=data,
        model=model,
        train=sections.PAIR_TRAIN,
        evaluate=fill(LOAD_TRAINED + sections.PAIR_EVALUATE),
        predict=predict,
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model, predict),
        deviations=(*objective.deviations, *deviations),
    )


def _target_vocabulary(plan: Plan, items: list[Item], sizes: TextSizes) -> int:
    """Return the number of words of the output: from shape or last layer, else the common vocabulary."""
    shapes = [shape[-1] for shape in read_shapes(plan.dataset_output) if len(shape) == 2 and shape[-1]]
    last = last_layer(items)
    if shapes and shapes[0]:
        return max(8, shapes[0])
    return (
        last.units if last.activation == "softmax" and last.units and last.units > 100 else sizes.vocab_size
    )


def _target_length(plan: Plan) -> int | None:
    shapes = [shape[0] for shape in read_shapes(plan.dataset_output) if shape[0] and len(shape) <= 2]
    return shapes[0] if shapes and shapes[0] <= 512 else None


def _pair_data(objective: Objective, teacher: bool, synthetic: str, length: int) -> str:
    shorter = synthetic.startswith("the summary")
    data = fill(
        sections.PAIR_DATA,
        synthetic_task=synthetic,
        source_words=str(max(2, min(12 if shorter else 6, length - 1))),
        target_words="[:4]" if shorter else "",
        target_text='f"startseq {rows[index][1]} endseq"' if teacher else "rows[index][1]",
        extra_step=" + 1" if teacher else "",
    )
    token = "targets[:, 1:]" if teacher else "targets.numpy()"
    encoded = {
        "one_hot": f"keras.utils.to_categorical({token}, config.vocab_size)",
        "binary": f"{token}[..., None]",
    }.get(objective.labels, token)
    shape = "(rows, target_length, vocab_size)" if objective.labels == "one_hot" else "(rows, target_length)"
    template = sections.ENCODE_TEACHER if teacher else sections.ENCODE_CHAIN
    return f"{data}\n\n\n{fill(template, target_shape=shape, encode_targets=encoded)}"
