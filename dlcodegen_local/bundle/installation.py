"""Install a bundle into a folder: no network, all or nothing. Standard library, Python 3.8.

    PREFIX/bin/dlcodegen          -> ../current/bin/dlcodegen
    PREFIX/current                -> versions/ID    the one step that makes an installation the one in use
    PREFIX/versions/ID/           a virtual environment; `installed.json` is written last
    PREFIX/staging/ID/            copies of the bundle's files, checked as they were copied

Guarantees that what is installed are the checked copies, never files of the medium read a second time; that
a kill at any moment leaves the installation in use as it was; and that the same command goes on from what
was copied. Does not protect from another program that writes into PREFIX meanwhile.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.bundle.contents import CHUNK, BundleFile, BundleManifest, damaged
from dlcodegen_local.bundle.verification import OpenBundle, Verified
from dlcodegen_local.errors import ArtifactError, ConfigError

MARKER = "installed.json"
_KEPT_VERSIONS = 2
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Installed:
    """Name what was installed: the command, the version's folder, and whether it was there before."""

    launcher: Path
    folder: Path
    was_there: bool


def default_prefix() -> Path:
    """Return where a bundle is installed without --prefix."""
    return Path.home() / "dlcodegen"


def install_bundle(
    path: Path, prefix: Path, signer: Path | None = None, *, notify: Callable[[str], None]
) -> Installed:
    """Check a bundle and make it the installation in use below `prefix`; `notify` gets a line a step.

    Raises:
        ArtifactError: the bundle is damaged, not the signer's, or for another Python or platform.
        ConfigError: there is no room, or the prefix cannot be written.
    """
    bundle = OpenBundle(path, signer)
    manifest = bundle.verified.manifest
    check_machine(manifest)
    prefix = prefix.absolute()
    version = prefix / "versions" / manifest.sha256[:16]
    launcher = prefix / "bin" / "dlcodegen"
    with _locked(prefix, notify) as lock:
        if (version / MARKER).is_file():
            notify(f"{version} is complete")
            _put_in_use(prefix, version)
            _clean(prefix / "staging", keep=None)  # of a try that ended after its last step
            return Installed(launcher, version, True)
        _check_room(prefix, manifest)
        staging = prefix / "staging" / version.name
        _clean(prefix / "staging", keep=staging)
        notify(f"copying and checking {len(manifest.files)} files, {manifest.size_bytes / 1e6:.0f} MB ...")
        copy_files(bundle, staging)
        notify("installing the packages ...")
        _make_environment(staging, version, lock)
        _place_artifacts(staging, version)
        _try_out(version, lock)
        _write_marker(version, bundle.verified)
        _put_in_use(prefix, version)
        _clean(prefix / "staging", keep=None)
        _drop_old_versions(prefix, version)
    return Installed(launcher, version, False)


def check_machine(manifest: BundleManifest) -> None:
    """Refuse a bundle that is for another Python or another kind of machine.

    Raises:
        ArtifactError: says for which.
    """
    wanted, here = manifest.facts["python"], "{}.{}".format(*sys.version_info[:2])
    if wanted != here:
        raise ArtifactError(
            f"the bundle is for Python {wanted}, this is {here}", hint=f"run it with python{wanted}"
        )
    kind, _, machine = manifest.facts["platform"].partition("_")
    if kind in ("manylinux", "linux"):
        numbers = [int(part) for part in machine.split("_")[:2] if part.isdigit()]
        machine = "_".join(machine.split("_")[len(numbers) :])
        _check_libc(tuple(numbers))
    if not sys.platform.startswith("linux") or machine != platform.machine():
        raise ArtifactError(
            f"the bundle is for {manifest.facts['platform']}, this is {sys.platform} on {platform.machine()}",
            hint="make one with: bundle create --platform",
        )


def _check_libc(needed: tuple[int, ...]) -> None:
    try:
        name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        here = tuple(int(part) for part in number.split("."))
    except (ValueError, OSError):
        name, here = "", ()
    if needed and (name != "glibc" or here < needed):
        raise ArtifactError(
            f"the bundle needs glibc {'.'.join(map(str, needed))} or later, this system has {name} "
            f"{'.'.join(map(str, here)) or 'another libc'}",
            hint="make one with an older --platform",
        )


