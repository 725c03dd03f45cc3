import pytest

from dlcodegen_local.generation.decoding import TokenChooser
from dlcodegen_local.generation.llm import Sampling
from dlcodegen_local.generation.lookup import DraftLength, LookupWriter, PromptLookup, Steps
from tests.generation.table_model import END, TableModel

FAST = Steps({1: 46.0, 2: 50.0, 4: 55.0, 8: 60.0, 16: 80.0})
SLOW = Steps({1: 46.0, 2: 92.0, 4: 184.0, 8: 368.0})
SOURCE = [*range(5, 45)]
COPYING = [*SOURCE, 50, 5, 6, 7]


def written(steps, sampling, *, seed=0, favour=(), prompt=tuple(SOURCE), limit=60):
    model = TableModel(seed, favour)
    model.decode([*prompt], 0)
    model.decode([prompt[-1]], len(prompt))
    writer = LookupWriter(model, [*prompt, prompt[-1]], TokenChooser(sampling, seed), steps)
    return [*writer.tokens(limit)], writer, model


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.5])
def test_the_tokens_are_those_of_plain_decoding(temperature):
    accepted = 0
    for seed in range(12):
        case = {"seed": seed, "favour": SOURCE if seed % 2 else (), "prompt": COPYING}
        sampling = Sampling(temperature=temperature, seed=seed, min_p=0.02)
        plain, _, _ = written(None, sampling, **case)
        tokens, writer, _ = written(FAST, sampling, **case)
        assert tokens == plain
        accepted += writer.accepted_tokens
    assert accepted > 0 or temperature > 1


def test_a_copied_text_takes_fewer_steps():
    tokens, writer, model = written(FAST, Sampling(), favour=[*SOURCE, END], prompt=COPYING)
    plain, _, slow = written(None, Sampling(), favour=[*SOURCE, END], prompt=COPYING)
    assert tokens == plain
    assert writer.accepted_tokens > 20
    assert model.steps < slow.steps / 2


def test_what_is_rejected_leaves_the_cache():
    favour = [*SOURCE[:20], 50, 51, 52, *SOURCE[20:], END]
    tokens, writer, model = written(FAST, Sampling(), favour=favour, prompt=COPYING)
    assert writer.drafted_tokens > writer.accepted_tokens
    assert tokens == written(None, Sampling(), favour=favour, prompt=COPYING)[0]
    assert model.read[: len(COPYING) + 1] == [*COPYING, 7]
    assert model.read[len(COPYING) + 1 :] == tokens[: len(model.read) - len(COPYING) - 1]


def test_nothing_is_drafted_where_nothing_repeats_or_nothing_pays():
    assert written(FAST, Sampling(temperature=1.5), seed=3)[1].drafted_tokens <= 4
    assert written(SLOW, Sampling(), favour=SOURCE, prompt=COPYING)[1].drafted_tokens == 0
    assert written(Steps({}), Sampling(), favour=SOURCE, prompt=COPYING)[1].drafted_tokens == 0


def test_a_draft_never_passes_the_end_of_the_answer():
    for limit in range(1, 12):
        tokens, _, model = written(FAST, Sampling(), favour=SOURCE, prompt=COPYING, limit=limit)
        assert len(tokens) == limit
        assert len(model.read) <= len(COPYING) + 1 + limit


def test_the_longest_match_wins_and_a_changed_token_is_stepped_over():
    lookup = PromptLookup([1, 2, 3, 4, 9, 9, 7, 2, 3, 4, 8, 8, 0, 7, 2, 3, 4])
    assert lookup.following(lookup.find()[0], 2) == [8, 8]
    assert lookup.find()[1] == 4
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3])
    place, match = lookup.find()
    assert (lookup.following(place, 1), match) == ([4], 3)
    lookup.append(50)  # in place of 4
    lookup.append(5)
    assert lookup.following(lookup.find()[0], 2) == [6, 7]
    assert PromptLookup([]).find() == (0, 0)


def test_the_length_follows_acceptance_and_the_account_bounds_the_loss():
    length = DraftLength(FAST)
    for _ in range(40):
        length.watch(20, 16, 16)
        length.spend(16, 15)
    assert length.choose(20, 31) == 15
    assert length.choose(20, 9) == 7
    for _ in range(400):
        length.watch(20, 0, 1)
    assert length.choose(20, 31) == 0
    poor = DraftLength(FAST)
    lost = 0.0
    for _ in range(200):
        count = poor.choose(20, 31)
        poor.watch(20, 16, 16)  # a liar: high acceptance, nothing gained
        poor.spend(1, count)
        lost += FAST.milliseconds[count + 1] - FAST.milliseconds[1]
    assert lost <= 0.03 * 200 * FAST.milliseconds[1] + 2 * FAST.milliseconds[1]


def test_drafts_grow_shorter_where_attention_makes_them_dear():
    steps = Steps(FAST.milliseconds, growth={1: 40.0, 2: 90.0, 4: 190.0, 8: 390.0, 16: 790.0})
    near, far = DraftLength(steps), DraftLength(steps)
    for position, length in ((10, near), (100_000, far)):
        for _ in range(40):
            length.watch(20, 1, 2)
            length.spend(4, 0, position)
    assert near.choose(20, 31, 10) > 0
    assert far.choose(20, 31, 100_000) == 0
