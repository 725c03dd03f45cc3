"""Search over one or several pools: BM25 over plans, partitioned by task category. Paper: III-C.

Differs: where a partition has fewer than k samples of the wished framework, others top it up, and each
such hit says why. Guarantees that at equal scores the earlier pool's sample comes first, that code is read
for hits alone, and that a search goes on while another process changes a pool.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.categories import CATEGORIES, NEIGHBOURS
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index_files import EVERYTHING, IndexFiles, Notify, content_hash
from dlcodegen_local.retrieval.partition import Match, Partition, query_terms
from dlcodegen_local.retrieval.pools import Pool
from dlcodegen_local.retrieval.query import plan_text
from dlcodegen_local.retrieval.samples import Sample

__all__ = ["Hit", "SampleIndex", "plan_text", "query_terms"]


@dataclass(frozen=True)
class Hit:
    """Name one retrieved sample.

    `topped_up` says why a sample stands in for one that there is not (of a neighbouring category, of another
    framework), and is empty for the others. Scores compare within one `partition`: that is a category,
    or `everything`. `terms` are the query's terms with their scores in this sample, best first (with `why`).
    """

    sample: Sample
    score: float
    partition: str
    topped_up: str = ""
    terms: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class _Step:
    """Say where to look: `same` frameworks alone or others alone; None: any."""

    partition: str
    same: bool | None
    topped_up: str


class SampleIndex:
    """Search the samples of some pools, of which the earlier ones win ties."""

    def __init__(self, pools: Sequence[Pool], cache: Path, notify: Notify = lambda text: None) -> None:
        """Read the fingerprints of the pools. Indexes are opened, or built, when a search needs them.

        `notify` gets a line where an index is damaged, or takes long to build.

        Raises:
            ArtifactError: the pools hold no sample.
        """
        self._pools = tuple(pools)
        if not len(self):
            raise ArtifactError("the pools hold no samples", hint="add some with: dlcodegen pool add")
        self.sha256 = content_hash(self._pools)
        self._by_category = IndexFiles(self._pools, self.sha256, cache, "categories", notify)
        self._whole = IndexFiles(self._pools, self.sha256, cache, "whole", notify)

    def __len__(self) -> int:
        return sum(len(pool) for pool in self._pools)

    def search(
        self,
        query: Plan | str,
        k: int,
        category: str | None = None,
        *,
        framework: str | None = None,
        why: bool = False,
    ) -> list[Hit]:
        """Return at most k hits, best first.

        `category` defaults to the plan's; without one, everything is one partition. With a `framework` its
        samples come first: those of the category, then of its neighbours; then other frameworks' in that
        order, then all other categories.

        Raises:
            ArtifactError: a sample is damaged, or the index cannot be built.
        """
        if isinstance(query, Plan):
            category = category or query.category
            query = plan_text(query)
        counts = Counter(query_terms(query))
        hits: list[Hit] = []
        for step in _steps(category, framework):
            if len(hits) >= k:
                break
            partition = (self._by_category if category else self._whole).partition(step.partition)
            if partition is not None:
                found = self._hits(partition, counts, step, framework, why)
                hits += islice(found, k - len(hits))
        return hits

    def _hits(
        self, partition: Partition, counts: Counter[str], step: _Step, framework: str | None, why: bool
    ) -> Iterator[Hit]:
        for match in partition.ranked(counts, unmatched=step.partition != EVERYTHING):
            if step.same is not None and (match.framework == framework) != step.same:
                continue
            if (sample := self._sample(match)) is not None:
                terms = partition.term_scores(counts, match) if why else ()
                yield Hit(sample, match.score, step.partition, step.topped_up, terms)

    def _sample(self, match: Match) -> Sample | None:
        """Read a sample; None where its pool has changed since it was indexed and lacks it now."""
        try:
            return self._pools[match.pool].sample(match.id)
        except ArtifactError:
            if content_hash(self._pools) == self.sha256:
                raise
            return None


def _steps(category: str | None, framework: str | None) -> list[_Step]:
    frameworks = [None] if framework is None else [True, False]
    if category is None:
        return [_Step(EVERYTHING, same, _reason("", same)) for same in frameworks]
    near = (category, *NEIGHBOURS[category])
    kin = "a neighbouring category"
    steps = [
        _Step(name, same, _reason("" if name == category else kin, same))
        for same in frameworks
        for name in near
    ]
    far = [name for name in CATEGORIES if name not in near]
    return steps + [
        _Step(name, same, _reason("another category", same)) for same in frameworks for name in far
    ]


def _reason(category: str, same: bool | None) -> str:
    parts = [part for part in (category, "another framework" if same is False else "") if part]
    return f"from {' and '.join(parts)}" if parts else ""
