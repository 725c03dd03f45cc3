"""What a kind of input has to offer to be fuzzed, and which kinds there are.

A kind is a module `tests.fuzz.NAME_cases` with two functions, and may have a third:

    def make(rng: random.Random) -> Case
        Return one damaged input: the content of each file by its path below the case's folder. `rng` is all
        that may decide, so that a seed and a number give the same bytes again. Now and then it may be valid.

    def run(case: Case, folder: Path) -> None
        Write the case into the new, empty `folder` (`write_case`) and do to it what the tool does. Return
        where it is accepted; raise a DlcodegenError with exit code 2 or 3 where it is refused. Anything else
        is a failure: another exception, ten seconds, a file outside of `folder.parent`, a dead process.
        `folder.parent / "outside"` holds a file to aim links and absolute paths at; it may not change.

    def native(case: Case, folder: Path) -> None                                     (may be left out)
        Give an accepted case to the parser behind our checks. A DlcodegenError is an answer, too.

The module is loaded in a worker process of its own, never in the one that counts.
"""

import importlib
import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

NAMES = ("gguf", "onnx", "manifest", "archive", "record")
Case = dict[str, bytes]


@dataclass(frozen=True)
class Kind:
    """Hold the functions of a kind; `native` is None where no parser stands behind its checks."""

    name: str
    make: Callable[[random.Random], Case]
    run: Callable[[Case, Path], None]
    native: Callable[[Case, Path], None] | None

    def case(self, seed: int, number: int) -> Case:
        """Return the case of a number: the same bytes for the same seed, whatever was made before."""
        return self.make(random.Random(f"{seed} {self.name} {number}"))


def known_kinds() -> tuple[str, ...]:
    """Name the kinds whose modules are there."""
    return tuple(name for name in NAMES if importlib.util.find_spec(_module(name)) is not None)


def load_kind(name: str) -> Kind:
    """Load the module of a kind."""
    module = importlib.import_module(_module(name))
    return Kind(name, module.make, module.run, getattr(module, "native", None))


def write_case(case: Case, folder: Path) -> None:
    """Write the files of a case below its folder."""
    for name, content in case.items():
        assert ".." not in PurePosixPath(name).parts and not name.startswith("/"), name
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _module(name: str) -> str:
    return f"tests.fuzz.{name}_cases"
