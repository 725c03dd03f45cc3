"""Read layers as text, sequence and graph plans name them: pretrained encoders and custom layers too.

Guarantees an `Item` for every text of the plan, in order. A network or layer that Keras lacks keeps its name,
as an identifier, so that the code can be recognised as the plan's; `block_kind` says which class is written.
"""

import re
from collections.abc import Sequence

from dlcodegen_local.compiler.catalog import BASE_FACTS, SPECS
from dlcodegen_local.compiler.chain import Item
from dlcodegen_local.plan.layers import LayerCall, parse_layers

_WRAPPERS = frozenset({"Bidirectional", "TimeDistributed", "Input", "Lambda"})
# Ordered: the first pattern that is found decides. Prose name, pattern, kind of class.
_NETWORKS = (
    (
        "UniversalSentenceEncoder",
        r"universal[ _-]?sentence|\buse\b(?=.*embed)|USEEmbed|hub\b|keras ?layer\b",
        "sentence",
    ),
    ("XLMRobertaLayer", r"xlm[ _-]?r", "pretrained"),
    ("DistilBertLayer", r"distil[ _-]?bert", "pretrained"),
    ("RobertaLayer", r"roberta", "pretrained"),
    ("AlbertLayer", r"\w*albert", "pretrained"),
    ("ElectraLayer", r"electra", "pretrained"),
    ("BertLayer", r"bert", "pretrained"),
    ("GPT2Layer", r"gpt", "pretrained"),
    ("T5Layer", r"\bt5|(?<=TF)T5", "pretrained"),
    ("BartLayer", r"\bbart\b|TFBart|pegasus|marian", "pretrained"),
    (
        "LongformerLayer",
        r"longformer|xlnet|deberta|AutoModel|pre-?trained (?:language|transformer) model",
        "pretrained",
    ),
    (
        "TokenAndPositionEmbedding",
        r"token[ _]?and[ _]?position[ _]?embedding|positional[ _]?embedding",
        "positions",
    ),
    ("PositionalEncoding", r"position(?:al)?[ _-]?encoding", "place_encoding"),
    ("TransformerDecoder", r"transformer[ _-]?decoder", "decoder"),
    ("TransformerBlock", r"transformer[ _-]?(?:block|encoder)|encoder[ _]?block", "block"),
    ("TransformerLayer", r"transformer", "block"),
    ("QALayer", r"\bqa[ _-]?layers?|bidaf", "block"),
    ("GraphAttention", r"graph[ _-]?attention|\bgat(?:conv)?\b", "graph"),
    (
        "GCNConv",
        r"\bgcn\w*|graph[ _-]?conv\w*|\w*sage\w*|chebconv\w*|\bgin(?:conv)?\b|message[ _-]?passing",
        "graph",
    ),
    ("CRF", r"\bcrf\b|conditional random field", "tags"),
    ("AttentionLayer", r"\w+attention\w*|attention_\w+|attention(?=\w)", "pooling"),
)
_KEEP_KERAS = frozenset({"MultiHeadAttention", "Attention", "AdditiveAttention"})
_PASSING = re.compile(r"tokeni[sz]er|optimi[sz]er|checkpoint", re.IGNORECASE)
_IDENTIFIER = re.compile(r"^\s*(?:\w+\.)*([A-Z]\w*)(?:\.from_pretrained)?\s*\(")
_BARE_IDENTIFIER = re.compile(
    r"^\s*((?:TF)?[A-Z]\w*(?:Model|Encoder|Decoder|Block|Layer|Embedding|Conv|Classification))\s*$"
)


def read_sequence_items(texts: Sequence[str]) -> list[Item]:
    """Read the planned layers; a text that names several becomes several items."""
    items: list[Item] = []
    for text in texts:
        items += _read_text(text)
    return items


def block_kind(name: str) -> str | None:
    """Return the kind of class that is written for a layer's name, None where Keras has the layer."""
    if name in SPECS or name in BASE_FACTS or name in _WRAPPERS or name in _KEEP_KERAS or not name:
        return None
    found = _network(name)
    return found[1] if found else None


def _read_text(text: str) -> list[Item]:
    if _PASSING.search(text):
        return [Item(text, None)]
    calls = parse_layers(text)
    name = _identifier(text)
    if name and block_kind(name):
        call = next((call for call in calls if call.name == name), LayerCall(name))
        return [Item(text, call)]
    if re.match(r"\s*(?:keras )?input\b", text, re.IGNORECASE) and "(BERT Layer)" not in text:
        return [Item(text, LayerCall("Input"))] if not calls else [Item(text, calls[0])]
    if name and calls:
        return _unpacked(text, calls)
    return _read_prose(text, calls)


def _identifier(text: str) -> str | None:
    """Return the class that a text names: "TFBertModel.from_pretrained('x')" is `TFBertModel`."""
    match = _IDENTIFIER.match(text) or _BARE_IDENTIFIER.match(text)
    return match.group(1) if match else None


def _unpacked(text: str, calls: Sequence[LayerCall]) -> list[Item]:
    """Replace an unknown container, "Encoder(Embedding, LSTM)", by what it holds."""
    items: list[Item] = []
    for call in calls:
        inner = [value for value in call.args if isinstance(value, LayerCall)]
        if call.name not in SPECS and call.name not in _WRAPPERS and call.name not in BASE_FACTS and inner:
            items += [Item(text, value) for value in inner]
        else:
            items.append(Item(text, call))
    return items


def _read_prose(text: str, calls: Sequence[LayerCall]) -> list[Item]:
    found = _network(text)
    if found is None or _only_keras_attention(text, calls):
        return _unpacked(text, calls) or [Item(text, None)]
    name, _, end = found
    units = [value for call in calls for value in call.args if isinstance(value, int)]
    graph = {key: value for call in calls for key, value in call.kwargs.items() if key == "activation"}
    call = LayerCall(name, tuple(units[:1]), graph) if found[1] == "graph" else LayerCall(name)
    items = [Item(text, call)]
    rest = re.search(r"\b(?:with|and|,)\b(.*)", text[end:], re.IGNORECASE)
    if (
        rest
        and found[1] != "graph"
        and not re.search(r"attention|embedding|token|encoding|extraction", rest.group(1))
    ):
        items += [Item(rest.group(1).strip(), call) for call in parse_layers(rest.group(1))]
    return items


def _only_keras_attention(text: str, calls: Sequence[LayerCall]) -> bool:
    """Tell "Self-Attention layer", which Keras has, from a transformer."""
    named = {call.name for call in calls}
    return bool(named & _KEEP_KERAS) and not re.search(
        r"transformer|bert|qa[ _]|weighted", text, re.IGNORECASE
    )


def _network(text: str) -> tuple[str, str, int] | None:
    for name, pattern, kind in _NETWORKS:
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            return name, kind, match.end()
    return None
