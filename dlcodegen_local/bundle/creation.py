"""Make a bundle: choose, hash, describe, sign, pack.

Guarantees that a bundle is complete for its platform and Python before a byte is written, that its models
and samples are what their own hashes say, and that the same input with the same stated time gives the
same bytes (a signature apart). Opens no network connection: the wheels lie in a folder.
"""

import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local import __version__
from dlcodegen_local.bundle.contents import FORMAT, MANIFEST, SIGNATURES, parse_manifest
from dlcodegen_local.bundle.licences import index_lines, licence_files, licence_of
from dlcodegen_local.bundle.materials import find_models, find_pools_of
from dlcodegen_local.bundle.packing import ArchivePacker, FolderPacker, Item, pack
from dlcodegen_local.bundle.sbom import write_sbom
from dlcodegen_local.bundle.signature import sign
from dlcodegen_local.bundle.wheels import TOOL, Choice, Target, Wheel, choose_wheels, open_wheel, read_member
from dlcodegen_local.config import PoolPlace
from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
_ARCHIVES = (".tar", ".gz", ".tgz")
_TOOLS = (
    "__init__.py",
    "errors.py",
    "bundle/__init__.py",
    "bundle/archive.py",
    "bundle/commands.py",
    "bundle/contents.py",
    "bundle/installation.py",
    "bundle/signature.py",
    "bundle/verification.py",
)
_DOCUMENTS = "/data/share/dlcodegen/docs/"


@dataclass(frozen=True)
class Order:
    """Say what goes into a bundle; `created` is ISO 8601 in UTC, `signing_key` None leaves it unsigned."""

    wheels: Path
    target: Target
    extras: tuple[str, ...]
    models: tuple[Path, ...]
    pools: tuple[PoolPlace, ...]
    created: str
    signing_key: Path | None = None


@dataclass(frozen=True)
class Created:
    """Say what was made: its files (or folder), what is in it, and the wheels that were not needed."""

    paths: tuple[Path, ...]
    files: int
    size_bytes: int
    manifest_sha256: str
    unused_wheels: tuple[str, ...]


def is_archive(output: Path) -> bool:
    """Tell whether a name asks for an archive."""
    return output.suffix in _ARCHIVES


def create_bundle(
    order: Order, output: Path, part_bytes: int | None, notify: Callable[[str], None]
) -> Created:
    """Make a bundle at `output`: an archive where the name says so, else a folder.

    Raises:
        ArtifactError: a wheel is missing or unfit, a model or sample damaged.
        ConfigError: the place is taken or cannot be written, the key does not sign.
    """
    packer = ArchivePacker(output, part_bytes) if is_archive(output) else FolderPacker(output)
    try:
        choice = choose_wheels(order.wheels, order.target, order.extras)
        _check_version(choice.wheels[TOOL])
        notify(f"hashing {len(choice.wheels)} wheels, models and samples ...")
        with tempfile.TemporaryDirectory(prefix="dlcodegen-bundle-") as work:
            items = sorted(_items(order, choice, Path(work)), key=lambda item: item.path)
            head = _head(order, items, choice, Path(work))
            notify(f"writing {len(items)} files, {sum(item.size for item in items) / 1e6:.0f} MB ...")
            if is_archive(output):
                _lay_tools(output.absolute().parent)
            paths = pack(packer, [*head, *items])
    except BaseException:
        packer.abandon()
        raise
    size_bytes = sum(item.size for item in (*head, *items))
    return Created(tuple(paths), len(items), size_bytes, head[0].sha256, choice.unused)


def _check_version(wheel: Wheel) -> None:
    if str(wheel.version) != __version__:
        raise ConfigError(f"{wheel.path.name} is not of this version, {__version__}", hint="make wheels anew")


def _items(order: Order, choice: Choice, work: Path) -> Iterator[Item]:
    """Yield everything but the manifest and its signature."""
    yield from _tool_items()
    wheels = {name: Item.of(f"wheels/{wheel.path.name}", wheel.path) for name, wheel in choice.wheels.items()}
    yield from wheels.values()
    materials = [*find_models(order.models), *find_pools_of(order.pools, work)]
    yield from (item for material in materials for item in material.items)
    yield from _documents(choice.wheels[TOOL])
    rows = []
    for name, wheel in choice.wheels.items():
        texts = [
            Item.of(f"licences/{name}-{wheel.version}/{file}", text) for file, text in licence_files(wheel)
        ]
        yield from texts
        where = f"{name}-{wheel.version}/" if texts else "none in the wheel"
        rows.append((name, str(wheel.version), licence_of(wheel), where))
    rows += [row for material in materials for row in material.licence_rows]
    yield Item.of("licences/INDEX.tsv", index_lines(rows))
    digests = {name: item.sha256 for name, item in wheels.items()}
    parts = [part for material in materials for part in material.parts]
    yield Item.of("sbom.cdx.json", write_sbom(choice, digests, parts, order.created))


def _tool_items() -> Iterator[Item]:
    start = (_PACKAGE / "start.py").read_bytes()
    yield Item.of("verify.py", start)
    yield Item.of("install.py", start)
    yield Item.of("README.md", (_PACKAGE / "bundle_readme.md").read_bytes())
    for name in _TOOLS:
        yield Item.of(f"tools/dlcodegen_local/{name}", _PACKAGE.parent / name)


def _documents(tool: Wheel) -> Iterator[Item]:
    """Yield the documents of the version that is installed: those that its wheel carries."""
    with open_wheel(tool.path) as archive:
        for member in sorted(archive.namelist()):
            _, found, name = member.partition(_DOCUMENTS)
            if found and name and "/" not in name:
                yield Item.of(f"docs/{name}", read_member(archive, member))


def _head(order: Order, items: Sequence[Item], choice: Choice, work: Path) -> list[Item]:
    """Return the manifest, and its signature where a key is given."""
    table = {
        "format": FORMAT,
        "tool": TOOL,
        "version": __version__,
        "platform": order.target.platform,
        "python": order.target.python,
        "extras": list(order.extras),
        "created": order.created,
        "created_with": f"Python {platform.python_version()}",
        "installed_bytes": sum(_unpacked_bytes(wheel) for wheel in choice.wheels.values()),
        "files": [{"path": item.path, "size": item.size, "sha256": item.sha256} for item in items],
    }
    payload = (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode()
    parse_manifest(payload)  # whoever checks the bundle must be able to
    manifest = Item.of(MANIFEST, payload)
    if order.signing_key is None:
        return [manifest]
    written = work / MANIFEST
    written.write_bytes(payload)
    signature = sign(written, order.signing_key)
    assert signature.name in SIGNATURES
    return [manifest, Item.of(signature.name, signature.read_bytes())]


def _unpacked_bytes(wheel: Wheel) -> int:
    with open_wheel(wheel.path) as archive:
        return sum(member.file_size for member in archive.infolist())


def _lay_tools(folder: Path) -> None:
    """Put what checks and installs an archive beside it.

    Raises:
        ConfigError: other files have these names.
    """
    items = [item for item in _tool_items() if item.path != "README.md"]
    for item in items:
        path, content = folder / item.path, b"".join(item.content())
        if path.exists() and (not path.is_file() or path.read_bytes() != content):
            raise ConfigError(f"{path} is another file", hint="name an archive in a new folder")
        write_file(path, content)
