"""One page of HTML for one run: what was asked, planned, found, written, checked, and what it took.

Loads nothing, needs no JavaScript, and is the same, byte by byte, for the same run.
"""

from collections.abc import Mapping
from typing import Any

from dlcodegen_local.outcome import Outcome
from dlcodegen_local.run_page.document import render_run
from dlcodegen_local.run_page.reading import Read, read_run, with_outcome

__all__ = ["page_of_outcome", "page_of_record"]


def page_of_record(record: Mapping[str, Any], read: Read) -> str:
    """Return the page of a recorded run, with what it took.

    `read` returns what a stage wrote by its object's name, or None.
    """
    return render_run(read_run(record, read, is_portable=False))


def page_of_outcome(outcome: Outcome, record: Mapping[str, Any], read: Read) -> str:
    """Return the page that goes into a project: nothing in it comes from a clock or from the machine.

    `record` is the run's summary, `read` returns what a stage wrote by its object's name, or None.
    """
    return render_run(with_outcome(read_run(record, read, is_portable=True), outcome))
