"""Facts that a requirement states in so many words: they stand in the plan as they are stated.

Guarantees no reading between the lines: a number counts only beside the word that names it. Does
not translate; English and German key words are known.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
    r"accuracy|auc|f1(?:[ -]score)?|mean[ _](?:absolute|squared)[ _]error|"
    r"rmse|mae|mse|iou|bleu|precision|recall"
)
_IS = r"\s*(?:=|:|of|is|set to|von|ist)?\s*"
_WHOLE = r"(\d{1,3}(?:[,.]\d{3})+|\d{1,7})(?![\d.]*\d)"
_REAL = r"(\d+(?:\.\d+)?(?:e-?\d+)?|\.\d+)"

_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_SQUARE = r"\b(\d{2,4})\s*(?:px|pixels?)?\s*[x×]\s*\1(?!\d)"
_IMAGE_SIZE = r"\b(?:image size|bildgröße)(?:\s+(?:of|is|von))?\s+(\d{2,4})\b(?!\s*[x×])"
_CLASSES = (
    rf"(?<![\d.,])\b(\d{{1,3}}(?:,\d{{3}})?|\d{{4,5}}|{'|'.join(_NUMBER_WORDS[2:])})\s+(?:different\s+|distinct\s+)?"
    r"(?:classes|categories|kinds|types|species|klassen|arten)\b"
)

_PATTERNS: tuple[tuple[str, str], ...] = (
    ("optimizer", rf"\b({_OPTIMIZERS})\s+(?:as\s+(?:the\s+)?)?optimi[sz]er\b"),
    ("optimizer", rf"\boptimi[sz]er\b{_IS}(?:the\s+)?({_OPTIMIZERS})\b"),
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
    """Hold the values of closed fields that a requirement states."""

    values: Mapping[str, Fact]
    sizes: StatedSizes

    def notes(self) -> tuple[str, ...]:
        """Return one line a fact, in the order of their names."""
        stated = dict(self.values)
        if self.sizes.image_size is not None:
            stated["image_size"] = self.sizes.image_size
        if self.sizes.num_classes is not None:
            stated["number of classes"] = self.sizes.num_classes
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
    return StatedFacts(values, _stated_sizes(requirement, text))


def _is_aside(text: str, start: int, end: int) -> bool:
    """Tell whether what stands there is one end of a range, or says when something happens."""
    return bool(_BEFORE_AN_ASIDE.search(text[:start]) or _AFTER_AN_ASIDE.match(text[end:]))


def _stated_sizes(requirement: str, text: str) -> StatedSizes:
    """Return the sizes; images that lie on disk in another size than the model's are no fact."""
    sides = {int(match.group(1)) for match in re.finditer(_SQUARE, requirement, flags=re.IGNORECASE)}
    sides |= {int(match.group(1)) for match in re.finditer(_IMAGE_SIZE, requirement, flags=re.IGNORECASE)}
    counts = {match.group(1).lower() for match in re.finditer(_CLASSES, text, flags=re.IGNORECASE)}
    classes = {
        _NUMBER_WORDS.index(count) if count in _NUMBER_WORDS else int(count.replace(",", ""))
        for count in counts
    }
    return StatedSizes(
        image_size=sides.pop() if len(sides) == 1 and 16 <= min(sides) <= 4096 else None,
        num_classes=classes.pop() if len(classes) == 1 and 2 <= min(classes) <= 10_000 else None,
    )


def _whole(name: str) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        number = int(re.sub(r"[,.]", "", text))
        return number if 0 < number <= _BOUNDS[name] else None

    return read


def _learning_rate(text: str) -> float | None:
    number = float(text)
    return number if 0 < number <= _BOUNDS["learning_rate"] else None


def _name(canonical: Callable[[str], str]) -> Callable[[str], str | None]:
    return lambda text: canonical(text) or None


_READERS: Mapping[str, Callable[[str], Fact | None]] = {
    "optimizer": _name(canonical_optimizer),
    "loss": _name(canonical_loss),
    "metric": _name(canonical_metric),
    "epochs": _whole("epochs"),
    "batch_size": _whole("batch_size"),
    "learning_rate": _learning_rate,
}
