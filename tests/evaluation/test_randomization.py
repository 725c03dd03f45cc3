from itertools import product

import numpy as np
import pytest

from dlcodegen_local.evaluation.randomization import paired_p, pooled_p

VALUES = [3.0, 5.0, 4.0, 6.0, 2.0, 7.0]
OTHERS = [1.0, 4.0, 4.5, 2.0, 1.0, 3.0]


def exact_p(differences):
    """Try every exchange of sides."""
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
            for signs in product((1, -1), repeat=len(differences))]  # fmt: skip
    return sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / len(sums)


def test_it_is_near_the_exact_permutation_test():
    differences = [a - b for a, b in zip(VALUES, OTHERS, strict=True)]
    assert paired_p(VALUES, OTHERS, 0) == pytest.approx(exact_p(differences), abs=0.02)
    assert paired_p(VALUES, OTHERS, 0) == paired_p(VALUES, OTHERS, 0) != paired_p(VALUES, OTHERS, 1)


def test_equal_systems_have_a_p_of_1_and_no_pair_has_none():
    assert paired_p(VALUES, VALUES, 0) == 1
    assert paired_p([None, 1.0], [2.0, None], 0) is None


def test_pooling_of_means_is_the_paired_test():
    rows, others = (np.array([[value, 1.0] for value in column]) for column in (VALUES, OTHERS))
    found = pooled_p(rows, others, lambda sums: sums[..., 0] / sums[..., 1], 0)
    assert found == pytest.approx(paired_p(VALUES, OTHERS, 0), abs=0.02)
    assert pooled_p(rows, others, lambda sums: sums[..., 0] * np.nan, 0) is None