def copy_files(bundle: OpenBundle, staging: Path) -> None:
    """Copy every file; one that an earlier try has copied is kept where it is sound.

    Raises:
        ArtifactError: a file is not what the manifest says, or the medium cannot be read.
    """

    def take(file: BundleFile, chunks: Iterator[bytes]) -> None:
        target = staging / file.path
        if target.is_file() and target.stat().st_size == file.size and _sha256_of(target) == file.sha256:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        with open(partial, "wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        os.replace(partial, target)

    bundle.read(take)


@contextmanager
def _locked(prefix: Path, notify: Callable[[str], None]) -> Iterator[int]:
    """Hold the prefix; so does a step that outlives a killed installation, by the inherited descriptor."""
    try:
        prefix.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(prefix / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigError(
            f"{prefix} cannot be written: {exc.strerror}", hint="name another place with --prefix"
        ) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notify(f"another installation works in {prefix}: waiting for its end ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    except OSError as exc:
        raise ConfigError(
            f"{exc.filename or prefix}: {exc.strerror or exc}", hint="mend that; the same command goes on"
        ) from exc
    finally:
        os.close(descriptor)


def _check_room(prefix: Path, manifest: BundleManifest) -> None:
    unpacked = manifest.facts.get("installed_bytes")
    needed = manifest.size_bytes + (unpacked if type(unpacked) is int and unpacked > 0 else 0) + _SPARE_BYTES
    free = shutil.disk_usage(prefix).free
    if free < needed and not (prefix / "staging").exists():
        raise ConfigError(
            f"{prefix} has {free / 1e6:.0f} MB free, the installation needs {needed / 1e6:.0f} MB",
            hint="free space or name another place with --prefix",
        )


def _make_environment(staging: Path, version: Path, lock: int) -> None:
    """Make the virtual environment anew and install exactly the bundle's wheels, by its own pip."""
    shutil.rmtree(version, ignore_errors=True)
    version.parent.mkdir(parents=True, exist_ok=True)
    wheels = sorted((staging / "wheels").glob("*.whl"))
    pips = [wheel for wheel in wheels if wheel.name.startswith("pip-")]
    if not pips:
        raise damaged("the bundle holds no pip")
    _run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", str(version)],
        lock,
        "no virtual environment is made",
    )
    python = str(version / "bin" / "python")
    command = [
        python,
        str(pips[0] / "pip"),
        "--isolated",
        "install",
        "--no-index",
        "--no-deps",
        "--no-cache-dir",
    ]
    command += ["--disable-pip-version-check", "--no-warn-script-location", "--quiet"]
    _run(
        [*command, *(str(wheel) for wheel in wheels if wheel not in pips)],
        lock,
        "pip does not install the wheels",
    )


def _place_artifacts(staging: Path, version: Path) -> None:
    """Move models, samples and documents to where the installed tool looks for them."""
    share = version / "share" / "dlcodegen"
    for name, place in (("models", "models"), ("pool/bundled", "index/samples"), ("pool/team", "pool")):
        for source in sorted((staging / name).glob("*")):
            target = share / place / source.name
            if target.is_dir():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    for name in ("docs", "licences", "sbom.cdx.json"):
        if (staging / name).exists():
            shutil.rmtree(share / name, ignore_errors=True)
            share.mkdir(parents=True, exist_ok=True)
            os.replace(staging / name, share / name)


def _try_out(version: Path, lock: int) -> None:
    """Start the installed command once, before it is put in use."""
    command = [str(version / "bin" / "dlcodegen"), "models", "list", "--json"]
    _run(command, lock, "the installed command does not start")


def _write_marker(version: Path, verified: Verified) -> None:
    """Say that a version is complete, when the disk holds all of it."""
    os.sync()
    record = {**verified.manifest.facts, "manifest_sha256": verified.manifest.sha256}
    partial = version / f"{MARKER}.partial"
    with open(partial, "w", encoding="utf-8") as stream:
        json.dump({**record, "signature": verified.signature}, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, version / MARKER)
    _sync_folder(version)


def _put_in_use(prefix: Path, version: Path) -> None:
    (prefix / "bin").mkdir(exist_ok=True)
    _replace_link(prefix / "current", f"versions/{version.name}")
    _replace_link(prefix / "bin" / "dlcodegen", "../current/bin/dlcodegen")


def _replace_link(link: Path, target: str) -> None:
    if link.is_symlink() and os.readlink(link) == target:
        return
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    os.symlink(target, partial)
    os.replace(partial, link)
    _sync_folder(link.parent)


def _drop_old_versions(prefix: Path, version: Path) -> None:
    """Keep this version and the one before it; the rest goes, unfinished ones first."""
    others = [folder for folder in (prefix / "versions").iterdir() if folder != version]
    complete = sorted(
        (folder for folder in others if (folder / MARKER).is_file()),
        key=lambda folder: (folder / MARKER).stat().st_mtime,
        reverse=True,
    )
    for folder in others:
        if folder not in complete[: _KEPT_VERSIONS - 1]:
            (folder / MARKER).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _clean(staging: Path, keep: Path | None) -> None:
    for folder in staging.glob("*") if staging.is_dir() else ():
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
    if keep is None:
        shutil.rmtree(staging, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(command: list[str], lock: int, failure: str) -> None:
    """Run a step in an environment that holds nothing of the user's Python and pip.

    Raises:
        ArtifactError: it fails; tells the last line it said.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV", "DLCODEGEN_", "LD_"))
    }
    environment["PIP_CONFIG_FILE"] = os.devnull
    outcome = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        pass_fds=(lock,),
    )
    if outcome.returncode:
        said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip().splitlines()
        raise ArtifactError(
            f"{failure}: {said[-1] if said else outcome.returncode}", hint="run the same command again"
        )
