"""The plan as tokens: one special token a closed value, one a field border, text in between.

    <requirement> text <dataset> text <plan> style category metric loss optimizer lr batch epochs
    <input> text <output> text <preprocess> text <layer> text <layer> text ... <end>

Guarantees that a user's text never becomes a control token, whatever it spells. The border tokens
stand for the JSON keys, quotes and brackets, which therefore cost no model step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan

BORDERS = ("pad", "requirement", "dataset", "plan", "input", "output", "preprocess", "layer", "end")
CLOSED_FIELDS = ("style", "category", "metric", "loss", "optimizer", "learning_rate", "batch_size", "epochs")
NUMBER_FIELDS = ("learning_rate", "batch_size", "epochs")
TEXT_FIELDS = ("input", "output", "preprocess", "layer")
STYLES = ("calls", "outline")

MAX_REQUIREMENT_TOKENS = 224
MAX_DATASET_TOKENS = 160
MAX_PROMPT_TOKENS = MAX_REQUIREMENT_TOKENS + MAX_DATASET_TOKENS + 3
MAX_PROMPT_CHARS = 8000

Value = str | float | int


@dataclass(frozen=True)
class ClosedField:
    """Hold the candidates of one field: value `i` is token `first_id + i`.

    The token after the last candidate stands for "left open"; training uses it, decoding never.
    """

    name: str
    first_id: int
    values: tuple[Value, ...]

    @property
    def token_ids(self) -> range:
        """Return the tokens of the candidates, without the open one."""
        return range(self.first_id, self.first_id + len(self.values))

    @property
    def open_id(self) -> int:
        """Return the token that stands for a value that the plan leaves open."""
        return self.first_id + len(self.values)

    def value(self, token_id: int) -> Value:
        """Return the value of a candidate's token."""
        return self.values[token_id - self.first_id]


