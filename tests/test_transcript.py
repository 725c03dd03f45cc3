import json

import pytest

from dlcodegen_local.generation.llm import Progress
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.transcript import Transcript
from tests.test_pipeline import SilentReporter


def step(kind, text=""):
    return Progress(kind, 1, 2, 1.0, 1.0, text)


def test_an_interrupted_stage_is_recorded_as_far_as_it_is_written(tmp_path):
    record, reporter = RunRecord(tmp_path, {}), SilentReporter()
    transcript = Transcript(reporter)
    with transcript.kept("template", record):
        transcript("template", step("reading"))
        transcript("template", step("writing", "another stage"))
    with pytest.raises(KeyboardInterrupt), transcript.kept("merge", record):
        for progress in (step("reading"), step("reading"), step("writing", "import "), step("writing", "os")):
            transcript("merge", progress)
        transcript("merge", step("reading"))
        transcript("merge", step("writing", "x ="))
        raise KeyboardInterrupt
    assert "".join(reporter.lines) == "another stageimport osx ="
    (stage,) = record.summary()["stages"]
    stored = json.loads((tmp_path / "objects" / f"{stage['object']}.json").read_text())
    assert stage["name"] == "merge"
    assert stored == {"interrupted": True, "outputs": ["import os", "x ="]}
