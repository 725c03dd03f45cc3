"""A pool in memory, which can be changed under a running search."""

import hashlib
from collections.abc import Iterable, Iterator

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.pools import Entry
from dlcodegen_local.retrieval.samples import Sample


class MemoryPool:
    """Hold samples; `asked` lists the ids whose code was read."""

    def __init__(self, samples: Iterable[Sample], name: str = "bundled") -> None:
        self.name = name
        self.samples = {sample.id: sample for sample in samples}
        self.asked: list[str] = []

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(sorted(self.samples.items())).encode()).hexdigest()

    def entries(self) -> Iterator[Entry]:
        for _, sample in sorted(self.samples.items()):
            yield Entry(
                sample.id, sample.title, sample.requirement, sample.plan, sample.framework, sample.sha256
            )

    def sample(self, sample_id: str) -> Sample:
        self.asked.append(sample_id)
        if sample_id not in self.samples:
            raise ArtifactError(f"{sample_id} is missing")
        return self.samples[sample_id]


def make_sample(name: str, category: str, text: str, *, framework: str = "keras", pool: str = "bundled"):
    plan = Plan(category, text, "(batch_size, 2)", "", ())
    return Sample(name, "", "", plan, framework, "Apache-2.0", "test", name, "", {}, pool)
