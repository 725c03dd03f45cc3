import pytest

from dlcodegen_local.evaluation.intervals import estimate, over_repeats, paired_difference


def test_the_interval_holds_the_mean_and_is_reproducible():
    found = estimate([0.0, 100.0] * 50, seed=3)
    assert found == estimate([0.0, 100.0] * 50, seed=3)
    assert found.mean == 50
    assert found.n == 100
    # a share of 0.5 over 100 items: normal approximation 50 +- 9.8
    assert found.low == pytest.approx(40.2, abs=2.5)
    assert found.high == pytest.approx(59.8, abs=2.5)


def test_equal_values_leave_no_doubt():
    found = estimate([7.0] * 5, seed=0)
    assert (found.low, found.mean, found.high) == (7, 7, 7)


def test_nothing_has_no_mean():
    assert estimate([], seed=0) is None
    assert paired_difference([None], [1.0], seed=0) is None


def test_a_difference_is_of_the_items_that_both_have():
    found = paired_difference([3.0, None, 5.0], [1.0, 9.0, 3.0], seed=0)
    assert (found.low, found.mean, found.high, found.n) == (2, 2, 2, 2)


def test_repeats_have_student_s_interval_and_one_has_none():
    found = over_repeats([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2, 3)
    assert found.high - found.mean == pytest.approx(4.303 / 3**0.5)  # t of 2 degrees of freedom, deviation 1
    assert over_repeats([1.0]) is None
    assert over_repeats([5.0] * 30).low == 5
