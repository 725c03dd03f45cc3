"""The plan's schema as a constraint of the beam.

Guarantees that every finished sequence decodes to a valid `Plan`, whatever the logits: closed
fields come from their candidates, texts are printable and bounded, layers have balanced brackets,
and every plan has at least one layer. Does not judge whether a plan is any good.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dlcodegen_local.errors import PlanningError
from dlcodegen_local.planner.beam import Logits, LogProbs, TokenIds, log_softmax
from dlcodegen_local.planner.choices import ChoiceScores
from dlcodegen_local.planner.number_rules import Mask, open_digits
from dlcodegen_local.planner.stated_sizes import StatedSizes
from dlcodegen_local.planner.text_rules import TextRules, next_of_cycles, repeating_tokens
from dlcodegen_local.planner.tokenizer import (
    CLOSED_FIELDS,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    ClosedField,
    PlanVocabulary,
)

NOTHING_STATED = StatedSizes()
MAX_PLAN_TOKENS = 380
MIN_PLAN_TOKENS = 160
RESERVED_FOR_LAYERS = 80
RESERVED_FOR_CLOSING = 12
MAX_LAYERS = 48
MAX_TOKENS = {"input": 64, "output": 64, "preprocess": 112, "layer": 40}
MAX_CHARS = {"input": 800, "output": 800, "preprocess": 1200, "layer": 300}
# Layers without weights of their own: the second of two in a row does nothing, or harm.
NEVER_TWICE = (
    "Activation", "AveragePooling", "BatchNormalization", "Dropout", "Flatten", "Global", "MaxPool",
    "ReLU", "Softmax",
)  # fmt: skip
# A shape whose last two sides are equal and not small: a third one like them is a stutter.
REPEATED_SIDES = re.compile(r"\b(\d{2,}), ?\1,? ?$")
REPEAT_SIZE = {"input": 5, "output": 5, "preprocess": 5, "layer": 12}


@dataclass(frozen=True)
class PlanState:
    """Hold the place in a plan.

    `place` counts the closed fields done; from there on `field` is the text field that is open,
    `text` its tokens and `nesting` its open brackets and quote.
    """

    place: int = 0
    style: str = ""
    category: str = ""
    loss: str = ""
    field: str = ""
    text: tuple[int, ...] = ()
    chars: int = 0
    nesting: str = ""
    layers: tuple[tuple[int, ...], ...] = ()
    used: int = 0
    sizes: StatedSizes = NOTHING_STATED


class PlanConstraint:
    """Allow exactly the token sequences that are plans.

    `fixed` maps closed fields to the token that stands there, and `sizes` are numbers that may not
    be contradicted: facts that the requirement states. `max_new_tokens` bounds the whole plan, and
    `choices` have a say in the closed fields.
    """

    def __init__(
        self,
        vocabulary: PlanVocabulary,
        rules: TextRules,
        fixed: Mapping[str, int] | None = None,
        sizes: StatedSizes = NOTHING_STATED,
        max_new_tokens: int = MAX_PLAN_TOKENS,
        choices: ChoiceScores | None = None,
    ) -> None:
        if max_new_tokens < MIN_PLAN_TOKENS:
            raise ValueError(f"a plan needs {MIN_PLAN_TOKENS} tokens, not {max_new_tokens}")
        self._vocabulary = vocabulary
        self._rules = rules
        self._fields = [vocabulary.field(name) for name in CLOSED_FIELDS]
        self._fixed = dict(fixed or {})
        self._sizes = sizes
        self._max_new_tokens = max_new_tokens
        self._choices = choices
        self._candidates = {field.name: np.array(field.token_ids, dtype=np.int64) for field in self._fields}
        self._distances = {
            field.name: _log_distances(field) for field in self._fields if field.name in NUMBER_FIELDS
        }

    def start(self) -> PlanState:
        """Return the state after `<plan>`."""
        return PlanState(sizes=self._sizes)

    def closed_fields_done(self, state: PlanState) -> bool:
        """Return whether all closed fields have their value."""
        return state.place == len(self._fields)

    def finished(self, state: PlanState) -> bool:
        """Return whether `<end>` has been written."""
        return state.field == "end"

    def forced(self, state: PlanState) -> int | None:
        """Return the only token that may follow, None where there is a choice or an end."""
        if self.finished(state):
            return None
        if state.place < len(self._fields):
            field = self._fields[state.place]
            return self._fixed.get(field.name, field.first_id if len(field.values) == 1 else None)
        if not state.field:
            return self._vocabulary.borders["input"]
        if not self._is_full(state):
            return None
        if state.nesting:
            return self._rules.closing_token(state.nesting)
        borders = self._next_borders(state)
        return borders[0] if len(borders) == 1 else None

    def advance(self, state: PlanState, token_id: int) -> PlanState:
        """Return the state after one more token, which must be an allowed one."""
        state = replace(state, used=state.used + 1)
        if state.place < len(self._fields):
            field = self._fields[state.place]
            state = replace(state, place=state.place + 1)
            if field.name == "style":
                return replace(state, style=str(field.value(token_id)))
            if field.name == "category":
                return replace(state, category=str(field.value(token_id)))
            if field.name == "loss" and token_id != field.open_id:
                return replace(state, loss=str(field.value(token_id)))
            return state
        for name in (*TEXT_FIELDS, "end"):
            if token_id == self._vocabulary.borders[name]:
                return self._next_field(state, name)
        return replace(
            state,
            text=(*state.text, token_id),
            chars=state.chars + int(self._rules.lengths[token_id]),
            nesting=self._rules.after(state.nesting, token_id, self._has_quotes(state)),
        )

    def _next_field(self, state: PlanState, name: str) -> PlanState:
        """Return the state with the open text closed and `name` opened."""
        layers, sizes = state.layers, state.sizes
        if state.field == "layer":
            layers = (*layers, state.text)
        elif state.field == "input":
            sizes = sizes.after_input(self._rules.text(state.text))
        elif state.field == "output":
            sizes = sizes.after_output(self._rules.text(state.text))
        return replace(state, field=name, text=(), chars=0, nesting="", layers=layers, sizes=sizes)

    def score(self, state: PlanState, logits: Logits) -> tuple[TokenIds, LogProbs]:
        """Return the allowed tokens with log-probabilities among them.

        Of a number the one with the smallest expected distance in ratio is allowed alone: the
        likeliest of many candidates can lie far from all others.

        Raises:
            PlanningError: the vocabulary has no token that may stand here.
        """
        if state.place < len(self._fields):
            return self._score_closed(state, self._fields[state.place], logits)
        token_ids = np.array(self._next_borders(state), dtype=np.int64)
        if not self._is_full(state):
            token_ids = np.concatenate([np.flatnonzero(self._text_mask(state)), token_ids])
        if not token_ids.size:
            raise PlanningError(
                "the planner's vocabulary has no token to go on with", hint="install the planner again"
            )
        return token_ids, log_softmax(logits[token_ids])

    def _score_closed(
        self, state: PlanState, field: ClosedField, logits: Logits
    ) -> tuple[TokenIds, LogProbs]:
        token_ids = self._candidates[field.name]
        log_probs = log_softmax(logits[token_ids])
        if self._choices is not None:
            log_probs = self._choices.mixed(field.name, log_probs)
        contradicted = [state.sizes.forbids_value(field.name, state.category, v) for v in field.values]
        if any(contradicted) and not all(contradicted):
            kept = ~np.array(contradicted)
            token_ids, log_probs = token_ids[kept], log_softmax(log_probs[kept])
        if field.name in NUMBER_FIELDS:
            expected = self._distances[field.name] @ np.exp(log_probs)
            best = int(np.argmin(expected))
            return token_ids[best : best + 1], log_probs[best : best + 1]
        return token_ids, log_probs

    def _text_mask(self, state: PlanState) -> Mask:
        mask = self._rules.balanced_mask(state.nesting, self._has_quotes(state)).copy()
        if state.field == "layer" and not state.text:
            mask &= self._rules.starts_name
            for layer in next_of_cycles(state.layers):
                mask[layer[0]] = False
            if state.layers and self._rules.token_texts[state.layers[-1][0]].startswith(NEVER_TWICE):
                mask[state.layers[-1][0]] = False
        mask[repeating_tokens(state.text, REPEAT_SIZE[state.field])] = False
        return self._without_contradictions(state, mask)

    def _without_contradictions(self, state: PlanState, mask: Mask) -> Mask:
        """Return the mask without tokens that contradict a stated size, unless nothing would be left."""
        text = self._rules.text(state.text)
        narrowed = mask
        for rule in state.sizes.rules(state.field, state.category, text, len(state.layers)):
            narrowed = narrowed & self._rules.numbers.mask(text, rule)
        if repeated := REPEATED_SIDES.search(text):
            narrowed = narrowed & self._rules.numbers.without(repeated.group(1))
        if state.field == "layer" and text.startswith("Dense("):
            endings = self._rules.ending_activations
            forbidden = [
                token_id
                for token_id in endings
                if state.sizes.forbids_ending(state.category, text, self._rules.token_texts[token_id])
            ]
            narrowed = narrowed.copy()
            narrowed[forbidden] = False
        return narrowed if narrowed.any() else mask

    def _next_borders(self, state: PlanState) -> list[int]:
        """Return the borders that may end the open text, none where it may not end."""
        borders = self._vocabulary.borders
        if state.nesting or self._ends_inside_number(state):
            return []
        if state.field == "layer":
            if not state.text:
                return []
            room = self._max_new_tokens - state.used
            if len(state.layers) + 1 >= MAX_LAYERS or room < RESERVED_FOR_CLOSING + MAX_TOKENS["layer"]:
                return [borders["end"]]
            text = self._rules.text(state.text)
            if state.sizes.forbids_last(state.category, state.loss, text):
                return [borders["layer"]]
            return [borders["layer"], borders["end"]]
        may_be_empty = state.field == "preprocess" and state.style == "outline"
        if not state.text and not may_be_empty and not self._is_full(state):
            return []
        return [borders[TEXT_FIELDS[TEXT_FIELDS.index(state.field) + 1]]]

    def _ends_inside_number(self, state: PlanState) -> bool:
        """Return whether the text ends with a number that contradicts a stated size as it stands."""
        if self._is_full(state):
            return False
        text = self._rules.text(state.text)
        rules = state.sizes.rules(state.field, state.category, text, len(state.layers))
        return not all(rule.permits(open_digits(text)) for rule in rules)

    def _is_full(self, state: PlanState) -> bool:
        """Return whether the open text must end: its own bounds, or those of the plan, are reached."""
        room = self._max_new_tokens - state.used
        reserved = RESERVED_FOR_CLOSING if state.field == "layer" else RESERVED_FOR_LAYERS
        return (
            len(state.text) >= MAX_TOKENS[state.field]
            or state.chars >= MAX_CHARS[state.field]
            or (room <= reserved and bool(state.text or state.field != "layer"))
        )

    def _has_quotes(self, state: PlanState) -> bool:
        return state.field == "layer" and state.style == "calls"


def _log_distances(field: ClosedField) -> LogProbs:
    """Return `min(1, |log10(a / b)|)` of all pairs of candidates, `(candidates, candidates)`."""
    logs = np.array([math.log10(float(value)) for value in field.values])
    distances: LogProbs = np.minimum(1.0, np.abs(logs[:, None] - logs[None, :]))
    return distances
