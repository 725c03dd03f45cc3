"""Vocabulary of the planner: byte-level BPE, control tokens, candidates of the closed fields."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.tokenizer import (
    BORDERS,
    CLOSED_FIELDS,
    NUMBER_FIELDS,
    STYLES,
    ClosedField,
    PlanVocabulary,
    Value,
    layer_style,
)
from dlcodegen_local.planner.tokenizer_check import PIECES
from dlcodegen_local.planner.values import (
    canonical_loss,
    canonical_metric,
    canonical_optimizer,
    nearest_value,
)
from export.planner_rows import Row

MIN_COUNT = 4


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer of at most `vocab_size` tokens, id 0 kept for padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def row_texts(rows: Sequence[Row]) -> Iterable[str]:
    """Yield every text of the rows, each once."""
    for row in rows:
        plan = row.plan
        texts = (row.requirement, row.dataset, plan.dataset_input, plan.dataset_output, plan.preprocess)
        yield from (text for text in (*texts, *plan.layers) if text)


def closed_value(plan: Plan, name: str) -> Value | None:
    """Return the canonical value of a closed field, None where the plan leaves it open."""
    reading: dict[str, Callable[[], Value | None]] = {
        "style": lambda: layer_style(plan.layers),
        "category": lambda: plan.category,
        "metric": lambda: canonical_metric(plan.metric),
        "loss": lambda: canonical_loss(plan.loss),
        "optimizer": lambda: canonical_optimizer(plan.optimizer),
        "learning_rate": lambda: plan.learning_rate,
        "batch_size": lambda: plan.batch_size,
        "epochs": lambda: plan.epochs,
    }
    return reading[name]() or None


def add_control_tokens(tokenizer: Tokenizer, rows: Sequence[Row]) -> PlanVocabulary:
    """Add borders and closed candidates to the tokenizer; return where they lie."""
    candidates = {name: _candidates(name, rows) for name in CLOSED_FIELDS}
    spelled = [f"<|{name}|>" for name in BORDERS]
    for name in CLOSED_FIELDS:
        spelled += [f"<|{name}={value}|>" for value in (*candidates[name], "?")]
    first_id = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in spelled])
    borders = {name: first_id + index for index, name in enumerate(BORDERS)}
    next_id = first_id + len(BORDERS)
    fields = []
    for name in CLOSED_FIELDS:
        fields.append(ClosedField(name, next_id, candidates[name]))
        next_id += len(candidates[name]) + 1
    assert tokenizer.get_vocab_size() == next_id
    vocabulary = PlanVocabulary(borders, tuple(fields), next_id)
    vocabulary.check()
    return vocabulary


def closed_token(field: ClosedField, value: Value | None) -> int:
    """Return the candidate's token; numbers take the nearest one in ratio, rare words the open one."""
    if value is None:
        return field.open_id
    if field.name in NUMBER_FIELDS:
        numbers = [float(candidate) for candidate in field.values]
        return field.first_id + numbers.index(nearest_value(float(value), numbers))
    if value in field.values:
        return field.first_id + field.values.index(value)
    return field.open_id


def _candidates(name: str, rows: Sequence[Row]) -> tuple[Value, ...]:
    if name == "category":
        return CATEGORIES
    if name == "style":
        return STYLES
    counts = Counter(value for row in rows if (value := closed_value(row.plan, name)) is not None)
    kept = [value for value, count in counts.items() if count >= MIN_COUNT]
    kept = kept or [value for value, _ in counts.most_common(1)]
    return tuple(sorted(kept, key=lambda value: (value,) if name in NUMBER_FIELDS else (str(value),)))
