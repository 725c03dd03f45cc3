"""Choose the wheels of a bundle: all that the tool needs on the target, and nothing else.

Guarantees that every requirement of the tool, of its chosen extras and of their requirements is met by a
wheel that fits the target's platform and Python, or says which is not. Fetches nothing and runs nothing:
`make wheels` fills the folder. Takes one version of a package; it does not search for combinations, as pip
does.
"""

import platform
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from functools import cached_property
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from dlcodegen_local.errors import ArtifactError, ConfigError

TOOL = "dlcodegen"
ENGINE = "llama-cpp-python"
_OLDEST_GLIBC_MINOR = 5
_OLD_NAMES = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_MAX_METADATA_BYTES = 4 << 20
_VARIANT = "libggml-cpu-"


@dataclass(frozen=True)
class Target:
    """Name the machine of the bundle: a platform tag as `manylinux_2_36_x86_64`, a Python as `3.11`."""

    platform: str
    python: str

    @classmethod
    def here(cls) -> "Target":
        """Return what this machine is.

        Raises:
            ConfigError: its C library is not glibc.
        """
        name, version = platform.libc_ver()
        if name != "glibc":
            raise ConfigError("this machine's platform has no name for wheels", hint="give --platform")
        tag = f"manylinux_{version.replace('.', '_')}_{platform.machine()}"
        return cls(tag, "{}.{}".format(*sys.version_info[:2]))

    @property
    def machine(self) -> str:
        """Return the processor's name."""
        return "_".join(self.platform.split("_")[3:] or self.platform.split("_")[1:])

    def platforms(self) -> list[str]:
        """Return the platform tags of wheels that run there, best first.

        Raises:
            ConfigError: the platform is no Linux platform tag.
        """
        kind, *numbers = self.platform.split("_")[:3]
        if kind == "linux":
            return [self.platform]
        if kind != "manylinux" or len(numbers) != 2 or numbers[0] != "2" or not numbers[1].isdigit():
            raise ConfigError(
                f"{self.platform} is no platform that bundles know",
                hint="for example manylinux_2_36_x86_64: glibc 2.36 or later",
            )
        tags = []
        for minor in range(int(numbers[1]), _OLDEST_GLIBC_MINOR - 1, -1):
            tags.append(f"manylinux_2_{minor}_{self.machine}")
            if old := _OLD_NAMES.get((2, minor)):
                tags.append(f"{old}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]

    def tags(self) -> list[Tag]:
        """Return the tags of wheels that run there, best first.

        Raises:
            ConfigError: platform or Python is none.
        """
        try:
            major, minor = (int(part) for part in self.python.split("."))
        except ValueError as exc:
            raise ConfigError(f"{self.python} is no version of Python", hint="for example 3.11") from exc
        platforms = self.platforms()
        exact = cpython_tags((major, minor), platforms=platforms)
        return [*exact, *compatible_tags((major, minor), f"cp{major}{minor}", platforms)]

    def environment(self, extra: str) -> dict[str, str]:
        """Return what markers are evaluated against."""
        own = {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_version": f"{self.python}.0",
            "platform_machine": self.machine,
        }
        return {**{key: str(value) for key, value in default_environment().items()}, **own, "extra": extra}


@dataclass(frozen=True)
class Wheel:
    """Hold one wheel and what its file name says."""

    path: Path
    name: str
    version: Version
    tags: frozenset[Tag]

    @cached_property
    def metadata(self) -> Message:
        """Return its METADATA.

        Raises:
            ArtifactError: the file is no wheel.
        """
        with open_wheel(self.path) as archive:
            return BytesParser().parsebytes(read_member(archive, f"{self.info_folder}METADATA"))

    @cached_property
    def info_folder(self) -> str:
        """Return the name of its `.dist-info/` folder."""
        with open_wheel(self.path) as archive:
            for name in archive.namelist():
                folder, slash, rest = name.partition("/")
                if folder.endswith(".dist-info") and rest == "METADATA":
                    return folder + slash
        raise ArtifactError(f"{self.path} is no wheel: it has no METADATA", hint="fetch it again")

    def requirements(self) -> list[Requirement]:
        """Return what it requires, with markers."""
        try:
            return [Requirement(line) for line in self.metadata.get_all("Requires-Dist", [])]
        except InvalidRequirement as exc:
            raise ArtifactError(
                f"{self.path} states a requirement that is none", hint="fetch it again"
            ) from exc


@dataclass(frozen=True)
class Choice:
    """Hold the wheels of a bundle by name, what each requires of the others, and the files left out."""

    wheels: dict[str, Wheel]
    requires: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]


