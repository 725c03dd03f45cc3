import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.text_scores import bleu, plain_equal
from dlcodegen_local.plan.distance import layer_similarity, levenshtein

TEXTS = st.text(alphabet="ab é()", max_size=70)
LAYERS = st.lists(st.text(alphabet="Dd(1)", max_size=5), max_size=5)


def plain_levenshtein(text, other):
    previous = list(range(len(other) + 1))
    for place, char in enumerate(text, start=1):
        current = [place]
        for other_place, other_char in enumerate(other, start=1):
            change = previous[other_place - 1] + (char != other_char)
            current.append(min(previous[other_place] + 1, current[-1] + 1, change))
        previous = current
    return previous[-1]


def test_bleu_by_hand():
    assert bleu("a b c d e", "a b c d e") == pytest.approx(100)
    assert bleu("", "a") == bleu("a", "") == bleu("x", "a") == 0
    assert bleu("", " ") == 100
    precisions = (4 / 5, 2 / 4, 1 / 3, 0.1 / 2)
    expected = 100 * math.exp(sum(math.log(precision) for precision in precisions) / 4)
    assert bleu("a b c x e", "a b c d e") == pytest.approx(expected)
    assert bleu("a b c d", "a b c d e") == pytest.approx(100 * math.exp(1 - 5 / 4))


def test_bleu_takes_a_run_of_punctuation_for_one_token_and_keeps_case():
    # tokens: a ( 2 , 3 ), b against a ( 2 , 3 ) , b
    precisions = (6 / 7, 4 / 6, 3 / 5, 2 / 4)
    expected = 100 * math.exp(sum(math.log(precision) for precision in precisions) / 4 + 1 - 8 / 7)
    assert bleu("a (2, 3), b", "a (2, 3) , b") == pytest.approx(expected)
    assert bleu("Images", "images") == 0


@given(st.lists(st.sampled_from("abcd"), min_size=4), st.lists(st.sampled_from("abcd"), min_size=1))
def test_bleu_agrees_with_sacrebleu(prediction, reference):
    sacrebleu = pytest.importorskip("sacrebleu")
    theirs = sacrebleu.sentence_bleu(
        " ".join(prediction), [" ".join(reference)], tokenize="none", smooth_method="floor", smooth_value=0.1,
        use_effective_order=False,
    )  # fmt: skip
    expected = theirs.score if set(prediction) & set(reference) else 0
    assert bleu(" ".join(prediction), " ".join(reference)) == pytest.approx(expected)


@given(st.text(), st.text())
def test_bleu_is_a_percentage(prediction, reference):
    assert 0 <= bleu(prediction, reference) <= 100 + 1e-9


@given(TEXTS, TEXTS)
def test_levenshtein_agrees_with_the_textbook_table(text, other):
    assert levenshtein(text, other) == plain_levenshtein(text, other) == levenshtein(other, text)


@pytest.mark.parametrize(
    ("layers", "reference", "expected"),
    [
        (["Dense(1)"], ["dense(1)"], 100.0),
        ([], [], 100.0),
        ([], ["Dense(1)"], 0.0),
        (["Flatten()", "Dense(1)"], ["Flatten()"], 50.0),
        (["Dense(10)"], ["Dense(12)"], 100 * (1 - 1 / 9)),
    ],
)
def test_layer_similarity_by_hand(layers, reference, expected):
    assert layer_similarity(layers, reference) == pytest.approx(expected)


@given(LAYERS, LAYERS)
def test_layer_similarity_is_bounded_and_symmetric(layers, reference):
    found = layer_similarity(layers, reference)
    assert 0 <= found <= 100
    assert found == pytest.approx(layer_similarity(reference, layers))
    assert layer_similarity(layers, layers) == 100


def test_plain_equality():
    assert plain_equal("Binary cross-entropy", "binary_crossentropy")
    assert plain_equal("", "-")
    assert not plain_equal("adam", "adamw")
