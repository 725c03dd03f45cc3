"""What a page of a run shows: plain values, made by `reading` from what a run leaves.

A part that a run has not is empty or None, and the page leaves it out or says so. Every text may be hostile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlcodegen_local.plan.schema import Plan


@dataclass(frozen=True)
class PageHit:
    """Hold one retrieved sample; `terms` are the words it was found by with their scores, best first."""

    id: str
    score: float | None
    title: str = ""
    category: str = ""
    framework: str = ""
    pool: str = ""
    licence: str = ""
    sha256: str = ""
    topped_up: str = ""
    terms: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Version:
    """Hold one version of the program: a draft, a merge, a repair, what was delivered.

    `provenance` maps a section to what wrote it, `bases` to what it was written after; `error` says why
    there is no source.
    """

    name: str
    source: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Round:
    """Hold the drafts of one round and what was merged of them (None: nothing was)."""

    drafts: tuple[Version, ...]
    merge: Version | None = None


@dataclass(frozen=True)
class SmokeRun:
    """Hold a smoke run. `ok` is None where nothing ran.

    `batch_losses` has the loss of every batch in order, `history` a measure's value of every epoch;
    `confusion[i][j]` counts items of class i that were taken for class j.
    """

    ok: bool | None
    message: str = ""
    batch_losses: tuple[float, ...] = ()
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True)
class PageFinding:
    """Hold one finding of the static check."""

    place: str
    rule: str
    message: str
    severity: str


@dataclass(frozen=True)
class Check:
    """Hold what verification found in one version; `score` and `fields` are the plan compliance."""

    version: str
    static_ok: bool
    findings: tuple[PageFinding, ...]
    score: float | None
    fields: Mapping[str, float]
    smoke: SmokeRun


@dataclass(frozen=True)
class Repair:
    """Hold one attempt to mend `before`; an attempt that changed nothing has the same source after it."""

    name: str
    before: str
    after: str
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class StageCost:
    """Hold what one stage took; None is not known, or not to be told.

    `tokens_kept` of the `tokens_in` were known from a stage before, and not read again.
    """

    name: str
    tokens_in: int | None = None
    tokens_kept: int | None = None
    tokens_out: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class RunPage:
    """Hold everything that the page of one run shows.

    `steps` are the checks and repairs in the order in which they were made; `licences` maps what the program
    contains to its licence; `settings` and `versions` are shown as they are.
    """

    run_id: str
    requirement: str
    dataset: str = ""
    status: str = ""
    plan: Plan | None = None
    plan_notes: tuple[str, ...] = ()
    hits: tuple[PageHit, ...] = ()
    rounds: tuple[Round, ...] = ()
    delivered: Version | None = None
    origin: str = ""
    steps: tuple[Check | Repair, ...] = ()
    verification: Check | None = None
    costs: tuple[StageCost, ...] = ()
    licences: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
