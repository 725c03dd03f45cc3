"""Distances of texts and of sequences of layers."""

from collections.abc import Sequence


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
    if not layers and not reference:
        return 100.0
    previous = [float(place) for place in range(len(reference) + 1)]
    for place, layer in enumerate(layers, start=1):
        current = [float(place)]
        for other_place, other in enumerate(reference, start=1):
            substitution = previous[other_place - 1] + normalised_distance(layer.lower(), other.lower())
            current.append(min(previous[other_place] + 1, current[-1] + 1, substitution))
        previous = current
    return 100 * (1 - previous[-1] / max(len(layers), len(reference)))


def normalised_distance(text: str, other: str) -> float:
    """Return the Levenshtein distance divided by the longer length, 0 to 1."""
    if text == other:
        return 0.0
    return levenshtein(text, other) / max(len(text), len(other), 1)