@dataclass(frozen=True)
class PlanVocabulary:
    """Name the control tokens: borders by their name, closed fields with their candidates."""

    borders: dict[str, int]
    fields: tuple[ClosedField, ...]
    vocab_size: int

    def field(self, name: str) -> ClosedField:
        """Return the closed field of that name."""
        return next(field for field in self.fields if field.name == name)

    @property
    def first_control_id(self) -> int:
        """Return the smallest control token: every text token is below it."""
        return min(self.borders.values())

    def to_dict(self) -> dict[str, object]:
        """Return the form that stands in `planner.json`."""
        return {
            "vocab_size": self.vocab_size,
            "borders": self.borders,
            "fields": [
                {"name": field.name, "first_id": field.first_id, "values": list(field.values)}
                for field in self.fields
            ],
        }

    @classmethod
    def from_dict(cls, table: object) -> "PlanVocabulary":
        """Read the form that stands in `planner.json`.

        Raises:
            ArtifactError: a border, a field or a candidate is missing or of the wrong kind.
        """
        try:
            assert isinstance(table, dict)
            fields = tuple(
                ClosedField(str(entry["name"]), int(entry["first_id"]), tuple(entry["values"]))
                for entry in table["fields"]
            )
            borders = {name: int(table["borders"][name]) for name in BORDERS}
            vocabulary = cls(borders, fields, int(table["vocab_size"]))
            vocabulary.check()
        except (AssertionError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as exc:
            raise ArtifactError(
                f"planner.json: not a planner's vocabulary ({exc!r})", hint="install the planner again"
            ) from exc
        return vocabulary

    def check(self) -> None:
        """Raise ValueError unless every field has candidates that a plan can hold."""
        if tuple(field.name for field in self.fields) != CLOSED_FIELDS:
            raise ValueError(f"fields must be {', '.join(CLOSED_FIELDS)}")
        taken = list(self.borders.values())
        for field in self.fields:
            taken += [*field.token_ids, field.open_id]
            kind = (int, float) if field.name in NUMBER_FIELDS else (str,)
            if not field.values or not all(
                isinstance(value, kind) and not isinstance(value, bool) for value in field.values
            ):
                raise ValueError(f"{field.name}: no candidates, or of a wrong type")
            if field.name in NUMBER_FIELDS and not all(0 < float(v) <= 1e7 for v in field.values):
                raise ValueError(f"{field.name}: a candidate is out of bounds")
        if len(set(taken)) != len(taken) or max(taken) >= self.vocab_size or min(taken) <= 0:
            raise ValueError("control tokens overlap or lie outside the vocabulary")
        if not set(self.field("category").values) <= set(CATEGORIES):
            raise ValueError("category: unknown candidates")
        if not set(self.field("style").values) <= set(STYLES):
            raise ValueError("style: unknown candidates")


class PlanTokenizer:
    """Turn requirements and plans into token ids, and token ids into text."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: PlanVocabulary) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.vocabulary = vocabulary

    @classmethod
    def from_bytes(cls, tokenizer_json: bytes, vocabulary: PlanVocabulary) -> "PlanTokenizer":
        """Read the content of `tokenizer.json`.

        Raises:
            ArtifactError: it is no tokenizer.
        """
        try:
            tokenizer = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
        except Exception as exc:  # tokenizers raises bare Exception
            raise ArtifactError(
                f"tokenizer.json cannot be read ({exc})", hint="install the planner again"
            ) from exc
        planner_tokenizer = cls(tokenizer, vocabulary)
        planner_tokenizer.check_size(vocabulary.vocab_size)
        return planner_tokenizer

    def check_size(self, vocab_size: int) -> None:
        """Raise ArtifactError unless tokenizer, vocabulary and a model of that size fit together."""
        sizes = {self._tokenizer.get_vocab_size(), self.vocabulary.vocab_size, vocab_size}
        if len(sizes) > 1:
            raise ArtifactError(
                f"tokenizer.json, planner.json and the model differ in size: {sorted(sizes)}",
                hint="install the planner again",
            )

    def save(self, path: Path) -> None:
        """Write `tokenizer.json`."""
        self._tokenizer.save(str(path))

    def token_texts(self) -> list[str]:
        """Return the text of every text token, by its id."""
        return [self.decode_text([token_id]) for token_id in range(self.vocabulary.first_control_id)]

    def encode_text(self, text: str) -> list[int]:
        """Return the tokens of a text; control tokens spelled in it stay ordinary text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode_text(self, token_ids: Sequence[int]) -> str:
        """Return the text of text tokens; broken UTF-8 becomes U+FFFD."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def encode_prompt(self, requirement: str, dataset: str) -> tuple[list[int], bool]:
        """Return the tokens of `<requirement> ... <plan>`, and whether a part had to be cut."""
        borders = self.vocabulary.borders
        cut = False
        parts: list[list[int]] = []
        for text, limit in ((requirement, MAX_REQUIREMENT_TOKENS), (dataset, MAX_DATASET_TOKENS)):
            plain = " ".join(text[:MAX_PROMPT_CHARS].encode("utf-8", "replace").decode("utf-8").split())
            ids = self.encode_text(plain)
            cut = cut or len(ids) > limit or len(text) > MAX_PROMPT_CHARS
            parts.append(ids[:limit])
        prompt = [borders["requirement"], *parts[0], borders["dataset"], *parts[1], borders["plan"]]
        return prompt, cut

    def encode_plan(self, plan: Plan, closed_ids: Sequence[int]) -> list[int]:
        """Return the tokens after `<plan>`; `closed_ids` are those of `CLOSED_FIELDS`, in order."""
        borders = self.vocabulary.borders
        ids = [*closed_ids, borders["input"], *self.encode_text(plan.dataset_input)]
        ids += [borders["output"], *self.encode_text(plan.dataset_output)]
        ids += [borders["preprocess"], *self.encode_text(plan.preprocess)]
        for layer in plan.layers:
            ids += [borders["layer"], *self.encode_text(layer)]
        return [*ids, borders["end"]]


def layer_style(layers: Sequence[str]) -> str:
    """Return "calls" where at least half of the layers are written as calls, else "outline"."""
    calls = sum(layer.rstrip().endswith(")") and layer.split("(")[0].isidentifier() for layer in layers)
    return "calls" if 2 * calls >= len(layers) else "outline"
