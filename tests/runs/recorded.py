"""Runs in a state folder, as `generate` leaves them."""

from pathlib import Path

from dlcodegen_local.runs import RunRecord

PLAN = {"Task Category": "Translation", "Dataset": {"Input": "text", "Output": "text"}}


def nobody():
    raise AssertionError("nobody else is at this run")


def record_run(state: Path, seed: int = 0, code: str = "x = 1\n", status: str = "done") -> RunRecord:
    """Write a run of three stages down; another seed is another run."""
    inputs = {"requirement": "Translate", "seed": seed, "plan": PLAN}
    record = RunRecord(state, inputs, order={"output": str(state / "none")}, on_wait=nobody)
    record.add_stage("retrieve", {"hits": [{"id": "one", "sha256": "a" * 64}]}, {})
    record.add_stage("merge", {"source": code}, {"tokens_read": 5})
    record.add_stage("choice", {"origin": "merge", "source": code, "provenance": {}}, {})
    if status != "running":
        record.finish(status)
    return record
