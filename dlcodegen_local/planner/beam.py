"""Beam search over any logits function, under any constraint.

Guarantees the beams of `transformers`' beam search (early stopping off) where the constraint
forbids nothing. Text that the constraint forces is appended without a model step and fed together
with the next chosen token. Knows nothing of plans or of onnxruntime.

Paper: III-B, beam search with 3 beams.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from dlcodegen_local.errors import PlanningError

Logits = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.int64]
LogProbs = npt.NDArray[np.float64]
State = TypeVar("State")


class LogitsFunction(Protocol):
    """Continue rows of tokens, remembering what they held."""

    def __call__(self, parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Append `tokens[i]` to what row `parents[i]` of the last call held, as new row `i`.

        Before the first call there is one empty row, 0. Returns the logits after each row's last
        token, `(len(tokens), vocab_size)`.
        """
        ...


class Constraint(Protocol[State]):
    """Say which tokens may follow; the state is an immutable value that forks with its beam."""

    def start(self) -> State:
        """Return the state before the first token."""
        ...

    def advance(self, state: State, token_id: int) -> State:
        """Return the state after one more token."""
        ...

    def forced(self, state: State) -> int | None:
        """Return the only token that may follow, None where there is a choice or an end."""
        ...

    def finished(self, state: State) -> bool:
        """Return whether the sequence is complete."""
        ...

    def score(self, state: State, logits: Logits) -> tuple[TokenIds, LogProbs]:
        """Return the tokens that may follow and the log-probability of each."""
        ...


@dataclass(frozen=True)
class Unconstrained:
    """Allow every token; a sequence is complete at its end token or at a length: a `Constraint`.

    The state is the number of tokens, or -1 after the end token. Only the `count` best tokens are
    scored: twice the number of beams is all that a search can use.
    """

    max_new_tokens: int
    count: int
    end_token: int | None = None

    def start(self) -> int:
        """Return the state before the first token."""
        return 0

    def advance(self, state: int, token_id: int) -> int:
        """Return the state after one more token."""
        return -1 if token_id == self.end_token else state + 1

    def forced(self, state: int) -> int | None:
        """Force nothing."""
        return None

    def finished(self, state: int) -> bool:
        """Return whether the end token or the length was reached."""
        return state < 0 or state >= self.max_new_tokens

    def score(self, state: int, logits: Logits) -> tuple[TokenIds, LogProbs]:
        """Return the best tokens, in their own order, with log-probabilities among all."""
        peak = float(logits.max())
        log_sum = peak + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))
        if self.count >= len(logits):
            token_ids = np.arange(len(logits))
        else:  # all that tie with the last of the best stay in: ties break on ids, later
            token_ids = np.flatnonzero(logits >= np.partition(logits, -self.count)[-self.count])
        return token_ids, logits[token_ids].astype(np.float64) - log_sum


@dataclass(frozen=True)
class Hypothesis:
    """Hold one sequence: its tokens, what each cost, and the constraint's state after them."""

    token_ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    state: Any
    pending: int = 0

    def score(self, length_penalty: float) -> float:
        """Return the log-probability divided by the length to the power of `length_penalty`."""
        return float(self.log_prob / max(1, len(self.token_ids)) ** length_penalty)


@dataclass(frozen=True)
class BeamSettings:
    """Bound the search. `length_penalty` 0 ranks by the sum, 1 by the mean log-probability."""

    num_beams: int = 3
    length_penalty: float = 1.0
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        if self.num_beams < 1 or self.max_new_tokens < 1:
            raise ValueError("num_beams and max_new_tokens must be at least 1")


@dataclass(frozen=True)
class BeamResult:
    """Hold the finished hypotheses, best first, and the number of model steps (prompt included)."""

    hypotheses: tuple[Hypothesis, ...]
    steps: int


