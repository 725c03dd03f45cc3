"""The whole pipeline with a scripted code model; smoke runs only where a test is marked so."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from dlcodegen_local.config import GenerationConfig, PlannerConfig, RetrievalConfig, VerificationConfig
from dlcodegen_local.outcome import is_compiled, with_unique_ids
from dlcodegen_local.pipeline import Engines, PipelineConfig, Request, generate, run_inputs
from dlcodegen_local.project.layouts import render_project
from dlcodegen_local.retrieval.index import Hit, SampleIndex
from dlcodegen_local.retrieval.samples import Sample
from dlcodegen_local.runs import RunRecord
from dlcodegen_local.verification.sandbox import find_sandbox
from dlcodegen_local.verification.verifier import Verifier
from tests.generation.foreign import NOTEBOOK, TORCH
from tests.generation.scripted import ScriptedLLM
from tests.generation.scripts import PLAN, TABLE
from tests.retrieval.memory_pool import MemoryPool


class SilentReporter:
    def __init__(self):
        self.stages = []
        self.lines = []

    def stage(self, name):
        self.stages.append(name)

    def progress(self, kind, done, total, rate, seconds_left):
        pass

    def written(self, text):
        self.lines.append(text)

    def done(self, text):
        self.lines.append(text)

    def note(self, text):
        self.lines.append(text)

    def detail(self, text):
        self.lines.append(text)


def make_sample(name: str, source: str) -> Sample:
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Sample(
        name, "A table", "classify rows", PLAN, "keras", "MIT", "test", digest, source, {}, "bundled"
    )


def run(
    tmp_path: Path,
    llm: ScriptedLLM,
    *,
    sandbox=None,
    plan=PLAN,
    without=frozenset(),
    samples=None,
    effort="normal",
    cache=None,
    **method,
):
    """Run a request; with a `cache` that runs share, the verifier looks every name up once."""
    config = PipelineConfig(
        planner=PlannerConfig(tmp_path),
        retrieval=RetrievalConfig((), tmp_path),
        generation=GenerationConfig(model=Path("scripted.gguf"), effort=effort),
        verification=VerificationConfig(run=sandbox is not None),
        without=without,
        **method,
    )
    samples = samples or [
        make_sample("first", TABLE),
        make_sample("second", TABLE.replace("Dense(8", "Dense(9")),
    ]
    engines = Engines(
        planner=None,
        index=SampleIndex([MemoryPool(samples)], tmp_path / "cache"),
        llm=llm,
        verifier=Verifier(config.verification, sandbox, cache or tmp_path / "cache"),
    )
    request = Request("Classify rows of a table", "", plan)
    record = RunRecord(tmp_path / "state", run_inputs(request, engines, config))
    reporter = SilentReporter()
    outcome = generate(request, engines, config, record, reporter)
    record.finish("done")
    return outcome, reporter, record, request


def test_samples_of_one_id_from_two_pools_keep_names_and_pools_of_their_own():
    bundled = make_sample("same", TABLE)
    hits = [
        Hit(dataclasses.replace(bundled, pool="team"), 2.0, "everything"),
        Hit(bundled, 1.0, "everything"),
    ]
    assert {hit.sample.id: hit.sample.pool for hit in with_unique_ids(hits)} == {
        "same": "team",
        "same-2": "bundled",
    }


def test_record_and_project_name_the_pool_of_every_sample(tmp_path):
    outcome, _, record, request = run(tmp_path, ScriptedLLM([""]))
    files = render_project(outcome.project(request.requirement, record.summary()), "script")
    provenance = json.loads(files[".dlcodegen/provenance.json"])
    assert provenance["pools"] and set(provenance["pools"].values()) == {"bundled"}
    assert "of pool bundled: MIT" in files["README.md"]
    stage = next(stage for stage in record.summary()["stages"] if stage["name"] == "retrieve")
    stored = json.loads((tmp_path / "state/objects" / f"{stage['object']}.json").read_text())
    assert [(hit["pool"], hit["licence"]) for hit in stored["hits"]] == [("bundled", "MIT")] * 2


def test_what_only_the_compiler_wrote_is_labelled_so(tmp_path):
    samples = [make_sample("ours", NOTEBOOK), make_sample("theirs", TORCH)]
    outcome, _, _, _ = run(tmp_path, ScriptedLLM(["no code"]), samples=samples)
    assert outcome.origin == "compiler" and outcome.verification.static_ok
    assert outcome.licences == {} and outcome.pools == {}


def test_a_project_of_which_the_compiler_wrote_more_lines_is_the_compiler_s():
    source = "# %% [imports]\nimport os\n\n\n# %% [data]\na = 1\n\nb = 2\n\n\n# %% [model]\nc = 3\n"
    ours = {"imports": "computed", "data": "sample:first", "model": "sample:first+plan"}
    assert not is_compiled(source, ours)
    assert not is_compiled(source, {**ours, "model": "compiler, sample:first"})
    assert is_compiled(source, {**ours, "data": "compiler"})
    assert not is_compiled(source + "d = 4\n", {**ours, "data": "compiler"})
    assert not is_compiled("x = 1", {"data": "model"})


def whole(answers) -> ScriptedLLM:
    """Return a model large enough to write whole scripts."""
    return ScriptedLLM(answers, n_params=7_000_000_000)


def fenced(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\n"


def test_a_good_merge_is_delivered_as_merge(tmp_path):
    better = TABLE.replace("Return the model.", "Return the merged model.")
    second = TABLE.replace("Fit.", "Fit well.")
    llm = whole([fenced(TABLE), fenced(TABLE), fenced(second), fenced(better)])
    outcome, reporter, _, _ = run(tmp_path, llm)
    assert outcome.origin == "merge"
    assert "Return the merged model." in outcome.source
    assert outcome.licences == {"first": "MIT", "second": "MIT"}
    assert outcome.verification.static_ok
    assert outcome.verification.compliance.score == 1.0
    assert reporter.stages[:5] == ["retrieve", "code-rag", "template", "template-rag", "merge"]


def test_a_model_that_writes_no_code_costs_only_its_stages(tmp_path):
    outcome, _, _, _ = run(tmp_path, whole(["I would rather talk about the weather."]))
    assert outcome.origin == "compiler"
    assert outcome.verification.static_ok
    assert set(outcome.chosen.provenance.values()) == {"compiler"}
    assert outcome.licences == {}


@pytest.mark.parametrize("answer", ["", "x = (" * 50, "\x00\x01", "```python\nimport os\n", "a\n" * 5000])
def test_a_broken_model_never_stops_a_delivery(tmp_path, answer):
    for llm in (whole([answer]), ScriptedLLM([answer])):
        outcome, _, _, _ = run(tmp_path, llm)
        assert outcome.verification.static_ok
        assert outcome.source


def test_code_that_ignores_the_plan_is_not_delivered(tmp_path):
    stranger = TABLE.replace('optimizer: str = "adam"', 'optimizer: str = "sgd"').replace(
        'keras.layers.Dense(8, activation="relu"),', "*[keras.layers.LSTM(5, name=str(i)) for i in range(9)],"
    )
    outcome, _, _, _ = run(tmp_path, whole([fenced(stranger)]))
    assert outcome.origin == "compiler"
    assert outcome.verification.compliance.score > 0.9


def test_an_unproven_loss_of_another_kind_is_not_taken_and_the_reason_is_told(tmp_path):
    other = TABLE.replace('loss: str = "sparse_categorical_crossentropy"', 'loss: str = "mean_squared_error"')
    outcome, reporter, _, _ = run(tmp_path, whole([fenced(other)]))
    assert outcome.origin == "compiler"
    assert "merge is not taken: its loss function contradicts the plan" in "\n".join(reporter.lines)


def test_a_finding_is_repaired_by_the_model(tmp_path):
    broken = TABLE.replace("return model", "return modell")
    llm = whole([fenced(broken), fenced(broken), fenced(broken), fenced(TABLE)])
    outcome, reporter, _, _ = run(tmp_path, llm)
    assert outcome.origin == "repair"
    assert "modell" not in outcome.source
    assert any("undefined-name" in prompt.user for prompt in llm.prompts)
    assert "repair 1" in reporter.stages


def test_a_repair_that_makes_it_worse_is_dropped(tmp_path):
    broken = TABLE.replace("return model", "return modell")
    worse = broken.replace('optimizer: str = "adam"', 'optimizer: str = "sgd"')
    llm = whole([fenced(broken), fenced(broken), fenced(broken), fenced(worse)])
    outcome, reporter, _, _ = run(tmp_path, llm)
    assert {"repair 1", "repair 2"} <= set(reporter.stages)
    assert "sgd" in worse
    assert 'optimizer: str = "adam"' in llm.prompts[-1].user  # the better version is what is repaired
    assert outcome.origin == "compiler"


@pytest.mark.parametrize(
    ("without", "origin", "left_out"),
    [
        ("template-rag", "code-rag", {"template", "template-rag", "merge"}),
        ("code-rag", "template-rag", {"code-rag", "merge"}),
        ("comparison", "code-rag", {"merge"}),
    ],
)
def test_ablations_leave_their_stages_out(tmp_path, without, origin, left_out):
    outcome, reporter, _, _ = run(tmp_path, whole([fenced(TABLE)]), without=frozenset({without}))
    assert outcome.origin == origin
    assert not left_out & set(reporter.stages)


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        outcome, _, record, request = run(tmp_path / name, ScriptedLLM([""]))
        files.append(render_project(outcome.project(request.requirement, record.summary()), "project"))
    first, second = ({k: v.replace("/one", "").replace("/two", "") for k, v in f.items()} for f in files)
    assert first == second


def test_the_record_holds_every_stage_and_finishes(tmp_path):
    _, _, record, _ = run(tmp_path, whole([fenced(TABLE)]))
    stored = json.loads((tmp_path / "state/runs" / record.run_id / "record.json").read_text())
    assert stored["status"] == "done"
    names = [stage["name"] for stage in stored["stages"]]
    assert names[:2] == ["retrieve", "code-rag"]
    for stage in stored["stages"]:
        content = (tmp_path / "state/objects" / f"{stage['object']}.json").read_text()
        assert json.loads(content)


def test_a_plan_without_content_still_gives_a_project(tmp_path):
    empty = dataclasses.replace(
        PLAN,
        dataset_input="",
        dataset_output="",
        preprocess="",
        layers=(),
        optimizer="",
        loss="",
        metric="",
        learning_rate=None,
        batch_size=None,
        epochs=None,
    )
    outcome, _, _, _ = run(tmp_path, whole(["no"]), plan=empty)
    assert outcome.origin == "compiler"
    assert outcome.verification.static_ok


def test_with_all_the_time_the_verifier_picks_among_several_temperatures(tmp_path):
    poor = TABLE.replace("batch_size: int = 32", "batch_size: int = 5")
    llm = whole([fenced(poor)] * 3 + [fenced(TABLE)])
    outcome, reporter, _, _ = run(tmp_path, llm, effort="best")
    assert outcome.verification.compliance.score == 1.0
    assert {"code-rag", "code-rag 2", "code-rag 3"} <= set(reporter.stages)
    assert {sampling.temperature for sampling in llm.samplings} == {0.0, 0.7, 1.5}


def test_in_haste_a_section_is_written_once(tmp_path):
    counts = {}
    for effort in ("fast", "normal"):
        (tmp_path / effort).mkdir()
        llm = ScriptedLLM(["x = ("])
        run(tmp_path / effort, llm, effort=effort, plan=dataclasses.replace(PLAN, epochs=7))
        counts[effort] = len(llm.samplings)
    assert counts["fast"] < counts["normal"]


@pytest.mark.smoke
def test_a_program_that_fails_its_smoke_run_is_replaced(tmp_path):
    crashing = TABLE.replace("    (x, y), validation, _ = load_data(config)\n", "    x = y = [1] / 0\n")
    outcome, _, _, _ = run(tmp_path, whole([fenced(crashing)]), sandbox=find_sandbox())
    assert outcome.origin == "compiler"
    assert outcome.verification.smoke.ok is True
    assert outcome.verification.smoke.facts["parameters"] > 0