def open_wheel(path: Path) -> zipfile.ZipFile:
    """Open a wheel.

    Raises:
        ArtifactError: the file is none.
    """
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as exc:
        raise ArtifactError(f"{path} is no wheel", hint="fetch it again") from exc


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a text file of a wheel, cut at a size that no text has."""
    try:
        with archive.open(name) as stream:
            return stream.read(_MAX_METADATA_BYTES)
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as exc:
        raise ArtifactError(f"{archive.filename} is damaged", hint="fetch it again") from exc


def choose_wheels(folder: Path, target: Target, extras: tuple[str, ...]) -> Choice:
    """Choose the wheels that the tool with these extras needs on the target, and pip.

    Raises:
        ArtifactError: names every requirement that no wheel of the folder meets, or the engine is built for
            one processor alone.
        ConfigError: there is no such folder, or the target is none.
    """
    found = _Search(folder, target)
    found.need(Requirement(f"{TOOL}[{','.join(extras)}]" if extras else TOOL), "the bundle")
    found.need(Requirement("pip"), "the installation")
    found.finish()
    if found.lacking:
        raise ArtifactError(
            f"{folder} lacks {'; '.join(found.lacking)}",
            hint=f"make wheels PLATFORM={target.platform} PYTHON_VERSION={target.python} fills it",
        )
    if target.machine == "x86_64":
        _check_variants(found.chosen.get(ENGINE))
    used = {wheel.path for wheel in found.chosen.values()}
    unused = sorted(path.name for path in folder.glob("*.whl") if path not in used)
    requires = {name: found.required_by(name) for name in found.chosen}
    return Choice(dict(sorted(found.chosen.items())), requires, tuple(unused))


class _Search:
    """Follow requirements through a folder of wheels."""

    def __init__(self, folder: Path, target: Target) -> None:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder of wheels", hint="fill one with: make wheels")
        self._target = target
        self._rank = {tag: rank for rank, tag in enumerate(target.tags())}
        self._wheels: dict[str, list[Wheel]] = {}
        for path in sorted(folder.glob("*.whl")):
            self._add(path)
        self._specifiers: dict[str, SpecifierSet] = {}
        self._extras: dict[str, set[str]] = {}
        self._waiting: list[str] = []
        self.chosen: dict[str, Wheel] = {}
        self.lacking: list[str] = []

    def need(self, requirement: Requirement, by: str) -> None:
        """Choose a wheel for a requirement, and look at what it requires later."""
        name = canonicalize_name(requirement.name)
        specifiers = self._specifiers.get(name, SpecifierSet()) & requirement.specifier
        extras = self._extras.setdefault(name, set())
        fitting = [wheel for wheel in self._wheels.get(name, []) if self._fits(wheel)]
        allowed = [wheel for wheel in fitting if specifiers.contains(wheel.version, prereleases=True)]
        self._specifiers[name] = specifiers
        if not allowed:
            others = ", ".join(sorted({wheel.path.name for wheel in self._wheels.get(name, [])}))
            self.lacking.append(f"{requirement} for {by}" + (f" (has {others})" if others else ""))
            return
        best = max(allowed, key=lambda wheel: (wheel.version, -self._rank_of(wheel)))
        if self.chosen.get(name) != best or not requirement.extras <= extras:
            self.chosen[name] = best
            extras |= requirement.extras
            self._waiting.append(name)

    def finish(self) -> None:
        """Follow what the chosen wheels require until nothing is left."""
        while self._waiting:
            name = self._waiting.pop()
            for requirement in self._applying(name):
                self.need(requirement, name)
        reachable, waiting = set[str](), [TOOL, "pip"]
        while waiting:
            name = waiting.pop()
            if name not in reachable and name in self.chosen:
                reachable.add(name)
                waiting += self.required_by(name)
        self.chosen = {name: wheel for name, wheel in self.chosen.items() if name in reachable}

    def required_by(self, name: str) -> tuple[str, ...]:
        """Return the names of what a chosen wheel requires on the target."""
        return tuple(sorted({canonicalize_name(requirement.name) for requirement in self._applying(name)}))

    def _applying(self, name: str) -> Iterator[Requirement]:
        environments = [self._target.environment(extra) for extra in ("", *sorted(self._extras[name]))]
        for requirement in self.chosen[name].requirements():
            marker = requirement.marker
            if marker is None or any(marker.evaluate(environment) for environment in environments):
                yield requirement

    def _add(self, path: Path) -> None:
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except (ValueError, InvalidVersion) as exc:
            raise ArtifactError(f"{path} has no wheel's file name", hint="remove it") from exc
        self._wheels.setdefault(name, []).append(Wheel(path, name, version, tags))

    def _fits(self, wheel: Wheel) -> bool:
        if self._rank.keys().isdisjoint(wheel.tags):
            return False
        stated = str(wheel.metadata.get("Requires-Python") or "")
        try:
            return SpecifierSet(stated).contains(f"{self._target.python}.99", prereleases=True)
        except InvalidSpecifier as exc:
            raise ArtifactError(f"{wheel.path} requires no Python", hint="fetch it again") from exc

    def _rank_of(self, wheel: Wheel) -> int:
        return min(self._rank[tag] for tag in wheel.tags if tag in self._rank)


def _check_variants(engine: Wheel | None) -> None:
    """Refuse an engine that was built for the processor of the machine that built it."""
    if engine is None:
        return
    with open_wheel(engine.path) as archive:
        if sum(_VARIANT in name for name in archive.namelist()) < 2:
            raise ArtifactError(
                f"{engine.path.name} is built for one processor alone",
                hint="make wheels builds one that chooses its instruction set at run time",
            )
