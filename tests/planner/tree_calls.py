"""Random histories of a beam: which rows live on, how they fork, and what each is given."""

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Call:
    """Hold the arguments of one call of a `LogitsFunction`."""

    parents: tuple[int, ...]
    tokens: tuple[tuple[int, ...], ...]


@st.composite
def histories(draw, vocab_size: int, calls: int = 8, rows: int = 4, tokens: int = 4) -> list[Call]:
    """Draw calls in which rows die, stay, fork and are re-ordered, with 1 to `tokens` new tokens a row."""
    live, history = 1, []
    one = st.integers(0, vocab_size - 1)
    for _ in range(draw(st.integers(1, calls))):
        parents = tuple(draw(st.lists(st.integers(0, live - 1), min_size=1, max_size=rows)))
        given = [tuple(draw(st.lists(one, min_size=1, max_size=tokens))) for _ in parents]
        history.append(Call(parents, tuple(given)))
        live = len(parents)
    return history


def rows_after(history: list[Call]) -> list[list[tuple[int, ...]]]:
    """Return the whole rows after each call, as a plain list of tokens would hold them."""
    rows: list[tuple[int, ...]] = [()]
    after = []
    for call in history:
        rows = [(*rows[parent], *new) for parent, new in zip(call.parents, call.tokens, strict=True)]
        after.append(rows)
    return after
