"""Writing a folder as a whole: a kill leaves what was there before, or the complete result."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcodegen_local.durable import sync_path


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """Give an empty folder beside `output` that takes its place when the block ends well.

    A killed run leaves a folder `.NAME.part-*` beside it, which the next run removes.
    """
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    for left in output.parent.glob(f".{output.name}.part-*"):
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=f".{output.name}.part-", dir=output.parent))
    new, old = part / "new", part / "old"
    new.mkdir()
    try:
        yield new
        for path in new.iterdir():
            sync_path(path)
        sync_path(new)
        if output.exists():
            output.rename(old)
        new.rename(output)
        sync_path(output.parent)
    finally:
        if old.exists() and not output.exists():
            old.rename(output)
        shutil.rmtree(part, ignore_errors=True)
