"""Training rows of our own, fresh in every epoch: all categories, a stranger's words, facts to copy."""

import random
from collections.abc import Iterator

from export.own_sketches import in_words
from export.own_sketches_other import OTHER
from export.own_sketches_text import TEXT
from export.own_sketches_vision import VISION, image_classification
from export.own_variations import KINDS, varied
from export.planner_rows import Row

DRAWN_FROM = (*VISION, image_classification, image_classification, *TEXT, *OTHER)


def own_rows(count: int, seed: int) -> Iterator[Row]:
    """Yield `count` rows, sketches in their own words and variations in strangers' words by turns.

    The kinds of task come in turn; the same seed gives the same rows.
    """
    rng = random.Random(seed)
    names = tuple(KINDS)
    for place in range(count):
        turn = place // 2
        if place % 2:
            drawn = varied(names[turn % len(names)], rng)
        else:
            drawn = in_words(DRAWN_FROM[turn % len(DRAWN_FROM)](rng), rng)
        yield Row(f"own-{seed}-{place}", *drawn)
