"""What a verification left, as the page shows it: findings, compliance, and what the smoke run measured.

A smoke run's measurements are what a program said of itself: bounded here, and never trusted.
"""

from collections.abc import Mapping
from typing import Any

from dlcodegen_local.run_page.definition import Check, PageFinding, SmokeRun
from dlcodegen_local.run_page.loose import (
    count_of,
    list_of,
    number_of,
    number_table_of,
    numbers_of,
    table_of,
    text_of,
    text_table_of,
    texts_of,
)

_MAX_MEASURES = 24
_MAX_CLASSES = 200
_MAX_FILES = 12


def read_check(
    name: str, value: Mapping[str, Any], timings: Mapping[str, Any], *, is_portable: bool
) -> Check:
    """Read the stage `verify VERSION`; measurements stand with the smoke run or among the timings."""
    static, compliance = table_of(value.get("static")), table_of(value.get("compliance"))
    smoke = table_of(value.get("smoke"))
    facts = table_of(smoke.get("facts")) or table_of(timings.get("facts"))
    return Check(
        version=name.removeprefix("verify "),
        static_ok=static.get("ok") is True,
        findings=tuple(_finding(table_of(row)) for row in list_of(static.get("findings"))),
        score=number_of(compliance.get("score")),
        fields=number_table_of(compliance.get("fields")),
        smoke=_smoke(smoke, facts, is_portable),
    )


def _finding(row: Mapping[str, Any]) -> PageFinding:
    place = f"{text_of(row.get('file'))}:{text_of(row.get('line'))}"
    return PageFinding(
        place, text_of(row.get("rule")), text_of(row.get("message")), text_of(row.get("severity"))
    )


def _smoke(smoke: Mapping[str, Any], facts: Mapping[str, Any], is_portable: bool) -> SmokeRun:
    ok = smoke.get("ok")
    history = {
        str(name): numbers_of(values)
        for name, values in list(table_of(facts.get("history")).items())[:_MAX_MEASURES]
    }
    metrics = number_table_of(facts.get("metrics"))
    return SmokeRun(
        ok=ok if isinstance(ok, bool) else None,
        message=text_of(smoke.get("message")),
        batch_losses=numbers_of(facts.get("batch_losses") or facts.get("loss_history")),
        history=history or {name: (value,) for name, value in number_table_of(facts.get("train")).items()},
        metrics=dict(list(metrics.items())[:_MAX_MEASURES]),
        confusion=_confusion(facts.get("confusion")),
        facts=_shown(facts, is_portable),
        log="" if is_portable else text_of(facts.get("log")),
    )


def _confusion(value: object) -> tuple[tuple[int, ...], ...]:
    """Return a square matrix of counts, an empty one for anything else."""
    rows = [list_of(row) for row in list_of(value)]
    if not 2 <= len(rows) <= _MAX_CLASSES or any(len(row) != len(rows) for row in rows):
        return ()
    counts = [[count_of(number) for number in row] for row in rows]
    if any(number is None for row in counts for number in row):
        return ()
    return tuple(tuple(number for number in row if number is not None) for row in counts)


def _shown(facts: Mapping[str, Any], is_portable: bool) -> dict[str, str]:
    shown = {}
    if (parameters := count_of(facts.get("parameters"))) is not None:
        shown["Parameters of the network"] = f"{parameters:,}"
    sizes = [count_of(size) for size in list_of(facts.get("prediction_shape"))]
    if sizes and None not in sizes:
        shown["Shape of a prediction"] = " × ".join(str(size) for size in sizes)
    if saved := texts_of(facts.get("saved")):
        rest = f" and {len(saved) - _MAX_FILES} more" if len(saved) > _MAX_FILES else ""
        shown["Saved files"] = ", ".join(saved[:_MAX_FILES]) + rest
    if ran_on := text_table_of(facts.get("versions")):
        shown["Ran on"] = ", ".join(f"{name} {version}" for name, version in ran_on.items())
    if not is_portable and (sandbox := text_of(facts.get("sandbox"))):
        shown["Sandbox"] = sandbox
    return shown
