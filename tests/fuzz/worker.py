"""The process that takes the cases: limited in memory and file size, watched for files outside.

`python -m tests.fuzz.worker FD KIND SEED ROOT STAGE NUMBER...` answers to the file descriptor, a JSON line
when a case begins and one when it ends; what else happens to it is seen by the process that started it.
"""

import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from dlcodegen_local.config import prepare_environment
from dlcodegen_local.errors import DlcodegenError
from tests.fuzz.kinds import Case, Kind, load_kind

MEMORY_BYTES = 6 << 30
FILE_BYTES = 512 << 20
_MAX_MESSAGE_CHARS = 2000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.remove",
    "os.rmdir",
}


class Watch:
    """Notice what is opened for writing, made or removed outside of a folder, and every socket."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._canary = self._contents()
        self.seen: list[str] = []
        self._open = True
        sys.addaudithook(self._hook)

    def close(self) -> None:
        """Look away: the interpreter keeps a hook for ever."""
        self._open = False

    def findings(self) -> list[str]:
        """Return what happened outside since the last call."""
        found, self.seen = self.seen, []
        if self._contents() != self._canary:
            found.append("the folder beside the case has changed")
        return found

    def _contents(self) -> dict[str, bytes]:
        outside = Path(self._root) / "outside"
        return {str(path): path.read_bytes() for path in sorted(outside.rglob("*")) if path.is_file()}

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._open:
            return
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            self._look_at(event, arguments[0])
        elif event in _CHANGES:
            for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                self._look_at(event, path)
            if event == "os.symlink":
                self._look_at(event, arguments[1])
        elif event.startswith("socket.") and event != "socket.gethostname":
            self.seen.append(event)

    def _look_at(self, event: str, path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        parent, name = os.path.split(os.path.abspath(os.fsdecode(path)))
        place = os.path.join(os.path.realpath(parent), name)
        if not place.startswith((self._root + os.sep, "/dev/", "/proc/self/")):
            self.seen.append(f"{event} {place}")


def main() -> None:
    """Take the cases of the command line."""
    descriptor, name, seed, root, stage, *numbers = sys.argv[1:]
    prepare_environment()
    kind = load_kind(name)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    os.chdir(root)
    watch = Watch(Path(root))
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as answers:
        for number in numbers:
            case = kind.case(int(seed), int(number))
            _tell(answers, {"begins": int(number)})
            began = time.monotonic()
            word, detail = _take(kind, case, Path(root) / "case", stage)
            if found := watch.findings():
                word, detail = "failed", "; ".join(found[:5])
            seconds = round(time.monotonic() - began, 4)
            _tell(answers, {"number": int(number), "word": word, "detail": detail, "seconds": seconds})


def _take(kind: Kind, case: Case, folder: Path, stage: str) -> tuple[str, str]:
    """Return `refused`, `accepted` or `failed`, and why."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        for step in _steps(kind, stage):
            step(case, folder)
    except DlcodegenError as exc:
        return _judged(exc) if stage == "checks" else ("refused", exc.message)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # of native code, too: a panic is no Exception
        return "failed", f"{type(exc).__name__}: {exc}"[:_MAX_MESSAGE_CHARS]
    return "accepted", ""


def _steps(kind: Kind, stage: str) -> Iterator[Any]:
    if stage == "checks":
        yield kind.run
    elif kind.native is not None:
        yield kind.native


def _judged(exc: DlcodegenError) -> tuple[str, str]:
    message = exc.message
    if exc.exit_code not in (2, 3):
        return "failed", f"exit code {exc.exit_code}: {message}"
    if not message.isprintable() or not 0 < len(message) <= _MAX_MESSAGE_CHARS:
        return "failed", f"not one plain line: {message[:200]!r}"
    return "refused", message


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _tell(answers: TextIO, row: dict[str, Any]) -> None:
    answers.write(json.dumps(row) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
