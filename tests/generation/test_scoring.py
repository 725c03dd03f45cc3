import numpy as np
import pytest

from dlcodegen_local.generation.decoding import log_softmax
from dlcodegen_local.generation.scoring import ChunkScorer
from tests.generation.table_model import TableModel

PROMPT = [1, 2, 3]
ANSWERS = [[*range(10, 30)], [*range(10, 26), 40, 41], [*range(10, 18)], [], [7]]


def scorer(model, restart=None):
    model.decode(PROMPT, 0)
    return ChunkScorer(model, len(PROMPT), 8, restart or (lambda: None))


def by_hand(answer):
    model = TableModel()
    model.decode(PROMPT, 0)
    log_probs = []
    for token in answer:
        log_probs.append(log_softmax(model.logits(-1))[token])
        model.decode([token], len(model.read))
    return float(np.mean(log_probs)) if answer else -np.inf


@pytest.mark.parametrize("answers", [ANSWERS, ANSWERS[::-1]])
def test_scores_are_those_of_single_steps_in_any_order(answers):
    scores = scorer(TableModel())
    assert [scores.score(answer) for answer in answers] == pytest.approx([by_hand(a) for a in answers])


def test_what_answers_start_with_is_read_once():
    model = TableModel()
    scores = scorer(model)
    scores.score(ANSWERS[0])
    before = model.steps
    scores.score(ANSWERS[1])
    assert model.steps - before == 1


class Forgetless(TableModel):
    """A model that cannot take back tokens."""

    def forget(self, position):
        return position >= len(self.read)


def test_a_model_that_cannot_forget_reads_anew():
    model = Forgetless()

    def restart():
        model.read.clear()
        model.decode(PROMPT, 0)

    scores = scorer(model, restart)
    assert [scores.score(a) for a in ANSWERS] == pytest.approx([by_hand(a) for a in ANSWERS])
