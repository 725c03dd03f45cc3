import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.human_agreement import agreement_of

UNITS = st.lists(st.lists(st.integers(0, 10), max_size=4), max_size=8)

# Krippendorff 2011, example C to E: four observers, twelve units, None where one did not judge.
PUBLISHED = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
# The example of the encyclopaedia: three coders, fifteen units.
THREE_CODERS = (
    (None, None, None, None, None, 3, 4, 1, 2, 1, 1, 3, 3, None, 3),
    (1, None, 2, 1, 3, 3, 4, 3, None, None, None, None, None, None, None),
    (None, None, 2, 1, 3, 4, 4, None, 2, 1, 1, 3, 3, None, 4),
)


def units_of(raters):
    return [[score for score in unit if score is not None] for unit in zip(*raters, strict=True)]


def test_the_published_examples():
    assert round(agreement_of(units_of(THREE_CODERS)).alpha, 3) == 0.811
    found = agreement_of(units_of(PUBLISHED))
    assert round(found.alpha, 3) == 0.849
    assert (found.units, found.scores) == (11, 40)  # the twelfth unit has one judgement


def test_by_hand():
    # observed: 2 * 1 of one pair; expected: 0, 0, 0, 1 in 12 ordered pairs, 6 of them 1 apart, over 3
    assert agreement_of([[0, 0], [0, 1]]).alpha == pytest.approx(1 - 2 / (6 / 3))
    # 1, 2, 3, 4: squared distances of all ordered pairs 2 * (3 * 1 + 2 * 4 + 9) = 40
    assert agreement_of([[1, 2], [3, 4]]).alpha == pytest.approx(1 - 4 / (40 / 3))


def test_perfect_and_opposite():
    assert agreement_of([[1, 1], [5, 5], [9, 9, 9]]).alpha == 1
    assert agreement_of([[0, 10], [10, 0]]).alpha == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("units", "reason", "paired"),
    [
        ([], "two raters", 0),
        ([[3], [4], []], "two raters", 0),
        ([[3, 3], [3, 3], [4]], "all scores are equal", 2),
        ([[7.1, 7.1], [7.1]], "all scores are equal", 1),
    ],
)
def test_undefined_is_none_with_a_reason(units, reason, paired):
    found = agreement_of(units)
    assert found.alpha is None
    assert reason in found.reason
    assert found.units == paired


@given(UNITS)
def test_alpha_is_what_all_pairs_give(units):
    pairable = [unit for unit in units if len(unit) > 1]
    scores = list(itertools.chain(*pairable))
    observed = sum(
        sum((a - b) ** 2 for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in pairable
    )
    expected = sum((a - b) ** 2 for a, b in itertools.permutations(scores, 2))
    found = agreement_of(units)
    if expected == 0:
        assert found.alpha is None
    else:
        assert found.alpha == pytest.approx(1 - (len(scores) - 1) * observed / expected)
        assert found.alpha <= 1


@given(UNITS, st.integers(1, 9), st.integers(-5, 5))
def test_the_unit_and_the_origin_of_the_scale_do_not_matter(units, factor, shift):
    moved = [[factor * score + shift for score in unit] for unit in units]
    alpha, other = agreement_of(units).alpha, agreement_of(moved).alpha
    assert other == (alpha if alpha is None else pytest.approx(alpha))
