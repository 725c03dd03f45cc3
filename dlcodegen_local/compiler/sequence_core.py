"""What the text and sequence families share: sizes out of the plan, the target, the model section.

Everything here is a reading of the plan; which data stands on disk is the family's part.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.catalog import SPECS, TRANSPARENT
from dlcodegen_local.compiler.chain import Chain, Item, Step
from dlcodegen_local.compiler.model_section import model_section as plain_model_section
from dlcodegen_local.compiler.objective import Objective, Targets
from dlcodegen_local.compiler.program import Setting
from dlcodegen_local.compiler.reading import count_classes, input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.rendering import render_network, wrapped
from dlcodegen_local.compiler.sequence_fitting import SideStep, takes_tokens
from dlcodegen_local.compiler.sequence_items import block_kind, read_sequence_items
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss

DEFAULT_LENGTH = 128
DEFAULT_VOCABULARY = 10_000
MAX_LENGTH = 4096
MAX_VOCABULARY = 200_000
_VALUE_LOSSES = frozenset(
    {
        "mean_squared_error",
        "mean_absolute_error",
        "root_mean_squared_error",
        "mean_columnwise_root_mean_squared_error",
        "huber",
        "log_cosh",
    }
)
_VOCABULARY_NAMES = ("vocab_size", "vocabulary_size", "max_features", "max_words", "voc_size")
_LENGTH_NAMES = ("sequence_length", "max_length", "maxlen", "max_len", "max_seq_length")
_WIDTH_NAMES = ("embedding_dim", "embed_dim", "embedding_size", "embed_size", "embed_len")
LOAD_TRAINED = '''
def load_trained(config: Config) -> keras.Model:
    """Build the network and load what training saved: the weights, and the optimizer's state with them."""
    model = build_model(config)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(Path(config.output_dir) / "model.weights.h5")
    return model


'''
MODEL = '''
$blocks


$functions


def build_model(config: Config) -> keras.Model:
    """Return the compiled network."""
    $network
    $compile
    return model
