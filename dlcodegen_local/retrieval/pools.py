"""Pools: where samples come from. The bundled one and hand-made ones are folders, a team's is a database.

Guarantees that entries are streamed in the order of their ids, and that code is read for the samples
asked for alone.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.samples import Sample, read_record, read_sample, record_paths

DATABASE = "pool.sqlite"


@dataclass(frozen=True)
class Entry:
    """Hold what the index needs of a sample; `sha256` is that of its code."""

    id: str
    title: str
    requirement: str
    plan: Plan
    framework: str
    sha256: str


class Pool(Protocol):
    """A source of samples with unique ids."""

    name: str

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return hex digits that change with every change of what is indexed."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Yield every sample's entry, sorted by id.

        Raises:
            ArtifactError: a sample is damaged; names it.
        """
        ...

    def sample(self, sample_id: str) -> Sample:
        """Return one sample with its code.

        Raises:
            ArtifactError: it is damaged or missing.
        """
        ...


class FolderPool:
    """Read a folder of `NAME.py` and `NAME.json` files."""

    def __init__(self, folder: Path, name: str) -> None:
        """List the folder.

        Raises:
            ArtifactError: it holds no sample, or half of one; names it.
        """
        self.name = name
        self._folder = folder
        self._size = len(record_paths(folder))

    def __len__(self) -> int:
        return self._size

    @property
    def fingerprint(self) -> str:
        """Return the hash of every record as it stands on the disk now.

        Raises:
            ArtifactError: a record cannot be read.
        """
        digest = hashlib.sha256()
        for path in record_paths(self._folder):
            try:
                record = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as exc:
                raise ArtifactError(f"{path} cannot be read: {exc.strerror}", hint="check the path") from exc
            digest.update(f"{record} {path.name}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def entries(self) -> Iterator[Entry]:
        """Yield every sample's entry, sorted by id."""
        for path in record_paths(self._folder):
            record = read_record(path)
            yield Entry(
                record.id, record.title, record.requirement, record.plan, record.framework, record.sha256
            )

    def sample(self, sample_id: str) -> Sample:
        """Return one sample with its code."""
        return read_sample(self._folder / f"{sample_id}.json", self.name)


def open_pool(folder: Path, name: str) -> Pool:
    """Open a team's pool where the folder holds its database, else a folder of samples.

    Raises:
        ArtifactError: there are no samples, or the database is damaged.
    """
    if (folder / DATABASE).is_file():
        from dlcodegen_local.retrieval.team_pool import TeamPool

        team: Pool = TeamPool(folder, name)
        return team
    if name == "team":
        raise ArtifactError(f"there is no team pool at {folder}", hint="make one with: dlcodegen pool add")
    return FolderPool(folder, name)
