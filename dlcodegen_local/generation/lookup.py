"""Speculative decoding from what the answer will repeat: drafts of tokens, looked up in the prompt.

`PromptLookup` says how the text goes on where its last tokens stood before, `DraftLength` how many of
these tokens to try at once, `LookupWriter` writes with both. Every token is chosen from the model's own
logits, with the numbers of the generator in the same order as without drafts, and only so many are tried
at once as give the logits of single ones bit for bit: a drafted token only saves time, and what the
clock said decides no token. Does not speed up text that repeats nothing, and costs it at most
`_ALLOWED_LOSS`.

Paper: Saxena, Prompt Lookup Decoding (2023).
Differs: acceptance is watched where nothing is drafted too, so that drafting starts only when it pays; a
token that is changed in a copied text is stepped over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Choose = Callable[[Logits], int]
_NGRAM = 3
_MAX_MATCH = 32
_MAX_PLACES = 32
_RESYNC_WINDOW = 8
MAX_DRAFT = 31
_KINDS = (_NGRAM, 8, 16)
_DECAY = 0.985
_PRIOR_ACCEPTED, _PRIOR_TRIED = 1.0, 1.2
_ALLOWED_LOSS = 0.02
_FREE_STEPS = 2.0


class Decoder(Protocol):
    """What writing asks of a model."""

    def decode(self, tokens: Sequence[int], position: int, *, all_logits: bool = False) -> None:
        """Run the model over tokens that start at a position."""
        ...

    def logits(self, index: int) -> Logits:
        """Return the logits of a position of the last batch; -1 is its last one."""
        ...

    def forget(self, position: int) -> bool:
        """Drop every position from `position` on."""
        ...

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends the answer."""
        ...


@dataclass(frozen=True)
class Steps:
    """Hold what decoding several tokens at once costs on this machine, in milliseconds by their number.

    Only numbers that leave the logits bit for bit those of tokens decoded one by one. `growth` is what a
    thousand tokens before them add: next to nothing for a large model, most of the time of a tiny one.
    """

    milliseconds: Mapping[int, float]
    growth: Mapping[int, float] = field(default_factory=dict)

    def cost(self, size: int, position: int) -> float:
        """Return the milliseconds of a step of a known size at a position."""
        return self.milliseconds[size] + self.growth.get(size, 0.0) * position / 1000


