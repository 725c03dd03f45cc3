"""The page's input, made from what a run leaves: its record, what its stages read and wrote, its outcome.

Lenient: what a record lacks, or has in another form, is missing on the page. A portable page says nothing
that a clock or a machine decided, so that the same run makes the same page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.outcome import Outcome
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.run_page.definition import (
    Check,
    PageHit,
    Repair,
    Round,
    RunPage,
    StageCost,
    Version,
)
from dlcodegen_local.run_page.loose import (
    count_of,
    list_of,
    number_of,
    table_of,
    text_of,
    text_table_of,
    texts_of,
)
from dlcodegen_local.run_page.verification_reading import read_check

Read = Callable[[str], object]
_DRAFTS = ("code-rag", "template-rag", "direct", "ps", "ccot", "cedar")
_SETTINGS = {
    "method": "Method",
    "framework": "Framework",
    "merge": "Merge",
    "temperature": "Temperature",
    "seed": "Seed",
    "effort": "Effort",
    "k": "Samples",
    "num_beams": "Beams of the planner",
    "n_ctx": "Context of the model, tokens",
    "threads": "Threads",
    "max_repairs": "Repairs at most",
    "min_compliance": "Compliance at least",
}
_SECONDS = ("seconds", "reading_s", "writing_s", "comparing_s", "smoke_seconds")


@dataclass(frozen=True)
class _Stage:
    name: str
    value: Mapping[str, Any]
    timings: Mapping[str, Any]


@dataclass
class _Story:
    """Carry what the stages tell, in their order."""

    rounds: list[Round] = field(default_factory=list)
    steps: list[Check | Repair] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)  # the last source that a stage of a name wrote
    best: tuple[Check, str] | None = None  # what a repair mends


def read_run(record: Mapping[str, Any], read: Read, *, is_portable: bool) -> RunPage:
    """Return the page's input; `read` returns the value that an object's name stands for, or None."""
    record = table_of(record)
    inputs = table_of(record.get("inputs"))
    stages = _stages(record, read)
    story = _told(stages, is_portable)
    choice = _last(stages, "choice")
    planned = _last(stages, "plan")
    plan = _plan(choice.get("plan") or inputs.get("plan") or planned.get("plan"))
    delivered = _delivered(choice, stages, story)
    status = "" if is_portable else text_of(record.get("status"))
    return RunPage(
        run_id=text_of(record.get("run")) or "without a record",
        requirement=text_of(inputs.get("requirement")),
        dataset=text_of(inputs.get("dataset")),
        status=status,
        plan=plan,
        plan_notes=texts_of(planned.get("notes")),
        hits=_hits(_last(stages, "retrieve")),
        rounds=tuple(story.rounds),
        delivered=delivered,
        origin=delivered.name if delivered else "",
        steps=tuple(story.steps),
        verification=_verification(delivered, story),
        costs=_costs(stages, is_portable),
        licences=text_table_of(choice.get("licences")),
        settings=_settings(inputs),
        versions=_versions(record, inputs, is_portable),
    )


def with_outcome(page: RunPage, outcome: Outcome) -> RunPage:
    """Return the page with what is known of the outcome itself, whatever the record kept."""
    value = outcome.verification.to_dict()
    smoke = {**value["smoke"], "facts": outcome.verification.smoke.facts}
    check = read_check(f"verify {outcome.origin}", {**value, "smoke": smoke}, {}, is_portable=True)
    chosen = outcome.chosen
    steps = list(page.steps)
    same = [place for place, step in enumerate(steps) if isinstance(step, Check) and _is_alike(step, check)]
    if same:
        steps[same[-1]] = check
    else:
        steps.append(check)
    return replace(
        page,
        plan=outcome.plan,
        delivered=Version(outcome.origin, chosen.source, chosen.provenance, chosen.bases),
        origin=outcome.origin,
        steps=tuple(steps),
        verification=check,
        licences=dict(outcome.licences),
    )


def _is_alike(one: Check, other: Check) -> bool:
    def key(check: Check) -> tuple[object, ...]:
        return (check.version, check.findings, check.score, check.smoke.ok, check.smoke.message)

    return key(one) == key(other)


def _stages(record: Mapping[str, Any], read: Read) -> list[_Stage]:
    """Return the stages with their values; timings stand with the stage, or in a list of their own."""
    timings = [table_of(row) for row in list_of(record.get("timings"))]
    found = []
    for place, row in enumerate(list_of(record.get("stages"))):
        entry = table_of(row)
        taken = table_of(entry.get("timings")) or (timings[place] if place < len(timings) else {})
        value = table_of(read(text_of(entry.get("object"))))
        found.append(_Stage(text_of(entry.get("name")), value, taken))
    return found


def _last(stages: Sequence[_Stage], name: str) -> Mapping[str, Any]:
    return next((stage.value for stage in reversed(stages) if stage.name == name), {})


def _told(stages: Sequence[_Stage], is_portable: bool) -> _Story:
    story = _Story()
    drafts: list[Version] = []
    for stage in stages:
        stem = _stem(stage.name)
        if stem in _DRAFTS:
            if any(draft.name == stage.name or _stem(draft.name) == stem for draft in drafts):
                story.rounds.append(Round(tuple(drafts)))
                drafts = []
            drafts.append(_version(stage))
        elif stem == "merge":
            story.rounds.append(Round(tuple(drafts), _version(stage)))
            drafts = []
        elif stem == "repair":
            before = story.best[1] if story.best else ""
            after = text_of(stage.value.get("source")) or before
            error = text_of(stage.value.get("error"))
            story.steps.append(Repair(stage.name, before, after, texts_of(stage.value.get("notes")), error))
            story.sources["repair"] = after
        elif stage.name.startswith("verify "):
            check = read_check(stage.name, stage.value, stage.timings, is_portable=is_portable)
            story.steps.append(check)
            if check.version != "repair" or not story.best or _merit(check) > _merit(story.best[0]):
                story.best = (check, story.sources.get(check.version, ""))
        if stem != "repair" and (source := text_of(stage.value.get("source"))):
            story.sources[stem] = source
    if drafts:
        story.rounds.append(Round(tuple(drafts)))
    return story


def _stem(name: str) -> str:
    stem, _, number = name.rpartition(" ")
    return stem if stem and number.isdigit() else name


def _merit(check: Check) -> tuple[bool, bool, float, int]:
    """Rank checks as the run does."""
    score = 1.0 if check.score is None else check.score
    return (check.static_ok, check.smoke.ok is True, score, -len(check.findings))


def _version(stage: _Stage) -> Version:
    value = stage.value
    error = text_of(value.get("error"))
    if not error and not value:
        error = "what this stage wrote is not kept"
    elif value.get("interrupted") is True:
        error = "the run was interrupted here"
    return Version(
        name=stage.name,
        source=text_of(value.get("source")),
        provenance=text_table_of(value.get("provenance")),
        bases=text_table_of(value.get("bases")),
        notes=texts_of(value.get("notes")),
        error=error,
    )


def _plan(value: object) -> Plan | None:
    try:
        return Plan.from_dict(value)
    except (ConfigError, ValueError, TypeError, RecursionError):
        return None


def _hits(value: Mapping[str, Any]) -> tuple[PageHit, ...]:
    hits = []
    for row in map(table_of, list_of(value.get("hits"))):
        terms = [pair for pair in map(list_of, list_of(row.get("why"))) if len(pair) == 2]
        hits.append(
            PageHit(
                id=text_of(row.get("id")),
                score=number_of(row.get("score")),
                title=text_of(row.get("title")),
                category=text_of(row.get("category")),
                framework=text_of(row.get("framework")),
                pool=text_of(row.get("pool")),
                licence=text_of(row.get("licence")),
                sha256=text_of(row.get("sha256")),
                topped_up=text_of(row.get("topped_up")),
                terms=tuple(
                    (text_of(word), score) for word, part in terms if (score := number_of(part)) is not None
                ),
            )
        )
    return tuple(hits)


def _delivered(choice: Mapping[str, Any], stages: Sequence[_Stage], story: _Story) -> Version | None:
    """Return what was delivered: what the record names, else the last version that was checked."""
    if choice:
        return Version(
            text_of(choice.get("origin")),
            text_of(choice.get("source")),
            text_table_of(choice.get("provenance")),
            text_table_of(choice.get("bases")),
        )
    checked = [step.version for step in story.steps if isinstance(step, Check)]
    if not checked or (source := story.sources.get(checked[-1])) is None:
        return None
    written = _last(stages, checked[-1])
    provenance, bases = text_table_of(written.get("provenance")), text_table_of(written.get("bases"))
    return Version(checked[-1], source, provenance, bases)


def _verification(delivered: Version | None, story: _Story) -> Check | None:
    """Return the check of what was delivered: of several of its origin, the one that a choice prefers."""
    checks = [step for step in story.steps if isinstance(step, Check)]
    own = [check for check in checks if delivered and check.version == delivered.name]
    return max(own, key=_merit, default=None)


def _costs(stages: Sequence[_Stage], is_portable: bool) -> tuple[StageCost, ...]:
    costs = []
    for stage in stages:
        tokens = [count_of(number) for number in list_of(stage.value.get("tokens"))]
        tokens_in, tokens_out = tokens if len(tokens) == 2 else (None, None)
        read = None if is_portable else count_of(stage.timings.get("tokens_read"))
        kept = max(0, tokens_in - read) if tokens_in is not None and read is not None else None
        wall = number_of(stage.timings.get("wall_s"))
        taken = [wall] if wall is not None else [number_of(stage.timings.get(name)) for name in _SECONDS]
        known = [number for number in taken if number is not None]
        seconds = sum(known) if known and not is_portable else None
        if stage.name != "choice" and (seconds is not None or tokens_in is not None):
            costs.append(StageCost(stage.name, tokens_in, kept, tokens_out, seconds))
    return tuple(costs)


def _settings(inputs: Mapping[str, Any]) -> dict[str, str]:
    shown = {
        title: text_of(inputs[name])
        for name, title in _SETTINGS.items()
        if name in inputs and text_of(inputs[name])
    }  # fmt: skip
    if without := texts_of(inputs.get("without")):
        shown["Without"] = ", ".join(without)
    if inputs.get("run") is False:
        shown["Smoke run"] = "left out"
    return shown


def _versions(record: Mapping[str, Any], inputs: Mapping[str, Any], is_portable: bool) -> dict[str, str]:
    model = table_of(inputs.get("model"))
    shown = {
        "dlcodegen": text_of(inputs.get("version")),
        "Code model": text_of(model.get("name")),
        "Code model, sha256": text_of(model.get("sha256")),
        "Planner, sha256 of its manifest": text_of(inputs.get("planner")),
        "Samples, sha256": text_of(inputs.get("index")),
    }
    if not is_portable:
        shown |= {"Begun": text_of(record.get("began")), "Ended": text_of(record.get("ended"))}
        installed = text_table_of(record.get("versions"))
        shown |= {name: text for name, text in installed.items() if name != "dlcodegen"}
    return {name: text for name, text in shown.items() if text}
