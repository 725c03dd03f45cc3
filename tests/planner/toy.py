"""A planner's vocabulary in miniature, and logits functions without a model."""

from collections.abc import Sequence

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.planner.beam import Logits
from dlcodegen_local.planner.tokenizer import (
    BORDERS,
    CLOSED_FIELDS,
    STYLES,
    ClosedField,
    PlanTokenizer,
    PlanVocabulary,
    Value,
)

VALUES: dict[str, tuple[Value, ...]] = {
    "style": STYLES,
    "category": CATEGORIES[:5],
    "metric": ("accuracy", "auc"),
    "loss": ("binary_crossentropy", "mean_squared_error"),
    "optimizer": ("adam", "sgd", "rmsprop"),
    "learning_rate": (0.0001, 0.001, 0.01, 0.1),
    "batch_size": (8, 16, 32, 64),
    "epochs": (1, 5, 10, 20, 50),
}
PIECES = (
    "Conv2D(",
    "Dense(",
    "32",
    ", (3",
    ", 3)",
    ")",
    "activation='relu'",
    " images",
    " of",
    "Flatten()",
    "🙂",
)


def toy_tokenizer() -> PlanTokenizer:
    """Return a byte-level tokenizer without merges, some whole pieces, and the control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in PIECES])
    names = [f"<|{name}|>" for name in BORDERS]
    for field in CLOSED_FIELDS:
        names += [f"<|{field}={value}|>" for value in (*VALUES[field], "?")]
    first_id = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    next_id = first_id + len(BORDERS)
    fields = []
    for field in CLOSED_FIELDS:
        fields.append(ClosedField(field, next_id, VALUES[field]))
        next_id += len(VALUES[field]) + 1
    borders = {name: first_id + index for index, name in enumerate(BORDERS)}
    return PlanTokenizer(tokenizer, PlanVocabulary(borders, tuple(fields), next_id))


class TableLogits:
    """Give the logits that a function of the whole sequence says, and count the calls."""

    def __init__(self, logits_of_sequence: object) -> None:
        self._logits_of_sequence = logits_of_sequence
        self.rows: list[tuple[int, ...]] = [()]
        self.calls = 0

    def __call__(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        self.calls += 1
        self.rows = [(*self.rows[parent], *new) for parent, new in zip(parents, tokens, strict=True)]
        return np.stack([self._logits_of_sequence(row) for row in self.rows])  # type: ignore[operator]


class NoiseLogits(TableLogits):
    """Give random logits that depend on the sequence's length and row alone."""

    def __init__(self, vocab_size: int, seed: int, scale: float = 5.0) -> None:
        rng = np.random.default_rng(seed)
        super().__init__(lambda row: rng.normal(0.0, scale, vocab_size).astype(np.float32))
