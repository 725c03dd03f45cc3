"""What state a pool is in: counts, thin categories, stale sources, and what was not taken, and why.

Reads the database and looks at the source files; changes nothing.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.retrieval.examination import KeptSecret
from dlcodegen_local.retrieval.licensing import UNKNOWN
from dlcodegen_local.retrieval.pools import Pool
from dlcodegen_local.retrieval.team_pool import TeamPool
from dlcodegen_local.retrieval.walking import MAX_BYTES, read_whole

THIN = 3


@dataclass(frozen=True)
class ListedSample:
    """Hold what a list shows of a sample; `path` is its source."""

    id: str
    category: str
    framework: str
    licence: str
    title: str
    path: str


@dataclass(frozen=True)
class FileState:
    """Hold a file that is no sample, or whose sample is stale, and the reason in one line."""

    path: str
    reason: str
    sample: str = ""
    secrets: tuple[KeptSecret, ...] = ()


@dataclass(frozen=True)
class PoolStatus:
    """Describe a pool; the counts are sorted by name, the files by path."""

    samples: int
    fingerprint: str
    categories: Mapping[str, int]
    frameworks: Mapping[str, int]
    licences: Mapping[str, int]
    thin: tuple[str, ...]
    roots: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    stale: tuple[FileState, ...] = ()
    files: Mapping[str, tuple[FileState, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the status."""
        return asdict(self)


def listed(pool: Pool) -> list[ListedSample]:
    """Return every sample of a pool, sorted by category and id.

    Raises:
        ArtifactError: a sample of a folder is damaged.
    """
    if isinstance(pool, TeamPool):
        rows = pool.rows("SELECT id, category, framework, licence, title, path FROM samples")
        found = [ListedSample(*(str(value) for value in row)) for row in rows]
    else:
        samples = (pool.sample(entry.id) for entry in pool.entries())
        found = [
            ListedSample(s.id, s.plan.category, s.framework, s.licence, s.title, s.origin) for s in samples
        ]
    return sorted(found, key=lambda sample: (sample.category, sample.id))


def status_of(pool: Pool) -> PoolStatus:
    """Describe a pool.

    Raises:
        ArtifactError: the pool is damaged.
    """
    samples = listed(pool)
    categories = _counts(sample.category for sample in samples)
    status = PoolStatus(
        samples=len(samples),
        fingerprint=pool.fingerprint,
        categories=categories,
        frameworks=_counts(sample.framework for sample in samples),
        licences=_counts(sample.licence or UNKNOWN for sample in samples),
        thin=tuple(category for category, count in categories.items() if count < THIN),
    )
    return _with_files(status, pool) if isinstance(pool, TeamPool) else status


def origin_state(path: str, digest: str, size: int, mtime_ns: int) -> str:
    """Return why a source is no longer what was taken in, "" where it is; unread where it seems untouched."""
    try:
        found = os.stat(path)
        if (found.st_size, found.st_mtime_ns) == (size, mtime_ns):
            return ""
        content = read_whole(path, MAX_BYTES[os.path.splitext(path)[1].lower()])
    except FileNotFoundError:
        return "its source is gone"
    except ConfigError as exc:
        return f"its source {exc.message}"
    except OSError as exc:
        return f"its source cannot be read: {exc.strerror}"
    return "" if sha256(content).hexdigest() == digest else "its source has changed"


def _with_files(status: PoolStatus, pool: TeamPool) -> PoolStatus:
    rows = pool.rows(
        "SELECT f.*, e.secrets FROM files f"
        " LEFT JOIN examinations e ON e.digest = f.digest AND e.name = f.name ORDER BY f.path"
    )
    files: dict[str, list[FileState]] = {}
    stale = []
    for row in rows:
        if row["status"] == "sample":
            reason = origin_state(row["path"], row["digest"], row["size"], row["mtime_ns"])
            if reason:
                stale.append(FileState(row["path"], reason, row["folded_into"]))
        else:
            secrets = tuple(KeptSecret(**secret) for secret in json.loads(row["secrets"] or "[]"))
            state = FileState(row["path"], row["reason"], row["folded_into"], secrets)
            files.setdefault(row["status"], []).append(state)
    return PoolStatus(
        status.samples,
        status.fingerprint,
        status.categories,
        status.frameworks,
        status.licences,
        status.thin,
        roots=tuple(str(row[0]) for row in pool.rows("SELECT path FROM roots ORDER BY path")),
        denied=tuple(str(row[0]) for row in pool.rows("SELECT pattern FROM denials ORDER BY pattern")),
        stale=tuple(stale),
        files={name: tuple(files[name]) for name in sorted(files)},
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
