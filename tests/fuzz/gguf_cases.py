"""GGUF files: headers with flipped bits, lying counts and sizes, cuts, lost and doubled parts."""

import random
import tempfile
from functools import cache
from pathlib import Path

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation.chat_formats import detect_family, template_of
from dlcodegen_local.generation.chat_template import find_format
from dlcodegen_local.generation.gguf_header import read_header
from dlcodegen_local.generation.memory import needed_by_context
from tests.fuzz.gguf_text import as_sentencepiece, change, take_apart
from tests.fuzz.kinds import Case, write_case
from tests.fuzz.mutations import COUNTS, damage_bytes
from tests.generation.tiny_gguf import write_tiny_gguf

_FILE = "model.gguf"
_VARIANTS = ("plain", "with a template", "sentencepiece")
_TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def make(rng: random.Random) -> Case:
    """Return a tiny model: its bytes damaged, or its header sound in form and wrong in what it says."""
    content, end, places = _valid(rng.choice(_VARIANTS))
    if rng.random() < 0.5:
        header = take_apart(content, end)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            change(header, rng)
        return {_FILE: header.to_bytes()}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.4:  # right after a name: a type, a length or an id of that key or tensor
            changed, place = bytearray(content), rng.choice(places) + rng.choice((0, 0, 4, 8, 12))
            width = rng.choice((1, 4, 8))
            lie = rng.choice((*COUNTS, *range(13))) % 256**width
            changed[place : place + width] = lie.to_bytes(width, "little")
            content = bytes(changed)
        else:
            content = damage_bytes(content, rng, start=4, end=end if rng.random() < 0.95 else None)
    return {_FILE: content}


def run(case: Case, folder: Path) -> None:
    """Read the header as every command does; no template is rendered that is not of a known family."""
    write_case(case, folder)
    path = folder / _FILE
    header = read_header(path)
    needed_by_context(header)
    if not template_of(header.metadata) or detect_family(header.metadata) != "plain":
        find_format(path, header)


def native(case: Case, folder: Path) -> None:
    """Load the model, read two tokens, and compute what follows."""
    from dlcodegen_local.generation.native import NativeModel

    write_case(case, folder)
    header = read_header(folder / _FILE)
    n_ctx = min(64, header.whole_number("context_length", 64))
    model = NativeModel(folder / _FILE, n_ctx)
    tokens = (model.start_tokens() + model.tokenize("x = 1\n", special=False))[: n_ctx - 1]
    if not tokens:
        raise ArtifactError("the vocabulary has no letter of the text")
    model.decode(tokens, 0)
    model.logits(-1)
    model.close()


@cache
def _valid(variant: str) -> tuple[bytes, int, tuple[int, ...]]:
    """Return a sound file, where its weights begin, and where each name of a key or a tensor ends."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _FILE
        write_tiny_gguf(path, template=_TEMPLATE if variant == "with a template" else "")
        if variant == "sentencepiece":
            header = take_apart(path.read_bytes(), read_header(path).tensors[0].offset)
            as_sentencepiece(header)
            path.write_bytes(header.to_bytes())
        found, content = read_header(path), path.read_bytes()
    names = [*found.metadata, *(tensor.name for tensor in found.tensors)]
    return content, found.tensors[0].offset, tuple(content.index(n.encode()) + len(n) for n in names)
