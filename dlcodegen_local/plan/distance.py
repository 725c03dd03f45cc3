"""Distances of texts and of sequences of layers."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

Item = TypeVar("Item")


def levenshtein(text: str, other: str) -> int:
    """Return how many characters must be inserted, deleted or substituted.

    A column of the distance table is two whole numbers of `len(text)` bits.

    Paper: Myers 1999, in the form of Hyyrö 2003.
    """
    if not text or not other:
        return len(text) + len(other)
    mask = (1 << len(text)) - 1
    last = 1 << (len(text) - 1)
    places: dict[str, int] = {}
    for place, char in enumerate(text):
        places[char] = places.get(char, 0) | 1 << place
    rises, falls, distance = mask, 0, len(text)
    for char in other:
        equal = places.get(char, 0)
        diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & mask
        up = falls | ~(diagonal | rises) & mask
        down = rises & diagonal
        distance += bool(up & last) - bool(down & last)
        up = up << 1 | 1
        rises = (down << 1 | ~(diagonal | up)) & mask
        falls = up & diagonal & mask
    return distance


def layer_similarity(layers: Sequence[str], reference: Sequence[str]) -> float:
    """Return 100 x (1 - edit distance / longer length) over two sequences of layers.

    Inserting or deleting a layer costs 1, substituting one the normalised Levenshtein distance of the two
    lower-cased texts.
    """
    return 100 * aligned_similarity(layers, reference, layer_distance)


def aligned_similarity(
    items: Sequence[Item], others: Sequence[Item], cost: Callable[[Item, Item], float]
) -> float:
    """Return 1 - edit distance / longer length over two sequences, 0 to 1; two empty ones are equal.

    Inserting or deleting an item costs 1, substituting one what `cost` says, 0 to 1.
    """
    if not items and not others:
        return 1.0
    row = [float(place) for place in range(len(others) + 1)]
    for place, item in enumerate(items, start=1):
        above, row = row, [float(place)]
        for other_place, other in enumerate(others, start=1):
            changed = above[other_place - 1] + cost(item, other)
            row.append(min(above[other_place] + 1, row[-1] + 1, changed))
    return 1 - row[-1] / max(len(items), len(others))


def normalised_distance(text: str, other: str) -> float:
    """Return the Levenshtein distance divided by the longer length, 0 to 1."""
    if text == other:
        return 0.0
    return levenshtein(text, other) / max(len(text), len(other), 1)


@lru_cache(maxsize=65536)
def layer_distance(layer: str, other: str) -> float:
    """Return the normalised distance of two layers as text, upper and lower case alike, 0 to 1."""
    return normalised_distance(layer.lower(), other.lower())
