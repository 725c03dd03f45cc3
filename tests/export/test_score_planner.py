import math

import pytest

from export.score_planner import layer_similarity, sentence_bleu


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
def test_layer_similarity(layers, reference, expected):
    assert layer_similarity(layers, reference) == pytest.approx(expected)


def test_bleu_by_hand():
    assert sentence_bleu(["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e"]) == pytest.approx(1.0)
    assert sentence_bleu([], ["a"]) == 0.0
    assert sentence_bleu(["x"], ["a"]) == 0.0
    expected = math.exp(sum(math.log(part) for part in (4 / 5, 2 / 4, 1 / 3, 0.1 / 2)) / 4)
    assert sentence_bleu(["a", "b", "c", "x", "e"], ["a", "b", "c", "d", "e"]) == pytest.approx(expected)
    short = math.exp(1 - 5 / 4)
    assert sentence_bleu(["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]) == pytest.approx(short)


def test_bleu_agrees_with_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    prediction = ["images", "of", "size", "3", "x", "4", "in", "two", "classes"]
    reference = ["images", "of", "size", "3", "x", "5", "in", "classes"]
    theirs = sacrebleu.sentence_bleu(
        " ".join(prediction), [" ".join(reference)], tokenize="none", smooth_method="floor", smooth_value=0.1,
        use_effective_order=False,
    )  # fmt: skip
    assert 100 * sentence_bleu(prediction, reference) == pytest.approx(theirs.score)
