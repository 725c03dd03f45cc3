"""The token tree, its cache, and the decoder over both, against decoding every row from nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.errors import ArtifactError, PlanningError
from dlcodegen_local.planner import cache as cache_module
from dlcodegen_local.planner import token_tree
from dlcodegen_local.planner.cache import KeyValueCache
from dlcodegen_local.planner.files import read_planner_files
from dlcodegen_local.planner.model import ModelDims, OnnxModel
from dlcodegen_local.planner.token_tree import TokenTree
from tests.planner.test_planner import TINY
from tests.planner.tree_calls import histories, rows_after


@pytest.fixture(scope="module")
def model():
    files = read_planner_files(TINY)
    return OnnxModel(files.model, ModelDims.from_dict(files.settings["model"]), threads=1)


def test_a_tree_opens_ancestors_only():
    tree = TokenTree()
    tree.fork([0])
    prompt = tree.append([[5, 6, 7]])
    assert prompt.input_ids.tolist() == [[5, 6, 7]] and prompt.last_tokens.tolist() == [2]
    assert np.isneginf(prompt.attention_bias[0, 0]).tolist() == [
        [False, True, True],
        [False, False, True],
        [False, False, False],
    ]
    tree.fork([0, 0])
    step = tree.append([[8], [9, 10]])
    assert step.positions.tolist() == [[3, 3, 4]] and step.last_tokens.tolist() == [0, 2]
    seen = [np.flatnonzero(row == 0).tolist() for row in step.attention_bias[0, 0]]
    assert seen == [[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 4, 5]] and step.slots == 6


@given(histories(vocab_size=9), st.integers(0, 5))
def test_a_tree_keeps_the_tokens_of_every_row(history, max_dead):
    """Slots hold tokens here: whatever is moved, a row's open slots spell the row."""
    tree, held = TokenTree(), []
    for call, rows in zip(history, rows_after(history), strict=True):
        living = tree.fork(call.parents)
        if living is not None:
            held = [held[slot] for slot in living]
        step = tree.append(call.tokens)
        held = [*held, *step.input_ids[0].tolist()]
        assert len(held) == step.slots == tree.slots
        for last, row in zip(step.last_tokens, rows, strict=True):
            opened = np.flatnonzero(step.attention_bias[0, 0, last] == 0)
            assert [held[slot] for slot in opened] == list(row)
            assert step.positions[0, last] == len(row) - 1


def test_dead_slots_are_dropped_and_the_rest_stays_in_order():
    tree = TokenTree()
    tree.fork([0])
    tree.append([[1, 2]])
    tree.fork([0, 0])
    tree.append([[3] * (token_tree.MAX_DEAD_SLOTS + 1), [4]])
    living = tree.fork([1])
    assert living is not None and living.tolist() == [0, 1, token_tree.MAX_DEAD_SLOTS + 3]
    assert tree.slots == 3 and tree.fork([0]) is None


def test_the_cache_keeps_what_lives_and_grows():
    cache = KeyValueCache(n_layer=1, n_head=2, head_size=3)
    marks = np.arange(12.0, dtype=np.float32).reshape(1, 2, 2, 3)
    cache.buffers[0][:, :, 7:9] = marks
    cache.keep(np.array([0, 7, 8]))
    np.testing.assert_array_equal(cache.buffers[0][:, :, 1:3], marks)
    assert not cache.reserve(cache_module.FIRST_CAPACITY, used=3)
    assert cache.reserve(2 * cache_module.FIRST_CAPACITY + 1, used=3)
    assert cache.capacity == 4 * cache_module.FIRST_CAPACITY
    np.testing.assert_array_equal(cache.buffers[0][:, :, 1:3], marks)
    assert cache.buffers[1].shape == (1, 2, cache.capacity, 3)


def test_a_cache_that_no_machine_holds_is_a_planning_error():
    with pytest.raises(PlanningError, match=r"no \d+ MB of memory"):
        KeyValueCache(n_layer=10**6, n_head=10**3, head_size=10**3)


@settings(max_examples=25, deadline=None)
@given(histories(vocab_size=60))
def test_any_history_gives_the_logits_of_whole_rows(model, history):
    decoder = model.decoder()
    for call, rows in zip(history, rows_after(history), strict=True):
        logits = decoder(call.parents, call.tokens)
        assert logits.shape == (len(rows), model.dims.vocab_size)
        for ours, row in zip(logits, rows, strict=True):
            np.testing.assert_allclose(ours, model.decoder()([0], [row])[0], atol=2e-4)


def test_compaction_and_growth_change_no_logits(model):
    """Three rows that always fork from the first: two thirds of the slots die, again and again."""
    rng = np.random.default_rng(3)
    decoder, row = model.decoder(), [1, 2, 3]
    decoder([0], [row])
    for _ in range(60):
        tokens = rng.integers(0, model.dims.vocab_size, (3, 4)).tolist()
        logits = decoder([0, 0, 0], tokens)
        row = [*row, *tokens[0]]
    np.testing.assert_allclose(logits[0], model.decoder()([0], [row])[0], atol=2e-4)
    wide = rng.integers(0, model.dims.vocab_size, (3, 400)).tolist()
    logits = decoder([0, 0, 0], wide)
    np.testing.assert_allclose(logits[2], model.decoder()([0], [[*row, *wide[2]]])[0], atol=5e-4)


def test_every_position_can_be_used_and_no_more(model):
    limit = model.dims.n_positions
    decoder = model.decoder()
    decoder([0], [[1] * (limit - 2)])
    decoder([0, 0], [[2, 3], [4]])
    with pytest.raises(PlanningError, match=f"more than {limit} tokens"):
        decoder([0, 1], [[5], [6]])
    assert np.isfinite(decoder([1], [[6]])).all()


def test_a_graph_of_other_sizes_is_refused():
    files = read_planner_files(TINY)
    sizes = files.settings["model"]
    for change in ({"n_layer": 1}, {"n_head": 4}, {"n_embd": 32}, {"vocab_size": 7}):
        with pytest.raises(ArtifactError, match="not a decoder of this version"):
            OnnxModel(files.model, ModelDims.from_dict({**sizes, **change}))


def test_a_graph_without_its_weights_is_refused(tmp_path):
    files = read_planner_files(TINY)
    (tmp_path / "model.onnx").write_bytes(files.model.graph)
    for model in (files.model.graph, tmp_path / "model.onnx"):
        with pytest.raises(ArtifactError, match="cannot be loaded"):
            OnnxModel(model, ModelDims.from_dict(files.settings["model"]))
