"""One file of a team's code, examined: what it is, whether it may be taken, and the sample that it makes.

A pure function of bytes: nothing is run, opened or fetched. Guarantees an answer for any content, and a
reason in one line for all that is not taken.
"""

from dataclasses import dataclass
from typing import Literal

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import plain
from dlcodegen_local.plan.extraction import plan_from_code
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.ingest.decoding import decode
from dlcodegen_local.retrieval.ingest.description import describe
from dlcodegen_local.retrieval.ingest.licence import licence_of_file
from dlcodegen_local.retrieval.ingest.relevance import judge, names_of, why_foreign
from dlcodegen_local.retrieval.ingest.secrets import Secret, find_secrets
from dlcodegen_local.retrieval.ingest.similarity import sign
from dlcodegen_local.retrieval.ingest.sources import read_cells, read_script

MAX_FILE_BYTES = 20_000_000
_MAX_NOTES = 20
_MAX_LINE = 200

Status = Literal["taken", "no-deep-learning", "quarantined", "unreadable"]


@dataclass(frozen=True)
class Examined:
    """Hold what one file is. Only a `taken` one has code, a plan and all that describes it.

    `reason` is "" for a taken file and else says in one line why it is not; `notes` name what was left
    out, a line each. `licence` is the one that the file itself names, "" for none. `signature` is for
    `similarity`. A quarantined file keeps its `secrets`' kinds and places, never their texts.
    """

    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()
    code: str = ""
    title: str = ""
    requirement: str = ""
    plan: Plan | None = None
    framework: str = ""
    licence: str = ""
    secrets: tuple[Secret, ...] = ()
    signature: tuple[int, ...] = ()


def examine(content: bytes, name: str) -> Examined:
    """Examine a file; its name decides between notebook and script, and titles what has no title."""
    if len(content) > MAX_FILE_BYTES:
        return Examined("unreadable", f"has {len(content)} bytes, at most {MAX_FILE_BYTES} are read")
    notes: tuple[str, ...] = ()
    try:
        text, notes = decode(content)
        source = read_cells(text) if name.lower().endswith(".ipynb") else read_script(text)
        notes = _bounded(notes + source.notes)
        names = names_of(source.tree)
        if reason := why_foreign(names):
            return Examined("no-deep-learning", reason, notes)
        plan = plan_from_code(source.code)
    except ConfigError as exc:
        return Examined("unreadable", _line(exc.message), notes)
    relevance = judge(names, len(plan.layers))
    if relevance.reason:
        return Examined("no-deep-learning", relevance.reason, notes)
    if not plan.layers:
        return Examined("no-deep-learning", "no layers of a model stand in it", notes)
    if secrets := tuple(secret for cell, text in source.texts for secret in find_secrets(text, cell)):
        return Examined("quarantined", _name_secrets(secrets), notes, secrets=secrets)
    words = describe(source.summary, source.prose, name, plan)
    return Examined(
        "taken",
        notes=notes,
        code=source.code,
        title=words.title,
        requirement=words.requirement,
        plan=plan,
        framework=relevance.framework,
        licence=source.licence or licence_of_file(source.code, (source.summary, *source.prose)),
        signature=sign(source.code),
    )


def _name_secrets(secrets: tuple[Secret, ...]) -> str:
    first = secrets[0]
    where = f"cell {first.cell}, line {first.line}" if first.cell is not None else f"line {first.line}"
    more = f" and {len(secrets) - 1} more" if len(secrets) > 1 else ""
    return f"holds a secret: {first.kind} in {where}{more}"


def _bounded(notes: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(_line(note) for note in notes[:_MAX_NOTES])
    return kept + ((f"{len(notes) - _MAX_NOTES} more notes",) if len(notes) > _MAX_NOTES else ())


def _line(text: str) -> str:
    words = " ".join(plain(text).split())
    return words if len(words) <= _MAX_LINE else words[: _MAX_LINE - 3] + "..."
