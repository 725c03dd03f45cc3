"""Find a team's Python files and notebooks below a folder, and read one whole.

Guarantees a sorted order, an end in spite of looping links, and that no link leads out of the folder.
What git ignores, virtual environments and caches are left out. Nothing that is not a regular file is
opened, and a file that changes while it is read is reported.
"""

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pathspec

from dlcodegen_local.errors import ConfigError

SUFFIXES = (".py", ".ipynb")
MAX_BYTES = {".py": 2_000_000, ".ipynb": 20_000_000}
_LEFT_OUT = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", ".tox", ".nox", ".eggs", "node_modules", "site-packages"),
        *("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    }
)
_ENVIRONMENT_MARKS = ("pyvenv.cfg", "conda-meta")
_MAX_DEPTH = 100
_MAX_IGNORE_BYTES = 1_000_000


@dataclass(frozen=True)
class FoundFile:
    """Name a file by its absolute path, the root it was found below, its size and its change time."""

    path: str
    root: str
    size: int
    mtime_ns: int

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return os.path.basename(self.path)

    @property
    def suffix(self) -> str:
        """Return the suffix in lower case."""
        return os.path.splitext(self.path)[1].lower()


@dataclass(frozen=True)
class Problem:
    """Say in one line why a path was not read. `found` is None for a folder."""

    path: str
    reason: str
    found: FoundFile | None = None


@dataclass
class Walk:
    """Collect what was found below a root. `left_out` names links that lead out or nowhere."""

    files: list[FoundFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)


def walk(root: Path) -> Walk:
    """Find the files below a folder, or the one file that `root` is; both sorted by path."""
    found = Walk()
    if root.is_dir():
        _Walker(os.path.realpath(root), found).run()
    else:
        _take_file(os.path.realpath(root), os.path.realpath(root), found)
    found.files.sort(key=lambda file: file.path)
    found.problems.sort(key=lambda problem: problem.path)
    found.left_out.sort(key=lambda problem: problem.path)
    return found


def read_whole(path: str, max_bytes: int) -> bytes:
    """Read a regular file that does not change meanwhile; a second try is made where it does.

    Raises:
        ConfigError: it cannot be read, is no regular file, is too large, or keeps changing.
    """
    for _ in range(2):
        content, is_stable = _read_once(path, max_bytes)
        if is_stable:
            return content
    raise ConfigError("changes while it is read; add it again when it is at rest")


def too_large(size: int, suffix: str) -> str:
    """Return why a file of this size is not read, or nothing where it may be."""
    limit = MAX_BYTES[suffix]
    kind = "a notebook" if suffix == ".ipynb" else "a Python file"
    return f"has {size / 1e6:.0f} MB, {kind} may have {limit / 1e6:.0f}" if size > limit else ""


def _read_once(path: str, max_bytes: int) -> tuple[bytes, bool]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}") from exc
    try:
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise ConfigError("is no regular file")
            content = file.read(max_bytes + 1)
            after = os.fstat(descriptor)
        now = os.stat(path)
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}") from exc
    if len(content) > max_bytes:
        raise ConfigError(f"has more than {max_bytes / 1e6:.0f} MB")
    is_stable = _state(before) == _state(after) == _state(now) and len(content) == before.st_size
    return content, is_stable


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _take_file(path: str, root: str, found: Walk) -> None:
    try:
        path.encode("utf-8")
        status = os.stat(path)
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "replace")
        found.problems.append(Problem(shown, "its name is not UTF-8"))
        return
    except OSError as exc:
        found.problems.append(Problem(path, f"cannot be read: {exc.strerror}"))
        return
    if not stat.S_ISREG(status.st_mode):
        found.problems.append(Problem(path, "is no regular file"))
        return
    file = FoundFile(path, root, status.st_size, status.st_mtime_ns)
    if reason := too_large(file.size, file.suffix):
        found.problems.append(Problem(path, reason, file))
    else:
        found.files.append(file)


@dataclass(frozen=True)
class _Rules:
    """Hold the patterns of one `.gitignore`, and the folder that they are about."""

    folder: str
    patterns: pathspec.GitIgnoreSpec

    def opinion(self, path: str, is_folder: bool) -> bool | None:
        """Tell whether the path is ignored; None where no pattern is about it."""
        relative = os.path.relpath(path, self.folder) + ("/" if is_folder else "")
        return self.patterns.check_file(relative).include


