"""The prompt format of a GGUF file: its family's, else one learned from its template, else a fallback.

Guarantees that a template is never run in this process: one of no known family is rendered once, in a
worker with limits on time, memory and output, and what comes back is checked to be literal text around the
roles. A template that does not end, reaches for what it may not, or makes no prompt of the probe, costs a
note, and the plain format stands in.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.durable import write_file
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.generation.chat_formats import (
    EMPTY_THOUGHT,
    ChatFormat,
    completion_format,
    detect_family,
    template_of,
)
from dlcodegen_local.generation.gguf_header import GgufHeader, read_tokens

_TIMEOUT_S = 9.0
_MAX_OUTPUT_BYTES = 65_536
_WORKER = Path(__file__).with_name("template_worker.py")
# Keys of older files stand second.
_FILL_KEYS = (("fim_pre", "prefix"), ("fim_suf", "suffix"), ("fim_mid", "middle"))


@dataclass(frozen=True)
class FoundFormat:
    """Hold the name of a format, or the format written out, for `format_named`; and what to say of it."""

    name: str
    notes: tuple[str, ...] = ()


def find_format(path: Path, header: GgufHeader, cache: Path | None = None) -> FoundFormat:
    """Return the format in which a model wants its prompts; what was learned is kept in `cache`."""
    family = detect_family(header.metadata)
    if family != "plain":
        return FoundFormat(family)
    template = template_of(header.metadata)
    if not template:
        return _without_template(path, header)
    learned = _learned(template, _named_tokens(path, header), cache)
    if isinstance(learned, ChatFormat):
        return FoundFormat(learned.to_text(), ("its prompt format was learned from its own template",))
    return FoundFormat("plain", (f"its template was not used, it gets plain prompts: {learned}",))


def _without_template(path: Path, header: GgufHeader) -> FoundFormat:
    ids = [
        next((i for key in keys if isinstance(i := header.token_id(key), int)), None) for keys in _FILL_KEYS
    ]
    if None in ids:
        return FoundFormat("plain", ("it has no template: it gets plain prompts",))
    markers = read_tokens(path, header, [i for i in ids if i is not None])
    if len(set(markers)) < 3 or not all(markers):
        return FoundFormat("plain", ("it has no template: it gets plain prompts",))
    found = completion_format(markers[0], markers[1], markers[2])
    return FoundFormat(found.to_text(), ("a base model: it fills a code block in",))


def _named_tokens(path: Path, header: GgufHeader) -> dict[str, str]:
    """Return the end token that a template may name. The start token is put by the tokenizer, once."""
    end = header.token_id("eos")
    return {"bos_token": "", "eos_token": read_tokens(path, header, [end])[0] if end is not None else ""}


def _learned(template: str, tokens: dict[str, str], cache: Path | None) -> ChatFormat | str:
    """Return the format of a template, or why there is none."""
    request = json.dumps({"template": template, "tokens": tokens}, sort_keys=True)
    digest = hashlib.sha256(request.encode()).hexdigest()
    kept = cache / f"{digest}.json" if cache else None
    if kept is not None and kept.is_file() and kept.stat().st_size <= _MAX_OUTPUT_BYTES:
        found = _format_of(kept.read_bytes(), digest)
        if isinstance(found, ChatFormat):
            return found
    answer = _ask_worker(request.encode())
    if answer is None:
        return "it did not end in time, or took too much memory"
    found = _format_of(answer, digest)
    if kept is not None and isinstance(found, ChatFormat):
        try:
            write_file(kept, answer, private=True)
        except ConfigError:  # it is learned again the next time
            return found
    return found


def _format_of(answer: bytes, digest: str) -> ChatFormat | str:
    """Check an answer of the worker: it may come from a hostile template."""
    try:
        fields = json.loads(answer)
        layout, stop = fields["layout"], tuple(fields["stop"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it makes no prompt of a system and a user turn"
    texts = (layout, *stop)
    if not all(isinstance(text, str) and _is_printable(text) for text in texts):
        return "it makes no prompt that can be read"
    if layout.count("{user}") != 1 or layout.count("{system}") != 1:
        return "it does not show each turn once"
    name = f"template {digest[:12]}"
    if layout.rstrip().endswith("<think>"):
        return ChatFormat(name, layout, stop, thinks=True, no_thought=EMPTY_THOUGHT.removeprefix("<think>"))
    return ChatFormat(name, layout, stop)


def _is_printable(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


def _ask_worker(request: bytes) -> bytes | None:
    """Run the worker; None where it was ended by a limit."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
        try:
            process.communicate(request, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        answer = output.read(_MAX_OUTPUT_BYTES + 1)
    if process.returncode < 0 or len(answer) > _MAX_OUTPUT_BYTES:
        return None
    return answer
