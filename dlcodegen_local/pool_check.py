"""Check the samples of a pool: their hashes, what their code does, whether their sources are as they were.

A value, not an error, for everything that is wrong with a sample: one damaged sample hides no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.retrieval.pool_status import origin_state
from dlcodegen_local.retrieval.pools import Pool
from dlcodegen_local.retrieval.team_pool import TeamPool
from dlcodegen_local.verification.environment import Target
from dlcodegen_local.verification.static import check_source

# A team's code is not in sections, nobody promises its functions, and it has libraries of its own.
_CONTRACT_RULES = frozenset({"import", "missing-function", "section", "section-order", "side-effect"})


@dataclass(frozen=True)
class SampleFinding:
    """Name one defect of a sample; `line` is 0 where it is about no line."""

    sample: str
    line: int
    rule: str
    message: str


def check_samples(pool: Pool, ids: Sequence[str], target: Target) -> Iterable[SampleFinding]:
    """Yield what is wrong with samples, in the order of the ids and of their lines.

    Raises:
        ArtifactError: the database itself is damaged.
    """
    if isinstance(pool, TeamPool):
        pool.check_database()
    origins = _origins(pool) if isinstance(pool, TeamPool) else {}
    for sample_id in ids:
        try:
            sample = pool.sample(sample_id)
        except ArtifactError as exc:
            yield SampleFinding(sample_id, 0, "damaged", f"{exc.message} ({exc.hint})")
            continue
        if reason := origins.get(sample_id):
            yield SampleFinding(sample_id, 0, "origin", reason)
        for finding in check_source(sample.source, sample_id, target):
            is_ours = isinstance(pool, TeamPool) and finding.rule in _CONTRACT_RULES
            if finding.severity == "error" and not is_ours:
                yield SampleFinding(sample_id, finding.line, finding.rule, finding.message)


def _origins(pool: TeamPool) -> dict[str, str]:
    rows = pool.rows(
        "SELECT s.id, f.path, f.digest, f.size, f.mtime_ns FROM samples s JOIN files f ON f.path = s.path"
    )
    return {str(row[0]): origin_state(str(row[1]), row[2], row[3], row[4]) for row in rows}