class _Walker:
    """Walk real folders first and links after, so that a file is met under its own path."""

    def __init__(self, root: str, found: Walk) -> None:
        self._root = root
        self._found = found
        self._folders: set[tuple[int, int]] = set()
        self._files: set[tuple[int, int]] = set()
        self._links: deque[tuple[str, tuple[_Rules, ...], int]] = deque()

    def run(self) -> None:
        rules = _rules_above(self._root)
        if _is_ignored(self._root, True, rules):
            rules = ()  # asked for by name: what ignores the whole of it does not count
        self._walk(self._root, rules, 0)
        while self._links:
            self._follow(*self._links.popleft())

    def _walk(self, folder: str, rules: tuple[_Rules, ...], depth: int) -> None:
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self._folders:
                return
            self._folders.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as exc:
            self._found.problems.append(Problem(folder, f"the folder cannot be read: {exc.strerror}"))
            return
        if depth > _MAX_DEPTH:
            self._found.problems.append(Problem(folder, f"is more than {_MAX_DEPTH} folders deep"))
            return
        if depth and any(entry.name in _ENVIRONMENT_MARKS for entry in ordered):
            return
        rules = (*rules, *_rules_of(folder))
        for entry in ordered:
            self._take(entry, rules, depth)

    def _take(self, entry: os.DirEntry[str], rules: tuple[_Rules, ...], depth: int) -> None:
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            is_link = entry.is_symlink()
        except OSError as exc:
            self._found.problems.append(Problem(entry.path, f"cannot be read: {exc.strerror}"))
            return
        if is_link:
            self._links.append((entry.path, rules, depth))
        elif is_folder:
            if entry.name not in _LEFT_OUT and not _is_ignored(entry.path, True, rules):
                self._walk(entry.path, rules, depth + 1)
        elif entry.name.lower().endswith(SUFFIXES) and not _is_ignored(entry.path, False, rules):
            self._take_once(entry.path)

    def _take_once(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError as exc:
            self._found.problems.append(Problem(path, f"cannot be read: {exc.strerror}"))
            return
        self._files.add((status.st_dev, status.st_ino))
        _take_file(path, self._root, self._found)

    def _follow(self, link: str, rules: tuple[_Rules, ...], depth: int) -> None:
        name = os.path.basename(link)
        target = os.path.realpath(link)
        is_folder = os.path.isdir(target)
        is_wanted = name not in _LEFT_OUT if is_folder else name.lower().endswith(SUFFIXES)
        if not is_wanted or _is_ignored(link, is_folder, rules):
            return
        if not os.path.exists(target):
            self._found.left_out.append(Problem(link, "is a link that leads nowhere"))
        elif os.path.commonpath((self._root, target)) != self._root:
            self._found.left_out.append(Problem(link, "is a link that leads out of the folder"))
        elif is_folder:
            self._walk(link, rules, depth + 1)
        else:
            status = os.stat(target)
            if (status.st_dev, status.st_ino) not in self._files:
                self._take_once(link)


def _is_ignored(path: str, is_folder: bool, rules: tuple[_Rules, ...]) -> bool:
    """Ask the nearest `.gitignore` first; one that says nothing leaves it to the next above."""
    opinions = (rule.opinion(path, is_folder) for rule in reversed(rules))
    return next((opinion for opinion in opinions if opinion is not None), False)


def _rules_of(folder: str) -> Iterator[_Rules]:
    path = os.path.join(folder, ".gitignore")
    try:
        content = read_whole(path, _MAX_IGNORE_BYTES)
    except ConfigError:
        return
    try:
        lines = content.decode("utf-8-sig", "replace").splitlines()
        yield _Rules(folder, pathspec.GitIgnoreSpec.from_lines(lines))
    except ValueError:  # a pattern that git would not take either
        return


def _rules_above(root: str) -> tuple[_Rules, ...]:
    """Return the rules of the folders between the top of the repository and the root."""
    above: list[str] = []
    folder = root
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ()  # in no repository
        above.append(parent)
        folder = parent
    return tuple(rule for place in reversed(above) for rule in _rules_of(place))