def beam_search(
    logits_of: LogitsFunction,
    prompt: Sequence[int],
    constraint: Constraint[Any],
    settings: BeamSettings,
    on_step: Callable[[int], None] | None = None,
) -> BeamResult:
    """Return up to `num_beams` finished hypotheses; ties break on the smaller tokens.

    `on_step` gets the number of tokens of the longest live beam after every model step.

    Raises:
        PlanningError: no beam finished within `max_new_tokens`, or no token was allowed anywhere.
    """
    empty = Hypothesis((), (), 0.0, constraint.start())
    live = [_append_forced(empty, constraint)]
    finished: list[Hypothesis] = [hypothesis for hypothesis in live if constraint.finished(hypothesis.state)]
    live = [hypothesis for hypothesis in live if not constraint.finished(hypothesis.state)]
    parents, steps = [0], 0
    while live and not _is_done(live, finished, settings):
        if steps == 0:
            tokens = [[*prompt, *live[0].token_ids]]
        else:
            tokens = [list(h.token_ids[len(h.token_ids) - h.pending :]) for h in live]
        logits = logits_of(parents, tokens)
        steps += 1
        extended = _best_extensions(live, logits, constraint, settings)
        if not extended and not finished:
            raise PlanningError("the planner's constraint allows no token in any beam")
        live, parents = [], []
        for rank, (row, hypothesis) in enumerate(extended):
            if constraint.finished(hypothesis.state):
                if rank < settings.num_beams:
                    finished.append(hypothesis)
            elif len(live) < settings.num_beams and len(hypothesis.token_ids) < settings.max_new_tokens:
                live.append(hypothesis)
                parents.append(row)
        finished = _ranked(finished, settings)[: settings.num_beams]
        if on_step is not None and live:
            on_step(max(len(hypothesis.token_ids) for hypothesis in live))
    if not finished:
        raise PlanningError(f"no plan was complete within {settings.max_new_tokens} tokens")
    return BeamResult(tuple(_ranked(finished, settings)), steps)


def log_softmax(logits: npt.NDArray[Any]) -> LogProbs:
    """Return log-probabilities along the last axis; a row of nothing but -inf or nan is uniform."""
    wide = logits.astype(np.float64)
    wide = np.where(np.isnan(wide), -np.inf, np.clip(wide, None, 1e30))
    peak = wide.max(axis=-1, keepdims=True)
    wide = np.where(np.isneginf(peak), 0.0, wide)
    shifted = wide - np.where(np.isneginf(peak), 0.0, peak)
    result: LogProbs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def _best_extensions(
    live: Sequence[Hypothesis], logits: Logits, constraint: Constraint[Any], settings: BeamSettings
) -> list[tuple[int, Hypothesis]]:
    """Return the best one-token extensions with the row of their parent, best first.

    There are `2 * num_beams` of them, so that as many beams live on where half of them end; a
    single beam is greedy and has one.
    """
    count = 2 * settings.num_beams if settings.num_beams > 1 else 1
    candidates: list[tuple[float, int, int, float]] = []
    for row, hypothesis in enumerate(live):
        token_ids, log_probs = constraint.score(hypothesis.state, logits[row])
        best = _largest(log_probs, count)
        candidates += [
            (
                hypothesis.log_prob + float(log_probs[index]),
                row,
                int(token_ids[index]),
                float(log_probs[index]),
            )
            for index in best
        ]
    candidates.sort(key=lambda c: (-c[0], live[c[1]].token_ids, c[2]))
    extended = []
    for total, row, token_id, log_prob in candidates[:count]:
        parent = live[row]
        hypothesis = Hypothesis(
            (*parent.token_ids, token_id),
            (*parent.token_log_probs, log_prob),
            total,
            constraint.advance(parent.state, token_id),
            pending=1,
        )
        extended.append((row, _append_forced(hypothesis, constraint)))
    return extended


def _largest(log_probs: LogProbs, count: int) -> TokenIds:
    """Return the places of the `count` largest, largest first, ties by place; no full sort."""
    places = np.arange(len(log_probs))
    if count < len(log_probs):
        places = np.flatnonzero(log_probs >= np.partition(log_probs, -count)[-count])
    return places[np.argsort(-log_probs[places], kind="stable")][:count]


def _append_forced(hypothesis: Hypothesis, constraint: Constraint[Any]) -> Hypothesis:
    """Append every token that has no alternative: it costs neither probability nor a step."""
    token_ids, state = list(hypothesis.token_ids), hypothesis.state
    while (token_id := constraint.forced(state)) is not None:
        token_ids.append(token_id)
        state = constraint.advance(state, token_id)
    added = len(token_ids) - len(hypothesis.token_ids)
    if not added:
        return hypothesis
    return Hypothesis(
        tuple(token_ids),
        (*hypothesis.token_log_probs, *[0.0] * added),
        hypothesis.log_prob,
        state,
        hypothesis.pending + added,
    )


def _is_done(live: Sequence[Hypothesis], finished: Sequence[Hypothesis], settings: BeamSettings) -> bool:
    if settings.num_beams == 1:
        return bool(finished)
    if len(finished) < settings.num_beams:
        return False
    best = max(hypothesis.score(settings.length_penalty) for hypothesis in live)
    return best <= min(hypothesis.score(settings.length_penalty) for hypothesis in finished)


def _ranked(hypotheses: Sequence[Hypothesis], settings: BeamSettings) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda h: (-h.score(settings.length_penalty), h.token_ids))
