import math

import numpy as np
import pytest
from codebleu import calc_codebleu

from dlcodegen_local.evaluation.code_counts import MAX_DEPTH, CorpusScores, count_pair, read_terms
from dlcodegen_local.evaluation.code_text import normalise
from tests.benchmarks.scoring import program

BROKEN = "def f(x:\n  'text' % y\n return [1, 2\nfor a in :\n    b = a; '"
STRINGS = "'a'.join(x)\nif y:\n  'b' . upper()\n  z = '# no comment'\nelse:\n  f'{z}'.lower()\n'c'.x\n"
KEYS = {
    "codebleu": "total",
    "ngram_match_score": "ngram",
    "weighted_ngram_match_score": "weighted_ngram",
    "syntax_match_score": "syntax",
    "dataflow_match_score": "dataflow",
}


def scores(pairs):
    return CorpusScores(np.sum([count_pair(read_terms(a), read_terms(b)).to_row() for a, b in pairs], axis=0))


def texts(*codes):
    return [normalise(code) for code in codes]


PAIRS = [
    texts(program(40, 1), program(60, 2)),
    texts(program(5, 3), program(5, 3)),
    texts(BROKEN, program(30, 4)),
    texts(program(30, 5), BROKEN),
    texts(STRINGS, program(20, 6)),
    texts(program(20, 6), STRINGS),
    texts("x = 1", "while x:\n  for y in x:\n    z = y + x\n"),
    texts("é = 'ü' + ä\nfor ö in é:\n  ß = ö", "e = 'u' + a\nfor o in e:\n  s = o"),
    [program(9, 7), program(9, 8)],  # not normalised
    ["x = $ ` ?\n\ty\n  z", "'''open\n\nx = 1"],
]


@pytest.mark.parametrize("place", range(len(PAIRS)))
def test_a_pair_scores_what_the_package_says(place):
    code, reference = PAIRS[place]
    expected = calc_codebleu([reference], [code], "python")
    found = scores([(code, reference)])
    for key, name in KEYS.items():
        assert np.nan_to_num(getattr(found, name)) == pytest.approx(expected[key], abs=1e-12), key


def test_a_corpus_scores_what_the_package_says():
    expected = calc_codebleu([[reference] for _, reference in PAIRS], [code for code, _ in PAIRS], "python")
    found = scores(PAIRS)
    for key, name in KEYS.items():
        assert getattr(found, name) == pytest.approx(expected[key], abs=1e-12), key


def test_ngrams_by_hand():
    found = scores([("a b c d e", "a b c d x y")])
    assert found.ngram == pytest.approx(math.exp(1 - 6 / 5) * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    found = scores([("if a", "if a else b")])
    # keywords weigh 1, others 0.2; three and four tokens in a row do not occur
    assert found.weighted_ngram == pytest.approx((1.2 / 2.4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25)


def test_a_reference_without_data_flow_leaves_it_undefined():
    found = scores([("import a", "import b")])
    assert np.isnan(found.dataflow)
    three = found.ngram + found.weighted_ngram + found.syntax
    assert found.total == pytest.approx((three + 1) / 4)
    assert found.defined_total == pytest.approx(three / 3)


def test_data_flow_that_is_missed_is_none():
    found = scores([("import a", "x = a\ny = x")])
    assert found.dataflow == 0
    assert found.total - found.defined_total == pytest.approx(0.25)


def test_no_code_scores_nothing():
    found = scores([("", "x = a\ny = x"), ("", "import b")])
    assert (found.total, found.defined_total, found.syntax) == (0, 0, 0)
    assert scores([("", "import b")]).total == 0


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * MAX_DEPTH + ")" * MAX_DEPTH,
        "x" + ".a" * 100_000,
        "".join(f"{' ' * level}for a{level} in b:\n" for level in range(30)) + " " * 30 + "c = 1",
        "\n".join(f"a{i} = b{i}" for i in range(20_000)),
    ],
)
def test_code_on_which_the_package_does_not_end_is_not_read_whole(code):
    terms = read_terms(normalise(code))
    assert not terms.is_read
    reference = read_terms("x = a\ny = x")
    assert count_pair(terms, reference).flows == 0 < count_pair(terms, reference).wanted_flows
    assert np.isfinite(scores([(normalise(code), "x = a\ny = x")]).defined_total)
