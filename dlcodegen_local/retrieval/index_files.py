"""The index on the disk: built once for what the pools hold, checked on every open, built anew where damaged.

A folder `index-<hash>-<kind>` in the cache holds one partition a category (`categories`) or one over
everything (`whole`), which is built when it is first asked for. Guarantees that a partition that opens has
the bytes that were written: every file's sha256 is in `manifest.json`, which begins with its own. A folder
appears whole or not at all; one that a process has open is not cleaned away by another.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Literal

from dlcodegen_local.artifacts import sha256_of
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.retrieval.partition import Partition, Row, row_of, write_partition
from dlcodegen_local.retrieval.pools import Pool

INDEX_FORMAT = 3
EVERYTHING = "everything"
Kind = Literal["categories", "whole"]
Notify = Callable[[str], None]
_KEPT_FOLDERS = 6
_MANY_SAMPLES = 5_000
_THREADS = 6


class IndexFiles:
    """Open the partitions of one kind, each when it is first asked for."""

    def __init__(self, pools: Sequence[Pool], sha256: str, cache: Path, kind: Kind, notify: Notify) -> None:
        """Take pools whose content hash is `sha256`."""
        self._pools = pools
        self._cache = cache
        self._kind: Kind = kind
        self._notify = notify
        self._sha256 = sha256
        self._folder = cache / f"index-{sha256[:16]}-{kind}"
        self._opened: dict[str, Partition] = {}
        self._is_held = False
        self._in_memory = False

    def partition(self, name: str) -> Partition | None:
        """Return a partition, None where no sample is in it.

        Raises:
            ArtifactError: a sample is damaged; names it.
        """
        if name not in self._opened and not self._in_memory:
            try:
                self._open(name)
            except OSError:  # a cache that cannot be written costs time, not the answer
                self._hold_in_memory()
        return self._opened.get(name)

    def _open(self, name: str) -> None:
        if not self._is_opened(name):
            if self._folder.exists():
                self._notify(f"{self._folder} is damaged: the index is built anew from the samples")
            self._build()
            if not self._is_opened(name):
                raise OSError(f"{self._folder} is damaged as soon as it is written")

    def _is_opened(self, name: str) -> bool:
        """Open a partition whose files have their hashes; true also where it has no sample."""
        recorded = _read_manifest(self._folder)
        if recorded is None:
            return False
        if not self._is_held:
            self._hold()
        files = recorded.get(name)
        if files is None:
            return True
        if not _is_intact(self._folder / _folder_name(name), files):
            return False
        try:
            self._opened[name] = Partition.open(name, self._folder / _folder_name(name))
        except ArtifactError:
            return False
        return True

    def _hold(self) -> None:
        """Mark the folder as used now, and by this process for as long as this object lives."""
        with contextlib.suppress(OSError):  # a file system without locks, a cache that others own
            descriptor = os.open(self._folder / "manifest.json", os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, descriptor)
            self._is_held = True
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            os.utime(self._folder)

    def _build(self) -> None:
        """Build beside the place, then rename; a second process waits, and takes what the first has built."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with open(self._cache / "index.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            recorded = _read_manifest(self._folder)
            if recorded is not None and all(
                _is_intact(self._folder / _folder_name(name), files) for name, files in recorded.items()
            ):
                return
            _clean(self._cache)
            staging = Path(tempfile.mkdtemp(prefix=".index-", dir=self._cache))
            try:
                self._write(staging)
                if self._folder.exists():
                    self._folder.rename(staging / "damaged")
                (staging / "built").rename(self._folder)
                self._is_held = False
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _write(self, staging: Path) -> None:
        built = staging / "built"
        built.mkdir()
        spools = _spool(self._rows(), staging)
        for name in spools:
            (built / _folder_name(name)).mkdir()
        with ThreadPoolExecutor(_THREADS) as threads:  # some wait for the disk while others index
            jobs = [
                threads.submit(write_partition, _unspool(path), built / _folder_name(name))
                for name, path in sorted(spools.items(), key=lambda item: (-item[1].stat().st_size, item[0]))
            ]
            for job in jobs:
                job.result()
        if content_hash(self._pools) != self._sha256:  # what was read is not what the folder's name says
            raise OSError("the pool has changed while it was read")
        _write_manifest(built, sorted(spools))

    def _hold_in_memory(self) -> None:
        rows: dict[str, list[Row]] = {}
        for name, row in self._rows():
            rows.setdefault(name, []).append(row)
        self._opened |= {
            name: Partition(name, write_partition(some, None)) for name, some in sorted(rows.items())
        }
        self._in_memory = True

    def _rows(self) -> Iterator[tuple[str, Row]]:
        count = sum(len(pool) for pool in self._pools)
        if count >= _MANY_SAMPLES:
            self._notify(f"indexing {count:,} samples ...")
        for number, pool in enumerate(self._pools):
            for entry in pool.entries():
                yield entry.plan.category if self._kind == "categories" else EVERYTHING, row_of(entry, number)


def content_hash(pools: Sequence[Pool]) -> str:
    """Return the hash of what the index of these pools holds."""
    lines = [f"format {INDEX_FORMAT}", *(pool.fingerprint for pool in pools)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _folder_name(partition: str) -> str:
    return f"{CATEGORIES.index(partition):02}" if partition in CATEGORIES else "all"


def _spool(rows: Iterable[tuple[str, Row]], folder: Path) -> dict[str, Path]:
    """Sort rows into one file a partition, so that memory does not grow with the pool."""
    files: dict[str, IO[str]] = {}
    try:
        for name, row in rows:
            if name not in files:
                files[name] = open(folder / f"{_folder_name(name)}.rows", "w", encoding="utf-8")  # noqa: SIM115
            files[name].write(f"{row.pool}\t{row.id}\t{row.framework}\t{row.text}\n")
    finally:
        for file in files.values():
            file.close()
    return {name: Path(file.name) for name, file in files.items()}


def _unspool(path: Path) -> Iterator[Row]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            pool, sample_id, framework, text = line.rstrip("\n").split("\t")
            yield Row(int(pool), sample_id, framework, text)


def _write_manifest(folder: Path, partitions: list[str]) -> None:
    recorded = {
        name: {
            path.name: sha256_of(path)
            for path in sorted((folder / _folder_name(name)).iterdir())
            if path.is_file() and not path.name.startswith(".")
        }
        for name in partitions
    }
    text = json.dumps(recorded, indent=1)
    try:
        write_file(folder / "manifest.json", f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
    except ConfigError as exc:
        raise OSError(exc.message) from exc


def _read_manifest(folder: Path) -> dict[str, dict[str, str]] | None:
    """Return the files' hashes by partition and name; None where it is missing or damaged."""
    try:
        digest, _, text = (folder / "manifest.json").read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(text).hexdigest().encode() != digest:
        return None
    recorded: dict[str, dict[str, str]] = json.loads(text)
    return recorded


def _is_intact(folder: Path, recorded: dict[str, str]) -> bool:
    try:
        return all(sha256_of(folder / name) == digest for name, digest in recorded.items())
    except ArtifactError:
        return False


def _clean(cache: Path) -> None:
    """Remove what killed builds have left, and all but the newest folders; none that a process has open."""
    for staging in cache.glob(".index-*"):  # the lock is ours: nobody else builds
        shutil.rmtree(staging, ignore_errors=True)
    folders = sorted((path for path in cache.glob("index-*") if path.is_dir()), key=_modified, reverse=True)
    for folder in folders[_KEPT_FOLDERS:]:
        try:
            with open(folder / "manifest.json", "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use


def _modified(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except OSError:
        return 0.0, path.name