'''


@dataclass(frozen=True)
class TextSizes:
    """Hold the sizes of a text model as the plan gives them, defaults where it does not."""

    sequence_length: int
    vocab_size: int
    embedding_dim: int = 64
    hidden_size: int = 128

    def settings(self) -> list[Setting]:
        """Return them as fields of Config."""
        return [
            Setting("vocab_size", self.vocab_size),
            Setting("sequence_length", self.sequence_length),
            Setting("embedding_dim", self.embedding_dim),
            Setting("hidden_size", self.hidden_size, "width of the small encoder"),
            Setting("num_layers", 1, "blocks of the small encoder"),
        ]

    def symbols(self) -> dict[str, Expr]:
        """Return the names that plans give these sizes, with the code that stands for them."""
        vocabulary = Expr("config.vocab_size", self.vocab_size)
        length = Expr("config.sequence_length", self.sequence_length)
        width = Expr("config.embedding_dim", self.embedding_dim)
        names = dict.fromkeys(_VOCABULARY_NAMES, vocabulary)
        names |= dict.fromkeys(_LENGTH_NAMES, length)
        names |= dict.fromkeys(_WIDTH_NAMES, width)
        return names | {"hidden_size": Expr("config.hidden_size", self.hidden_size)}


def planned_preprocessing(plan: Plan) -> str:
    """Return the plan's preprocessing as a sentence, "" where it has none."""
    return f"Preprocessing planned: {plan.preprocess[:300]}" if plan.preprocess.strip() else ""


def planned_items(plan: Plan, default: Sequence[str]) -> list[Item]:
    """Return the plan's layers, the family's own where the plan names none that can be built."""
    items = read_sequence_items(plan.layers)
    if any(item.call is not None and item.name != "Input" for item in items):
        return items
    return [*items, *read_sequence_items(default)]


def read_sizes(plan: Plan, items: Sequence[Item], default_length: int = DEFAULT_LENGTH) -> TextSizes:
    """Return length and vocabulary as the layers state them, else the data's description, else defaults."""
    embedding = next((item.call for item in items if item.name == "Embedding" and item.call), None)
    length = vocabulary = width = None
    if embedding is not None:
        length = embedding.kwargs.get("input_length")
        vocabulary = embedding.get("input_dim", 0)
        width = embedding.get("output_dim", 1)
    stated = input_from_layers(list(items))
    if not _whole(length, MAX_LENGTH) and stated and stated[0]:
        length = stated[0]
    if not _whole(length, MAX_LENGTH):
        shapes = [shape for shape in read_shapes(plan.dataset_input) if shape and shape[0]]
        length = shapes[0][0] if shapes else _length_in(f"{plan.dataset_input} {plan.preprocess}")
    if not _whole(vocabulary, MAX_VOCABULARY):
        match = re.search(
            r"(?:top|most \w+) (\d{4,6})|(\d{4,6}) (?:most|top|unique)|vocab\w*\D{1,20}(\d{3,6})",
            _prose(plan),
        )
        vocabulary = int(next(part for part in match.groups() if part)) if match else None
    return TextSizes(
        _whole(length, MAX_LENGTH) or default_length,
        max(_whole(vocabulary, MAX_VOCABULARY) or DEFAULT_VOCABULARY, 8),
        _whole(width, 2048) or 64,
    )


def _prose(plan: Plan) -> str:
    return re.sub(r"(?<=\d),(?=\d{3})", "", f"{plan.preprocess} {plan.dataset_input}".lower())


def _length_in(text: str) -> int | None:
    match = re.search(
        r"(?:length|padded to|maximum of|up to)\D{1,20}(\d{1,4})\b|(\d{1,4})\s+(?:words|tokens|characters)",
        text,
    )
    return int(next(part for part in match.groups() if part)) if match else None


def _whole(value: object, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 < value <= most else None


def reads_bag(items: Sequence[Item]) -> bool:
    """Say whether the planned layers read one vector a text: no layer takes tokens or sequences."""
    for item in items:
        if item.call is None or item.name == "Input" or item.name in TRANSPARENT:
            continue
        wanted = SPECS[item.name].rank if item.name in SPECS else None
        sequence = item.name in ("Bidirectional", "TimeDistributed", "Flatten") or (wanted or 0) > 1
        if takes_tokens(item) or block_kind(item.name) or sequence:
            return False
    return True


def read_target(plan: Plan, items: Sequence[Item]) -> Targets:
    """Return what one text is to be given: a class, several labels or numbers."""
    last = last_layer(list(items))
    output = plan.dataset_output.lower()
    loss = canonical_loss(plan.loss)
    size = count_classes(plan.dataset_output) or last.units or 2
    several = re.search(
        r"multi-?label|multiple (?:\w+ )?(?:labels|targets|target)|multiple (?:\w+ ){0,2}labels", output
    )
    vague = re.search(r"score|rating|regress|continuous|similarity", output)
    if (
        loss in _VALUE_LOSSES
        and last.activation not in ("softmax",)
        and (vague or last.activation != "sigmoid")
    ):
        size = count_classes(plan.dataset_output) or last.units or 1
        return Targets("values", min(size, 1000), last.units, last.activation)
    labels = last.activation == "sigmoid" and loss.startswith("binary") and size > 2
    if several or labels:
        size = count_classes(plan.dataset_output) or last.units or 4
        return Targets("labels", max(size, 2), last.units, last.activation)
    return Targets("classes", max(size, 2), last.units, last.activation)


def encode_labels(labels: str, name: str = "labels", count: str = "config.num_classes") -> str:
    """Return the expression that brings class numbers into the form that the loss takes."""
    if labels == "one_hot":
        return f"keras.utils.to_categorical({name}, {count})"
    return f'{name}[..., None].astype("float32")' if labels == "binary" else name


def label_shape(labels: str) -> str:
    """Return the shape of encoded labels, in words."""
    return {"one_hot": "(rows, num_classes)", "binary": "(rows, 1)"}.get(labels, "(rows,)")


def render_chain(chain: Chain, dtype: str = "int32") -> str:
    """Return statements that build the network; side branches make it functional."""
    if not any(isinstance(step, SideStep) for step in chain.steps):
        return render_network(chain, dtype=dtype)
    entry = f'layers.Input(shape={chain.input_code}, dtype="{dtype}")'
    return "\n".join(
        [f"inputs = {entry}", *render_steps(chain.steps, "inputs"), "model = keras.Model(inputs, x)"]
    )


def render_steps(steps: Sequence[Step], source: str) -> list[str]:
    """Return the functional form of steps, line by line; the last tensor is `x`."""
    read = {step.source for step in steps if isinstance(step, SideStep)}
    read |= {step.merges for step in steps if step.merges is not None and step.merges >= 0}
    names = {index: f"branch_{number}" for number, index in enumerate(sorted(read - {-1}), start=1)}
    names[-1] = source
    lines: list[str] = []
    current = source
    for index, step in enumerate(steps):
        lines += [f"# {step.comment}"] if step.comment else []
        if step.code:
            feed = names[step.source] if isinstance(step, SideStep) else _feed(step, current, names)
            lines.append(wrapped(f"x = {step.code}({feed})", 0))
            current = "x"
        if index in names and index >= 0:
            lines.append(f"{names[index]} = {current}")
    return lines if current == "x" else [*lines, f"x = {source}"]


def _feed(step: Step, current: str, names: Mapping[int, str]) -> str:
    if step.merges is None:
        return current
    if step.merges == -1:
        return f"{current}, {current}"
    return f"[{current}, {current}]" if step.merges == -2 else f"[{names[step.merges]}, {current}]"


def model_section(blocks: Mapping[str, str], functions: str, network: str, compile_call: str) -> str:
    """Return the model section: the classes, the objective's functions, `build_model`."""
    classes = "\n\n\n".join(blocks.values())
    text = fill(MODEL, blocks=classes, functions=functions, network=network, compile=compile_call)
    return re.sub(r"\n{4,}", "\n\n\n", text)


def used_settings(settings: Sequence[Setting], *code: str) -> tuple[Setting, ...]:
    """Keep the settings that the code reads."""
    joined = "\n".join(code)
    return tuple(setting for setting in settings if re.search(rf"config\.{setting.name}\b", joined))


def build_network(
    chain: Chain,
    blocks: Mapping[str, str],
    objective: Objective,
    settings: list[Setting],
    functions: str = "",
    compile_call: str = "",
) -> str:
    """Return the model section of a chain on numbers; a pretrained base adds its settings to `settings`."""
    changed = replace(
        objective,
        functions=functions or objective.functions,
        compile_call=compile_call or objective.compile_call,
    )
    classes = "\n\n\n".join(blocks.values())
    plain_chain = not any(isinstance(step, SideStep) for step in chain.steps)
    if plain_chain:
        section = plain_model_section(chain, changed, settings)
    else:
        section = model_section({}, changed.functions, render_chain(chain, "float32"), changed.compile_call)
    return f"{classes}\n\n\n{section}".strip()