class PromptLookup:
    """Find where the last tokens stood before. `tokens` are those of the prompt; the answer is appended."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        self._cursor = 0
        for token in tokens:
            self.append(token)

    def append(self, token: int) -> None:
        """Add the next token of the text, and go one token on in the source that is being copied."""
        self._tokens.append(token)
        self._cursor += 1
        if len(self._tokens) >= _NGRAM:
            self._places.setdefault(tuple(self._tokens[-_NGRAM:]), []).append(len(self._tokens))

    def find(self) -> tuple[int, int]:
        """Return the place where the text may go on, and how many tokens before it are the same.

        The longest match wins, among equals the one nearest to where the last one led. A place after
        one equal token near there counts as a match of 1; without any the match is 0.
        """
        places = self._places.get(tuple(self._tokens[-_NGRAM:]), [])[-_MAX_PLACES - 1 : -1]
        if places:
            length, _, place = max((self._match(p), -abs(p - self._cursor), p) for p in places)
        else:
            length, place = 0, 0
            last = self._tokens[-1] if self._tokens else None
            first = max(self._cursor - 1, 1)
            for near in range(first, min(first + _RESYNC_WINDOW, len(self._tokens))):
                if self._tokens[near - 1] == last:
                    length, place = 1, near
                    break
        if length:
            self._cursor = place
        return place, length

    def following(self, place: int, count: int) -> list[int]:
        """Return up to `count` tokens from a place on."""
        return self._tokens[place : place + count]

    def _match(self, place: int) -> int:
        length, end = _NGRAM, len(self._tokens)
        while (
            length < min(_MAX_MATCH, place)
            and self._tokens[place - 1 - length] == self._tokens[end - 1 - length]
        ):
            length += 1
        return length


class DraftLength:
    """Choose how many tokens to draft so that the expected tokens a second are the most.

    Depends on nothing but the calibration and the text, so that the same run takes the same steps.
    """

    def __init__(self, steps: Steps) -> None:
        known = {size: ms for size, ms in steps.milliseconds.items() if ms > 0}
        self._steps = steps
        self._sizes = sorted(size for size in known if size > 1) if 1 in known else []
        self._accepted = [_PRIOR_ACCEPTED] * (len(_KINDS) + 1)
        self._tried = [_PRIOR_TRIED] * (len(_KINDS) + 1)
        self._plain_ms = 0.0
        self._saved_ms = 0.0

    def choose(self, match: int, available: int, position: int = 0) -> int:
        """Return how many of the `available` tokens after a match to draft; 0 where it does not pay."""
        if not self._sizes:
            return 0
        kind = _kind(match)
        share = self._accepted[kind] / self._tried[kind]
        one = self._steps.cost(1, position)
        slack = _ALLOWED_LOSS * self._plain_ms + _FREE_STEPS * one + self._saved_ms
        best, best_rate = 0, 1.0
        for size in self._sizes:
            milliseconds = self._steps.cost(size, position)
            if size - 1 > available or milliseconds - one > slack:
                break
            expected = size if share >= 1 else (1 - share**size) / (1 - share)
            rate = expected * one / milliseconds
            if rate > best_rate:
                best, best_rate = size - 1, rate
        return best

    def watch(self, match: int, accepted: int, tried: int) -> None:
        """Learn how many drafted tokens came true, of those that could be compared."""
        kind = _kind(match)
        self._accepted[kind] = _DECAY**tried * (self._accepted[kind] - _PRIOR_ACCEPTED) + _PRIOR_ACCEPTED
        self._tried[kind] = _DECAY**tried * (self._tried[kind] - _PRIOR_TRIED) + _PRIOR_TRIED
        self._accepted[kind] += accepted
        self._tried[kind] += tried

    def spend(self, tokens: int, drafted: int, position: int = 0) -> None:
        """Keep account of a step that gave `tokens`."""
        if not self._sizes:
            return
        plain = tokens * self._steps.cost(1, position)
        self._plain_ms += plain
        self._saved_ms += plain - self._steps.cost(drafted + 1, position)


def _kind(match: int) -> int:
    return sum(match >= least for least in _KINDS)


class LookupWriter:
    """Write an answer token by token, several at a step where the prompt foretells them.

    The model has read the prompt; `position` is where the answer starts. With `steps` None, or where
    nothing pays, this is plain decoding.
    """

    def __init__(self, model: Decoder, input_ids: Sequence[int], choose: Choose, steps: Steps | None) -> None:
        self._model = model
        self._choose = choose
        self._position = len(input_ids)
        self._length = DraftLength(steps or Steps({}))
        self._lookup = PromptLookup(input_ids) if steps else None
        self.drafted_tokens = 0
        self.accepted_tokens = 0

    def tokens(self, max_tokens: int) -> Iterator[int]:
        """Yield the answer's tokens, at most `max_tokens`, without the one that ends it."""
        left = max_tokens
        new = [self._choose(self._model.logits(-1))]
        while True:
            for token in new:
                if self._model.is_end(token):
                    return
                yield token
                left -= 1
                if not left:
                    return
                if self._lookup:
                    self._lookup.append(token)
            new = self._step(new[-1], left)

    def _step(self, token: int, left: int) -> list[int]:
        """Decode a token and what may follow it; returns the tokens that do follow, at least one."""
        foretold, match, count = self._foretell(left)
        batch = [token, *foretold[:count]]
        self._model.decode(batch, self._position, all_logits=count > 0)
        new: list[int] = []
        for index in range(len(batch)):
            chosen = self._choose(self._model.logits(index if count else -1))
            new.append(chosen)
            if batch[index + 1 : index + 2] != [chosen] or self._model.is_end(chosen):
                break
        self._position += len(new)
        if len(new) < len(batch):
            self._model.forget(self._position)
        accepted = len(new) - 1
        self.drafted_tokens += count
        self.accepted_tokens += accepted
        if match and foretold:
            compared = min(len(foretold), len(new))
            wrong = next((i for i in range(compared) if foretold[i] != new[i]), None)
            self._length.watch(match, *((compared, compared) if wrong is None else (wrong, wrong + 1)))
        self._length.spend(len(new), count, self._position)
        return new

    def _foretell(self, left: int) -> tuple[list[int], int, int]:
        """Return the tokens that may follow, the length of the match, and how many to draft."""
        if self._lookup is None:
            return [], 0, 0
        place, match = self._lookup.find()
        foretold = self._lookup.following(place, min(left - 1, MAX_DRAFT)) if match else []
        return foretold, match, self._length.choose(match, len(foretold), self._position) if foretold else 0
