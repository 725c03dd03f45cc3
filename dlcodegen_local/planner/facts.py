"""Facts that a requirement states in so many words: they stand in the plan as they are stated.

Guarantees no reading between the lines: a number counts only beside the word that names it. Does
not translate; English and German key words are known.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dlcodegen_local.planner.stated_sizes import StatedSizes
from dlcodegen_local.planner.values import canonical_loss, canonical_metric, canonical_optimizer

Fact = str | float | int

_OPTIMIZERS = r"adam|adamw|adamax|adagrad|adadelta|nadam|sgd|rmsprop|stochastic gradient descent|lion|ftrl"
_LOSSES = (
    r"(?:sparse[ _])?(?:binary|categorical)[ _-]?cross[ -]?entropy|"
    r"mean[ _]squared[ _](?:logarithmic[ _])?error|"
    r"mean[ _]absolute[ _](?:percentage[ _])?error|mse|mae|huber|focal|dice|hinge|ctc"
)
_METRICS = (
    r"accuracy|auc|f1(?:[ -]score)?|(?:root[ _])?mean[ _](?:absolute|squared)[ _]error|"
    r"rmse|mae|mse|iou|bleu|precision|recall"
)
_IS = r"\s*(?:=|:|of|is|set to|von|ist)?\s*"
_WHOLE = r"(\d{1,3}(?:[,.]\d{3})+|\d{1,7})(?![\d.]*\d)"
_REAL = r"(\d+(?:[.,]\d+)?(?:e-?\d+)?|\.\d+)"
# As PyTorch spells them; its cross entropy takes class numbers, as the sparse one does.
_TORCH_LOSSES = {
    "bceloss": "binary_crossentropy",
    "bcewithlogitsloss": "binary_crossentropy",
    "crossentropyloss": "sparse_categorical_crossentropy",
    "mseloss": "mean_squared_error",
    "l1loss": "mean_absolute_error",
    "huberloss": "huber",
    "ctcloss": "ctc loss",
}

_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_SQUARE = r"\b(\d{2,4})\s*(?:px|pixels?)?\s*[x×]\s*\1(?!\d)"
_IMAGE_SIZE = r"\b(?:image size|bildgröße)(?:\s+(?:of|is|von))?\s+(\d{2,4})\b(?!\s*[x×])"
_CLASSES = (
    rf"(?<![\d.,])\b(\d{{1,3}}(?:,\d{{3}})?|\d{{4,5}}|{'|'.join(_NUMBER_WORDS[2:])})\s+"
    r"(?:(?:different\s+|distinct\s+|unique\s+)?(?:[a-z-]+\s+)?(?:classes|categories|labels)|"
    r"(?:different\s+|distinct\s+)?(?:classes|categories|kinds|types|species|topics|klassen|arten))\b"
)
_LARGEST_STORED_SIDE = 1024
# Keys of attributes that are given as an object, as JSON or as "key: value".
_SIZE_KEY = r"\b(?:image[ _])?size\"?\s*:\s*\[?\"?(\d{2,4})\s*(?:[x×,]\s*\1\b|(?=[\"}\s.]|$))"
_CLASSES_KEY = r"\b(?:num(?:ber)?[ _](?:of[ _])?)?(?:classes|labels)\"?\s*:\s*(\d{1,5})\b"
_CLASSES_LIST = r"\b(?:classes|labels)\"?\s*:\s*\[([^][{}]{3,2000})\]"
_COLUMNS = r"\b(\d{1,5})\s+(?:numeric(?:al)?\s+)?(?:input\s+)?(?:columns|features|inputs|spalten|merkmale)\b"
_COLUMNS_KEY = r"\b(?:columns|features)\"?\s*:\s*(\d{1,5})\b"
_LENGTH = (
    r"\b(\d{1,5})\s+(?:time\s*)?(?:steps|words|tokens|samples|wörter|zeitschritte)\b(?! ahead)|"
    r"\bsequence length(?:\s+(?:of|is))?\s+(\d{1,5})\b"
)
NETWORKS = (
    "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2",
    "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet", "MobileNetV2", "MobileNetV3Small",
    "MobileNetV3Large", "DenseNet121", "DenseNet169", "DenseNet201", "NASNetMobile", "NASNetLarge",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2S", "ConvNeXtTiny", "ConvNeXtSmall",
    "ConvNeXtBase",
)  # fmt: skip
_NETWORKS = (
    r"(?<![\w])(?:VGG[ -]?(?:16|19)|ResNet[ -]?(?:50|101|152)(?:[ -]?V2)?|"
    r"Inception[ -]?(?:ResNet[ -]?V2|V3)|Xception|"
    r"MobileNet(?:[ -]?V2|[ -]?V3(?:Small|Large))?|DenseNet[ -]?(?:121|169|201)|NASNet(?:Mobile|Large)|"
    r"EfficientNet[ -]?(?:B[0-7]|V2S)|ConvNeXt(?:Tiny|Small|Base)|(?:Distil|Ro)?BERT|LSTM|GRU)(?![\w])"
)

_PATTERNS: tuple[tuple[str, str], ...] = (
    ("optimizer", rf"\b({_OPTIMIZERS})\s+(?:as\s+(?:the\s+)?)?optimi[sz]er\b"),
    ("optimizer", rf"\boptimi[sz]er\b{_IS}(?:the\s+)?({_OPTIMIZERS})\b"),
    # A name on its own, spelled as a name: "with Adam", "torch.optim.AdamW".
    ("optimizer", r"(?-i:\b(Adam|AdamW|Adamax|Adagrad|Adadelta|Nadam|SGD|RMSprop|RMSProp)\b)(?!['’]s\b)"),
    ("loss", rf"\b({'|'.join(_TORCH_LOSSES)})\b"),
    ("loss", rf"\b({_LOSSES})\s+(?:as\s+(?:the\s+)?)?loss\b"),
    ("loss", rf"\bloss(?:\s+function)?\b{_IS}(?:the\s+)?({_LOSSES})\b"),
    ("metric", rf"\b(?:evaluation\s+)?metric\b{_IS}(?:the\s+)?({_METRICS})\b"),
    ("metric", rf"\b({_METRICS})\s+as\s+(?:the\s+|an?\s+)?(?:evaluation\s+)?metric\b"),
    ("epochs", rf"\b{_WHOLE}\s+(?:training\s+)?(?:epochs?|epochen)\b"),
    ("epochs", rf"\b(?:epochs?|epochen)\b(?:\s*(?:=|:|of|is|set to|von|ist)\s*){_WHOLE}"),
    ("batch_size", rf"\bbatch(?:[ _-]?(?:size|größe))\b{_IS}{_WHOLE}"),
    ("batch_size", rf"\bbatches of\s+{_WHOLE}"),
    ("learning_rate", rf"\b(?:learning[ _-]rate|lernrate)\b{_IS}{_REAL}"),
)
_BEFORE_AN_ASIDE = re.compile(
    r"(?:\d\s*(?:[-–]|to|or|bis|oder)|\b(?:patience(?:\s+of)?|every|each|after|last|first|per|alle|nach))\s*$",
    re.IGNORECASE,
)
_AFTER_AN_ASIDE = re.compile(r"\s*(?:[-–]|to|or|bis|oder)\s*\d", re.IGNORECASE)
_BOUNDS = {"epochs": 10**7, "batch_size": 10**6, "learning_rate": 100.0}


@dataclass(frozen=True)
class StatedFacts:
    """Hold what a requirement states: values of closed fields, sizes, and words a text should have.

    `wanted` names, for a text field, what its text should spell; nothing forbids a text without it.
    """

    values: Mapping[str, Fact]
    sizes: StatedSizes
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        """Return one line a fact, in the order of their names."""
        stated = dict(self.values)
        if self.sizes.image_size is not None:
            stated["image_size"] = self.sizes.image_size
        if self.sizes.num_classes is not None:
            stated["number of classes"] = self.sizes.num_classes
        if self.sizes.num_features is not None:
            stated["number of columns"] = self.sizes.num_features
        if self.wanted.get("layer"):
            stated["network"] = ", ".join(self.wanted["layer"])
        return tuple(
            f"{name.replace('_', ' ')} {value} is stated in the requirement"
            for name, value in sorted(stated.items())
        )


def stated_facts(requirement: str, dataset: str = "") -> StatedFacts:
    """Return the facts that the texts state; of two different ones neither counts."""
    text = " ".join(f"{requirement}\n{dataset}".split())
    found: dict[str, set[Fact]] = {}
    for name, pattern in _PATTERNS:
        for match in re.finditer(pattern, text, flags=re.IGNORECASE):
            value = _READERS[name](match.group(1))
            if value is not None and not _is_aside(text, *match.span(1)):
                found.setdefault(name, set()).add(value)
    values = {name: values.pop() for name, values in sorted(found.items()) if len(values) == 1}
    sizes = _stated_sizes(requirement, dataset, text)
    return StatedFacts(values, sizes, _wanted(requirement, text, sizes))


def _is_aside(text: str, start: int, end: int) -> bool:
    """Tell whether what stands there is one end of a range, or says when something happens."""
    return bool(_BEFORE_AN_ASIDE.search(text[:start]) or _AFTER_AN_ASIDE.match(text[end:]))


def _stated_sizes(requirement: str, dataset: str, text: str) -> StatedSizes:
    """Return the sizes; the requirement's come first, attributes given as an object are read by keys.

    Of the images on disk only a size that networks take is a fact: nobody trains on 4000 x 4000.
    """
    sides = _numbers((_SQUARE, _IMAGE_SIZE), requirement)
    if not sides:
        sides = {side for side in _numbers((_SQUARE, _SIZE_KEY), dataset) if side <= _LARGEST_STORED_SIDE}
    counts = {match.group(1).lower() for match in re.finditer(_CLASSES, text, flags=re.IGNORECASE)}
    classes = {
        _NUMBER_WORDS.index(count) if count in _NUMBER_WORDS else int(count.replace(",", ""))
        for count in counts
    }
    if not classes:
        classes = _numbers((_CLASSES_KEY,), dataset)
        lists = re.finditer(_CLASSES_LIST, dataset, flags=re.IGNORECASE)
        classes |= {match.group(1).count(",") + 1 for match in lists}
    columns = _numbers((_COLUMNS,), text) | _numbers((_COLUMNS_KEY,), dataset)
    return StatedSizes(
        image_size=sides.pop() if len(sides) == 1 and 16 <= min(sides) <= 4096 else None,
        num_classes=classes.pop() if len(classes) == 1 and 2 <= min(classes) <= 10_000 else None,
        num_features=columns.pop() if len(columns) == 1 and 1 <= min(columns) <= 100_000 else None,
    )


def _numbers(patterns: Sequence[str], text: str) -> set[int]:
    """Return the first groups of all matches."""
    return {
        int(match.group(1))
        for pattern in patterns
        for match in re.finditer(pattern, text, flags=re.IGNORECASE)
    }


def _wanted(requirement: str, text: str, sizes: StatedSizes) -> dict[str, tuple[str, ...]]:
    """Return what texts of the plan should spell: sizes, lengths of sequences, named networks."""
    numbers = (sizes.image_size, sizes.num_features)
    lengths = {match.group(1) or match.group(2) for match in re.finditer(_LENGTH, text, flags=re.IGNORECASE)}
    wanted = {
        "input": (*(str(n) for n in numbers if n is not None), *sorted(lengths)),
        "output": () if sizes.num_classes is None else (str(sizes.num_classes),),
        "layer": tuple(dict.fromkeys(_named_networks(requirement))),
    }
    return {name: texts for name, texts in wanted.items() if texts}


def _named_networks(requirement: str) -> Iterator[str]:
    for match in re.finditer(_NETWORKS, requirement, flags=re.IGNORECASE):
        spelled = re.sub(r"[ -]", "", match.group(0))
        yield next((name for name in NETWORKS if name.lower() == spelled.lower()), spelled)


def _whole(name: str) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        number = int(re.sub(r"[,.]", "", text))
        return number if 0 < number <= _BOUNDS[name] else None

    return read


def _learning_rate(text: str) -> float | None:
    number = float(text.replace(",", "."))
    return number if 0 < number <= _BOUNDS["learning_rate"] else None


def _loss(text: str) -> str | None:
    return _TORCH_LOSSES.get(text.lower()) or canonical_loss(text) or None


def _name(canonical: Callable[[str], str]) -> Callable[[str], str | None]:
    return lambda text: canonical(text) or None


_READERS: Mapping[str, Callable[[str], Fact | None]] = {
    "optimizer": _name(canonical_optimizer),
    "loss": _loss,
    "metric": _name(canonical_metric),
    "epochs": _whole("epochs"),
    "batch_size": _whole("batch_size"),
    "learning_rate": _learning_rate,
}
