"""The model's process against the same model in this process, and against everything that can go wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.errors import ArtifactError, ConfigError, GenerationError
from dlcodegen_local.generation.extraction import is_pointless
from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Prompt, Sampling
from dlcodegen_local.generation.pace import ModelCache
from dlcodegen_local.generation.syntax import is_broken_start
from dlcodegen_local.model_worker.values import judge_name
from dlcodegen_local.model_worker.worker_llm import CHILD, Patience, WorkerLLM, try_load
from tests.generation.tiny_gguf import write_tiny_gguf
from tests.model_worker.fake_child import ANSWERS
from tests.test_pipeline import run

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = Prompt("Write code.", "Read the table and print it. " * 20, "# %% [data]\n")
FAKE = (sys.executable, str(Path(__file__).with_name("fake_child.py")))
POISONED = (sys.executable, "-P", "-m", "tests.model_worker.poisoned_child")
HASTE = Patience(start_s=30.0, loading_s=30.0, silence_s=1.0)


@pytest.fixture(scope="module")
def worker(tiny_gguf):
    with WorkerLLM(tiny_gguf) as llm:
        yield llm


@pytest.fixture(scope="module")
def in_process(tiny_gguf):
    with LlamaCppLLM(tiny_gguf) as llm:
        yield llm


def children() -> set[int]:
    """Return the processes that this one has started and not ended."""
    found = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return {int(pid) for line in found for pid in line}


def test_it_describes_the_model_as_the_adapter_does(worker, in_process):
    assert worker.info == in_process.info
    assert worker.count_tokens("import os\n") == in_process.count_tokens("import os\n")
    assert worker.count_tokens("half \ud800") == in_process.count_tokens("half \ud800")


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_its_answers_are_those_of_the_adapter_bit_for_bit(temperature, worker, in_process):
    for seed in range(3):
        sampling = Sampling(max_tokens=60, temperature=temperature, seed=seed, stop=("]",))
        ours, theirs = (llm.complete(LONG, sampling=sampling) for llm in (worker, in_process))
        assert (ours.text, ours.finish_reason) == (theirs.text, theirs.finish_reason)
        assert ours.completion_tokens == theirs.completion_tokens
    candidates = ["import os", "def f():\n    return 1\n" * 12, ""]
    assert worker.score(LONG, candidates) == in_process.score(LONG, candidates)


def test_the_starter_writes_the_same_bytes():
    starter = REPOSITORY / "models/starter/starter.gguf"
    prompt = Prompt("", "import keras\n", "# %% [model]\ndef build_model(config):\n")
    sampling = Sampling(max_tokens=60, is_hopeless=lambda text: False)
    with WorkerLLM(starter) as worker, LlamaCppLLM(starter) as in_process:
        ours, theirs = (llm.complete(prompt, sampling=sampling) for llm in (worker, in_process))
        candidates = ["    return keras.Sequential()\n", "    pass\n"]
        assert worker.score(prompt, candidates) == in_process.score(prompt, candidates)
    assert ours.text == theirs.text != ""


def test_progress_adds_up_to_the_answer(worker):
    seen = []
    completion = worker.complete(LONG, sampling=Sampling(max_tokens=50), on_progress=seen.append)
    assert "".join(progress.text for progress in seen) == completion.text
    assert seen[0].kind == "reading"
    assert (seen[-1].kind, seen[-1].tokens) == ("writing", completion.completion_tokens)


def test_every_line_is_asked_about_and_a_hopeless_one_ends_the_answer(worker, in_process):
    ended = set()
    for seed in range(6):
        asked, found = {worker: [], in_process: []}, {}
        for llm, texts in asked.items():

            def second(text, texts=texts):
                texts.append(text)
                return len(texts) == 2

            sampling = Sampling(900, temperature=9.0, min_p=0.0, seed=seed, is_hopeless=second)
            completion = llm.complete(Prompt("", "x"), sampling=sampling)
            found[llm] = (completion.text, completion.finish_reason, completion.completion_tokens)
        assert asked[worker] == asked[in_process] and found[worker] == found[in_process]
        ended.add(found[worker][1])
    assert "broken" in ended


def test_the_judges_of_the_stages_sit_in_the_process(worker, in_process):
    for judge in (is_broken_start, is_pointless):
        sampling = Sampling(900, temperature=9.0, min_p=0.0, seed=1, is_hopeless=judge)
        ours, theirs = (llm.complete(Prompt("", "x"), sampling=sampling) for llm in (worker, in_process))
        assert (ours.text, ours.finish_reason) == (theirs.text, theirs.finish_reason)
        assert judge_name(sampling) == judge.__name__
    assert judge_name(Sampling(is_hopeless=lambda text: True)) == "caller"


def test_errors_of_the_model_are_the_adapters_and_leave_it_running(worker):
    before = children()
    with pytest.raises(GenerationError, match="context"):
        worker.complete(Prompt("", "x y " * 2000), sampling=Sampling())
    with pytest.raises(GenerationError, match="context"):
        worker.score(Prompt("", "a"), ["x" * 5000])
    assert worker.count_tokens("still here") and children() == before


def test_an_interrupt_ends_the_process_at_once_and_the_next_call_has_another(tiny_gguf, in_process):
    wanted = in_process.complete(LONG, sampling=Sampling(max_tokens=8)).text

    def interrupt(_):
        raise KeyboardInterrupt

    others = children()
    with WorkerLLM(tiny_gguf) as llm:
        (first,) = children() - others
        with pytest.raises(KeyboardInterrupt):
            llm.complete(LONG, sampling=Sampling(max_tokens=8), on_progress=interrupt)
        assert children() == others and not Path(f"/proc/{first}").exists()
        assert llm.complete(LONG, sampling=Sampling(max_tokens=8)).text == wanted
    assert children() == others


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_process_that_dies_in_an_answer_twice_costs_that_answer(number, tiny_gguf, in_process):
    others = children()
    with WorkerLLM(tiny_gguf) as llm:

        def kill(_):
            for child in children() - others:
                os.kill(child, number)

        with pytest.raises(GenerationError, match=f"process ended .*{number.name}"):
            llm.complete(LONG, sampling=Sampling(max_tokens=900, temperature=2.0), on_progress=kill)
        ours = llm.complete(LONG, sampling=Sampling(max_tokens=8))
    assert ours.text == in_process.complete(LONG, sampling=Sampling(max_tokens=8)).text


def test_a_process_that_is_killed_once_changes_no_answer(tiny_gguf, in_process):
    others, killed = children(), []

    def kill_first(_):
        if not killed:
            killed.extend(children() - others)
            os.kill(killed[0], signal.SIGKILL)

    sampling = Sampling(max_tokens=300, temperature=2.0)
    with WorkerLLM(tiny_gguf) as llm:
        ours = llm.complete(LONG, sampling=sampling, on_progress=kill_first)
        assert killed and killed[0] not in children()
    assert ours.text == in_process.complete(LONG, sampling=sampling).text


@pytest.mark.parametrize("mode", sorted(ANSWERS))
def test_whatever_it_sends_is_one_error(mode, tiny_gguf):
    others = children()
    with WorkerLLM(tiny_gguf, command=(*FAKE, mode), patience=HASTE) as llm:
        with pytest.raises(GenerationError, match="the model's process ended") as caught:
            llm.complete(Prompt("", "x"), sampling=Sampling(), on_progress=lambda _: None)
        assert "\x1b" not in caught.value.message and children() == others


def test_it_is_left_alone_when_it_ends_again_and_again(tiny_gguf):
    with WorkerLLM(tiny_gguf, command=(*FAKE, "answers with an end"), patience=HASTE) as llm:
        messages = []
        while len(messages) < 30 and not (messages and "left alone" in messages[-1]):
            with pytest.raises(GenerationError) as caught:
                llm.count_tokens("x")
            messages.append(caught.value.message)
    assert len(messages) == 11  # each was tried twice


@pytest.mark.parametrize(
    ("mode", "start_s", "loading_s", "message"),
    [
        ("does not start", 30, 30, r"does not start \(exit code 3\)"),
        ("has no code for this processor", 30, 30, "the library holds no code"),
        ("is not ready", 1, 30, r"does not start \(it did nothing for 1 s\)"),
        ("crashes at load", 30, 30, r"made llama\.cpp stop .*tiny\.gguf \(SIGSEGV\)"),
        ("hangs at load", 30, 1, r"made llama\.cpp stop .*did nothing"),
        ("loads at an endless pace", 30, 30, r"made llama\.cpp stop .*no answer"),
    ],
)
def test_a_process_that_does_not_come_up_is_a_damaged_artifact(mode, start_s, loading_s, message, tiny_gguf):
    others = children()
    with pytest.raises(ArtifactError, match=message):
        WorkerLLM(tiny_gguf, command=(*FAKE, mode), patience=Patience(start_s, loading_s))
    assert children() == others


def test_a_missing_library_is_an_import_error_that_names_it(tiny_gguf):
    with pytest.raises(ImportError) as caught:
        WorkerLLM(tiny_gguf, command=(*FAKE, "has no library"), patience=HASTE)
    assert caught.value.name == "llama_cpp"


def test_a_process_that_reads_nothing_is_not_waited_for(tiny_gguf):
    with (
        WorkerLLM(tiny_gguf, command=(*FAKE, "reads nothing"), patience=HASTE) as llm,
        pytest.raises(GenerationError, match="did nothing for"),
    ):
        llm.count_tokens("x" * 1_000_000)


def test_files_that_cannot_be_loaded_are_refused_as_by_the_adapter(tiny_gguf, tmp_path, capfd):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_gguf.read_bytes().replace(b"output_norm.weight", b"output_nope.weight"))
    with pytest.raises(ArtifactError, match=r"broken\.gguf is not a model that llama\.cpp can load"):
        try_load(broken)
    with pytest.raises(ArtifactError, match="cannot be read"):
        try_load(tmp_path / "missing.gguf")
    with pytest.raises(ConfigError, match="n_ctx 4096"):
        WorkerLLM(tiny_gguf, n_ctx=4096)
    with pytest.raises(ArtifactError, match=r"loads but does not compute: .*context"):
        try_load(tiny_gguf, n_ctx=1)
    try_load(tiny_gguf)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_changes_under_a_run_costs_the_stage(tmp_path):
    model = write_tiny_gguf(tmp_path / "own.gguf")
    with WorkerLLM(model, command=POISONED) as llm:
        with pytest.raises(GenerationError, match="SIGSEGV"):
            llm.complete(Prompt("", "poison"), sampling=Sampling())
        os.utime(model, ns=(0, 0))
        with pytest.raises(GenerationError, match="changed while it was in use"):
            llm.count_tokens("x")


def test_the_pace_is_measured_once_and_kept_on_this_side(tiny_gguf, tmp_path):
    said = []
    for _ in range(2):
        with WorkerLLM(tiny_gguf, cache=ModelCache(tmp_path, said.append)) as llm:
            pace = llm.info.pace
    (kept,) = (tmp_path / "pace").iterdir()
    assert len(said) == 1 and "measured, once" in said[0]
    assert pace["chunk_tokens"] == 256 and kept.name.startswith(sha256_of(tiny_gguf)[:16])
    with LlamaCppLLM(tiny_gguf, cache=ModelCache(tmp_path)) as in_process:
        assert in_process.info.pace == pace


def test_a_model_that_crashes_on_one_item_costs_that_item(tiny_gguf):
    items = ["a table", "poison", "a picture"]
    with WorkerLLM(tiny_gguf, command=POISONED) as llm, LlamaCppLLM(tiny_gguf) as sound:
        for item in items:
            prompt = Prompt("", item)
            if item == "poison":
                with pytest.raises(GenerationError, match="SIGSEGV"):
                    llm.complete(prompt, sampling=Sampling(max_tokens=9))
            else:
                wanted = sound.complete(prompt, sampling=Sampling(max_tokens=9))
                assert llm.complete(prompt, sampling=Sampling(max_tokens=9)).text == wanted.text


def test_a_run_whose_model_always_crashes_ends_without_its_sections(tiny_gguf, tmp_path):
    with WorkerLLM(tiny_gguf, command=(*FAKE, "answers with an end"), patience=HASTE) as llm:
        outcome, reporter, _, _ = run(tmp_path, llm)
    assert outcome.verification.static_ok and "model" not in outcome.chosen.provenance.values()
    assert any("the model's process ended" in line for line in reporter.lines)


_PARENT = """
import os, signal, sys
from pathlib import Path
from dlcodegen_local.model_worker.worker_llm import WorkerLLM
llm = WorkerLLM(sys.argv[1])
print(*Path(f"/proc/self/task/{os.getpid()}/children").read_text().split(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_the_command(tiny_gguf):
    answer = subprocess.run(
        [sys.executable, "-c", _PARENT, str(tiny_gguf)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    (child,) = answer.stdout.split()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()


def test_nothing_is_left_of_a_model_that_nobody_holds(tiny_gguf):
    others = children()
    llm = WorkerLLM(tiny_gguf)
    assert len(children() - others) == 1
    del llm
    assert children() == others


def test_the_default_child_is_ours():
    assert CHILD[-1] == "dlcodegen_local.model_worker.child"
