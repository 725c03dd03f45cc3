"""What a pool keeps of an examined file, and the form in which a worker hands it over.

Guarantees that nothing of a quarantined file is kept but the kind and the place of its secrets, and that
what comes from a worker has the types it must have.
"""

import ast
import hashlib
import json
import warnings
from array import array
from dataclasses import asdict, dataclass, replace
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import find_unplain, plain
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.ingest.examine import Examined

STATUSES = ("taken", "no-deep-learning", "quarantined", "unreadable")
_TEXTS = (
    *("status", "reason", "code", "code_sha256", "title", "requirement", "plan", "framework", "licence"),
    "normal",
)


@dataclass(frozen=True)
class KeptSecret:
    """Say of which kind a secret is and where it stands; `cell` is None outside notebooks."""

    kind: str
    line: int
    cell: int | None = None


@dataclass(frozen=True)
class Examination:
    """Hold what is kept of a file. `plan` is canonical JSON; `normal` hashes the code without its layout."""

    status: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    secrets: tuple[KeptSecret, ...] = ()
    code: str = ""
    code_sha256: str = ""
    title: str = ""
    requirement: str = ""
    plan: str = ""
    framework: str = ""
    licence: str = ""
    normal: str = ""
    signature: tuple[int, ...] = ()

    @property
    def hash(self) -> str:
        """Return the hash of all that is kept."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def signature_bytes(self) -> bytes:
        """Return the signature as it is stored."""
        return array("Q", self.signature).tobytes()

    def to_json(self) -> bytes:
        """Return the form that `from_json` reads."""
        return json.dumps(asdict(self), separators=(",", ":")).encode("ascii")

    @classmethod
    def from_json(cls, text: bytes) -> "Examination":
        """Read what a worker hands over.

        Raises:
            ConfigError: it is not of the form that `to_json` writes.
        """
        try:
            table = json.loads(text)
            if table["status"] not in STATUSES or not all(isinstance(table[key], str) for key in _TEXTS):
                raise ValueError("a text is missing")
            secrets = tuple(
                KeptSecret(str(row["kind"]), int(row["line"]), row["cell"] and int(row["cell"]))
                for row in table["secrets"]
            )
            notes = tuple(str(note) for note in table["notes"])
            signature = tuple(int(number) for number in table["signature"])
            array("Q", signature)
            texts = {key: table[key] for key in _TEXTS}
            return cls(**texts, notes=notes, secrets=secrets, signature=signature)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
            raise ConfigError("its examination cannot be read") from exc


def keep(examined: Examined) -> Examination:
    """Return what the pool keeps: the sample where the file was taken, else the reason alone."""
    reason = _line(examined.reason)
    notes = tuple(_line(note) for note in examined.notes)
    secrets = tuple(KeptSecret(_line(s.kind), s.line, s.cell) for s in examined.secrets)
    if examined.secrets and examined.status == "taken":
        return Examination("quarantined", reason or "holds a secret", notes, secrets)
    if examined.status != "taken":
        return Examination(examined.status, reason, notes, secrets)
    unplain = find_unplain(examined.code)
    if examined.plan is None or not examined.code.strip() or unplain:
        return Examination("unreadable", f"its code holds {unplain}" if unplain else "has no code", notes)
    return Examination(
        status="taken",
        notes=notes,
        code=examined.code,
        code_sha256=_sha256(examined.code),
        title=_line(examined.title),
        requirement=_line(examined.requirement),
        plan=examined.plan.to_json(indent=None),
        framework=_line(examined.framework),
        licence=_line(examined.licence),
        normal=normal_form(examined.code),
        signature=tuple(examined.signature),
    )


def from_row(row: Any) -> Examination:
    """Return the examination of a database row.

    Raises:
        ConfigError: its hash differs from the recorded one, so that the row is damaged.
    """
    try:
        secrets = tuple(KeptSecret(**secret) for secret in json.loads(row["secrets"]))
        texts = {key: str(row[key]) for key in _TEXTS}
        signature = tuple(array("Q", bytes(row["signature"])))
        found = Examination(
            **texts, notes=tuple(json.loads(row["notes"])), secrets=secrets, signature=signature
        )
        if found.hash != row["hash"]:
            raise ValueError("the hash differs")
        if found.status == "taken":
            Plan.from_dict(json.loads(found.plan))
    except (ValueError, TypeError, RecursionError, ConfigError) as exc:
        raise ConfigError("what the pool keeps of it is damaged") from exc
    return found


def to_row(examination: Examination) -> dict[str, Any]:
    """Return the columns of a database row, its hash among them."""
    return {
        **{key: getattr(examination, key) for key in _TEXTS},
        "hash": examination.hash,
        "notes": json.dumps(examination.notes),
        "secrets": json.dumps([asdict(secret) for secret in examination.secrets]),
        "signature": examination.signature_bytes,
    }


def unreadable(reason: str) -> Examination:
    """Return the examination of a file that could not be examined."""
    return replace(Examination("unreadable"), reason=_line(reason))


def normal_form(code: str) -> str:
    """Return a hash of the code that its comments and layout do not change."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = ast.dump(ast.parse(code), annotate_fields=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = "\n".join(line.strip() for line in code.split("\n") if line.strip())
    return _sha256(text)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _line(text: str) -> str:
    return " ".join(plain(text).split())
