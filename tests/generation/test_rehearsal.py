"""The forecast against the stages themselves, run with a model that writes as it was foretold."""

from pathlib import Path

import pytest

from dlcodegen_local.generation.llm import ModelInfo
from dlcodegen_local.generation.rehearsal import StandIn, chars_per_token, rehearse
from dlcodegen_local.generation.results import Floor, GenerationSettings
from tests.generation.scripts import BATCHES, OTHER_PLAN, PLAN, TABLE, PooledSample

FLOOR = Floor(TABLE, PLAN)
SAMPLES = [PooledSample("table", TABLE, PLAN), PooledSample("batches", BATCHES, OTHER_PLAN)]


def foretell(n_ctx=16_384, n_params=7_000_000_000, **settings):
    info = ModelInfo("m", Path("m.gguf"), "", n_ctx, n_params, "chatml", 1)
    options = GenerationSettings(floor=FLOOR, **settings)
    return {
        stage.name: stage
        for stage in rehearse("Classify rows", PLAN, SAMPLES, StandIn(info, FLOOR, 3.3), options)
    }


@pytest.mark.parametrize("n_params", [5_000_000, 7_000_000_000])
def test_every_stage_is_foretold_in_its_order(n_params):
    stages = foretell(n_params=n_params)
    assert list(stages) == ["code-rag", "template", "template-rag", "merge"]
    assert not any(stage.failure for stage in stages.values())
    assert stages["code-rag"].written > 0


def test_what_stages_share_is_not_read_again():
    stages = foretell()
    assert stages["code-rag"].shared == 0
    assert 0 < stages["template"].shared < stages["template"].read
    assert stages["merge"].read_anew == stages["merge"].read - stages["merge"].shared


def test_an_answer_stays_in_its_budget_and_a_cut_is_said():
    stages = foretell(n_ctx=1800)
    assert all(stage.written <= stage.answer_budget for stage in stages.values())
    assert any("cut from" in cut for stage in stages.values() for cut in stage.cuts)


def test_a_stage_that_finds_no_room_is_foretold_to_fail():
    assert "no room" in foretell(n_ctx=300)["code-rag"].failure


@pytest.mark.parametrize(("by_bytes", "vocabulary"), [(True, {"Ġreturn", "1"}), (False, {"▁return", "1"})])
def test_the_length_of_a_token_is_measured_on_the_vocabulary(by_bytes, vocabulary):
    assert chars_per_token(vocabulary, " return 1" * 9, by_bytes=by_bytes) == 3.0
    assert chars_per_token(vocabulary, "", by_bytes=by_bytes) == 1.0
