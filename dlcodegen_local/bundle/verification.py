"""Check a whole bundle, in a folder or an archive. Standard library, Python 3.8.

Guarantees that every byte was read and compared with the manifest, and that nothing was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.bundle.archive import ArchiveBundle
from dlcodegen_local.bundle.contents import BundleFile, BundleManifest, FolderBundle, parse_manifest
from dlcodegen_local.bundle.signature import check_signature
from dlcodegen_local.errors import ArtifactError


@dataclass(frozen=True)
class Verified:
    """Hold a bundle's manifest, and what is known of its signature as one line."""

    manifest: BundleManifest
    payload: bytes
    signature: str


class OpenBundle:
    """Read a bundle: `verified` the manifest first, then every file once."""

    def __init__(self, path: Path, signer: Path | None = None) -> None:
        """Read and check the manifest, and its signature where a signer is given.

        Raises:
            ArtifactError: there is no bundle, its manifest is damaged, or its signature is not the signer's.
        """
        self._source = FolderBundle(path) if path.is_dir() else ArchiveBundle(_parts(path))
        try:
            head = self._source.head()
        except OSError as exc:
            raise _unreadable(path, exc) from exc
        if signer is not None:
            signature = f"good: {check_signature(head, signer)}"
        elif head.signature is not None:
            signature = f"{head.signature[0]}, not checked: give --signature-by"
        else:
            signature = "none: whoever made the bundle is not known"
        self._path = path
        self.verified = Verified(parse_manifest(head.payload), head.payload, signature)

    def read(self, take: Callable[[BundleFile, Iterator[bytes]], None]) -> None:
        """Give every file with its content to `take`; content is known to be sound when it ends.

        Raises:
            ArtifactError: names the first file that is missing, damaged, unknown or no regular file.
        """
        content = self._source.files(self.verified.manifest)
        while True:
            try:
                file, chunks = next(content)
            except StopIteration:
                return
            except OSError as exc:
                raise _unreadable(self._path, exc) from exc
            take(file, chunks)


def verify_bundle(path: Path, signer: Path | None = None) -> Verified:
    """Check every file of a bundle.

    Raises:
        ArtifactError: says what is wrong with it.
    """
    bundle = OpenBundle(path, signer)
    bundle.read(lambda file, chunks: _read_through(path, chunks))
    return bundle.verified


def _read_through(path: Path, chunks: Iterator[bytes]) -> None:
    try:
        for _ in chunks:
            pass
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _parts(path: Path) -> list[Path]:
    """Return the file, or its parts `.001`, `.002`, ... in order, from any one's name or the whole one's.

    Raises:
        ArtifactError: there is no such file.
    """
    if path.is_file() and path.suffix != ".001":
        return [path]
    stem = path.with_suffix("") if path.suffix == ".001" else path
    parts: list[Path] = []
    while (part := stem.with_name(f"{stem.name}.{len(parts) + 1:03}")).is_file():
        parts.append(part)
    if not parts:
        raise ArtifactError(f"{path} is no bundle: there is no such folder or file", hint="check the path")
    return parts


def _unreadable(path: Path, exc: OSError) -> ArtifactError:
    return ArtifactError(
        f"{exc.filename or path} cannot be read: {exc.strerror}", hint="check the medium and the rights"
    )
