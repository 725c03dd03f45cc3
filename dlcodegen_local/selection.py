"""Which version of a program is delivered: verified, repaired a bounded number of times, compared.

Guarantees that what is chosen was checked, and that there is always something to choose: where no version
of the model survives, the plan compiler's.
"""

import hashlib
from collections.abc import Sequence
from functools import partial

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.repair import repair
from dlcodegen_local.generation.results import GenerationSettings, StageResult
from dlcodegen_local.outcome import Candidate, merit
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.run_inputs import Engines, PipelineConfig, installed_packages
from dlcodegen_local.run_stages import FROM_THE_RECORD, StageRunner
from dlcodegen_local.sections import Sections
from dlcodegen_local.stage_values import read_verification_value, verification_value
from dlcodegen_local.verification.report import Finding, Verification

_SPARE_SAMPLES = {"fast": 0, "normal": 2, "best": 3}


class Selection:
    """Carry what the versions of one run are verified and repaired with."""

    def __init__(
        self,
        plan: Plan,
        engines: Engines,
        config: PipelineConfig,
        settings: GenerationSettings,
        stages: StageRunner,
    ) -> None:
        self._plan = plan
        self._engines = engines
        self._config = config
        self._settings = settings
        self._stages = stages

    def choose(
        self, candidates: Sequence[Candidate], spare: Sequence[Candidate]
    ) -> tuple[Candidate, Verification]:
        """Return the first version that passes, with all the time the best that does; the compiler is last.

        Repaired ones come before the drafts, and these before samples that the model did not touch.

        Raises:
            GenerationError: there is no version, and the compiler may not stand in.
        """
        tried: set[str] = set()
        effort = self._config.generation.effort
        seen: list[tuple[Candidate, Verification]] = []
        survivors: list[tuple[Candidate, Verification]] = []
        for rank, candidate in enumerate((*candidates, *spare[: _SPARE_SAMPLES[effort]])):
            if candidate.source in tried:
                continue
            tried.add(candidate.source)
            verification = self._verify(candidate)
            if rank == 0:
                candidate, verification = self._repaired(candidate, verification)
            seen.append((candidate, verification))
            objection = self._engines.verifier.objection(verification)
            if objection is None:
                survivors.append((candidate, verification))
            else:
                self._stages.reporter.note(f"{candidate.origin} is not taken: {objection}")
            if survivors and effort != "best":
                break
        if survivors:
            return _best_of(survivors)
        if not self._config.has_floor:
            return _best_of(seen)
        self._stages.reporter.stage("compile")
        assert self._settings.floor is not None
        source = self._settings.floor.source
        provenance = dict.fromkeys(Sections.parse(source).bodies, "compiler")
        self._stages.reporter.done(
            "no draft of the model passed its checks; the plan compiler wrote the project"
        )
        compiled = Candidate("compiler", source, provenance)
        return compiled, self._verify(compiled)

    def _repaired(self, candidate: Candidate, verification: Verification) -> tuple[Candidate, Verification]:
        """Let the model mend what was found, a bounded number of times; never return a worse version."""
        best, found = candidate, verification
        for attempt in range(self._config.generation.max_repairs):
            defects = self._engines.verifier.defects(best.source, found)
            if not defects:
                break
            work = (best.source, defects[attempt % len(defects)], attempt)
            mended = self._stages.run(f"repair {attempt + 1}", partial(self._repair, *work))
            if mended is None or not mended.source or mended.source == best.source:
                continue
            version = Candidate("repair", mended.source, {**best.provenance, **mended.provenance}, best.bases)
            after = self._verify(version)
            if merit(after) > merit(found):
                best, found = version, after
        return best, found

    def _repair(self, source: str, defect: Finding, attempt: int) -> StageResult:
        return repair(source, self._plan, defect, self._engines.llm, self._settings, attempt)

    def _verify(self, candidate: Candidate) -> Verification:
        name, record, reads = f"verify {candidate.origin}", self._stages.record, self._reads(candidate)
        self._stages.reporter.stage(name)
        verification = record.take(name, read_verification_value, reads)
        origin = f" ({FROM_THE_RECORD})" if verification else ""
        if verification is None:
            verifier = self._engines.verifier
            verification = verifier.inspect(candidate.source, self._plan)
            if candidate.origin == "compiler" or verifier.follows_plan(verification.compliance):
                verification = verifier.prove(candidate.source, self._plan, verification)
            value, timings = verification_value(verification)
            smoke = verification.smoke
            is_final = smoke.ok is not False or smoke.exit_code is not None  # not what the clock ended
            record.add_stage(name, value, timings, reads=reads, is_final=is_final)
        errors = sum(finding.severity == "error" for finding in verification.findings)
        score = verification.compliance.score
        ran = {True: "passed", False: "failed", None: "not run"}[verification.smoke.ok]
        detail = f": {verification.smoke.message}" if verification.smoke.ok is False else ""
        followed = "no plan" if score is None else f"compliance {score:.2f}"
        self._stages.reporter.done(
            f"{errors or 'no'} static errors, {followed}, smoke run {ran}{detail}{origin}"
        )
        return verification

    def _reads(self, candidate: Candidate) -> list[str]:
        """Return what a verification follows from beside the plan: the program and where it is to run."""
        settings = self._config.verification
        source = hashlib.sha256(candidate.source.encode("utf-8", "backslashreplace")).hexdigest()
        return [source, repr(settings), *installed_packages(settings.python)]


def _best_of(versions: Sequence[tuple[Candidate, Verification]]) -> tuple[Candidate, Verification]:
    if not versions:
        raise GenerationError("the model wrote no program", hint="try another seed or another model")
    return max(versions, key=lambda version: merit(version[1]))
