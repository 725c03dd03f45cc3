"""Read the header of a GGUF file in Python, before a native parser sees it.

Guarantees, for a header that is returned: magic and version are known, every count and length is
bounded and within the file, keys and tensor names are unique, the vocabulary is of one piece
(`gguf_checks`), every tensor has a known type, sizes that do not overflow, an aligned offset, and lies
within the file without overlapping another. No more
than `MAX_HEADER_BYTES` are walked over, which bounds time (seconds) and memory, whatever a file says.
Does not read weights, and does not prove that the architecture is complete.
"""

import math
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.generation.gguf_checks import (
    STRING_KIND,
    ArrayInfo,
    alignment_of,
    check_metadata,
    check_tokens,
    is_count,
)
from dlcodegen_local.plain_text import plain

MAX_KEYS = 4096
MAX_TENSORS = 65_536
MAX_KEY_BYTES = 1024
MAX_STRING_BYTES = 1 << 20
MAX_ARRAY_ITEMS = 4_000_000
MAX_DIMENSIONS = 4
MAX_HEADER_BYTES = 64 << 20
_MAX_REASON_CHARS = 300
_ARRAY = 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# Tensor type: (values in a block, bytes of a block), as in ggml.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
    40: (64, 36),
    41: (128, 18),
}
# Whole numbers, doubles and what ggml keeps between two steps: it reads past the end of such weights.
_NO_WEIGHTS = frozenset({9, 15, 24, 25, 26, 27, 28})


@dataclass(frozen=True)
class TensorInfo:
    """Describe one tensor; `offset` counts from the start of the file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """Hold what a GGUF file says of itself."""

    version: int
    metadata: Mapping[str, object]
    tensors: tuple[TensorInfo, ...]
    size_bytes: int

    @property
    def architecture(self) -> str:
        """Name the architecture, such as `llama`."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def n_params(self) -> int:
        """Count the weights."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    def whole_number(self, key: str, default: int = 0) -> int:
        """Return a count of the architecture's own keys, such as `block_count`."""
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        return value if is_count(value) else default

    def token_id(self, name: str) -> int | None:
        """Return the id of a token with a role, such as `eos` or `fim_pre`; None where it has none."""
        value = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
        return value if is_count(value) and value < self.n_vocab else None

    @property
    def n_vocab(self) -> int:
        """Count the tokens of the vocabulary."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.length if isinstance(tokens, ArrayInfo) else 0


def read_tokens(path: Path, header: GgufHeader, ids: Sequence[int]) -> tuple[str, ...]:
    """Return the texts of tokens of a file whose header was read, as its vocabulary spells them.

    Raises:
        ArtifactError: the file is not what it was.
    """
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    wanted = set(ids)
    found: dict[int, str] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            cursor = _Cursor(path, content)
            cursor.position = tokens.start if isinstance(tokens, ArrayInfo) else 0
            for index in range(max(wanted, default=-1) + 1):
                text = cursor.string(MAX_STRING_BYTES)
                if index in wanted:
                    found[index] = text
    except (OSError, ValueError) as exc:  # ValueError: it is empty by now
        raise ArtifactError(f"{path} cannot be read: {exc}", hint=_HINT) from exc
    return tuple(found[index] for index in ids)


def read_header(path: Path) -> GgufHeader:
    """Read and check the header of a GGUF file.

    Raises:
        ArtifactError: the file is missing, no GGUF, cut, or says something that cannot be.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ArtifactError(f"{path} is not a file", hint="give the path of a .gguf file")
        if size < 24:
            raise ArtifactError(f"{path} is not a GGUF file: it has {size} bytes", hint=_HINT)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _parse(path, content)
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}", hint=_HINT) from exc


_HINT = "give a complete GGUF file of a model, version 2 or 3, in one part"


class _Cursor:
    """Walk over the bytes of a header; every step stays inside the file."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path = path
        self.content = content
        self.position = 0
        self._end = min(len(content), MAX_HEADER_BYTES)

    def refuse(self, reason: str) -> ArtifactError:
        """Return the error to raise for this file; what it says of itself is shown in part, and plain."""
        shown = plain(reason[:_MAX_REASON_CHARS])
        return ArtifactError(f"{self.path} is not a sound GGUF file: {shown}", hint=_HINT)

    def skip(self, length: int) -> int:
        """Go on by `length` bytes and return where they start.

        Raises:
            ArtifactError: the file ends before; so for every method that reads.
        """
        start = self.position
        if start + length > self._end:
            raise self._refuse_end()
        self.position = start + length
        return start

    def _refuse_end(self) -> ArtifactError:
        if self._end < len(self.content):
            return self.refuse(f"a header of more than {MAX_HEADER_BYTES >> 20} MiB")
        return self.refuse(f"cut after {self._end} bytes, inside the header")

    def number(self, kind: str) -> int:
        """Read a little-endian integer; `kind` is its letter in `struct`."""
        start = self.skip(struct.calcsize("<" + kind))
        return int(struct.unpack_from("<" + kind, self.content, start)[0])

    def string(self, maximum: int) -> str:
        """Read a text of at most `maximum` bytes; what is no UTF-8 in it is replaced."""
        length = self.number("Q")
        if length > maximum:
            raise self.refuse(f"a text of {length} bytes in the header, at most {maximum} are allowed")
        start = self.skip(length)
        return self.content[start : start + length].decode("utf-8", "replace")

    def value(self, kind: int) -> object:
        """Read the value of a key of that type; of an array only its type and length."""
        if kind == STRING_KIND:
            return self.string(MAX_STRING_BYTES)
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise self.refuse(f"unknown type of value: {kind}")
        start = self.skip(struct.calcsize("<" + _SCALARS[kind]))
        return struct.unpack_from("<" + _SCALARS[kind], self.content, start)[0]

    def array(self) -> ArrayInfo:
        """Step over an array, checking the bounds of each of its items."""
        kind, length = self.number("I"), self.number("Q")
        if length > MAX_ARRAY_ITEMS:
            raise self.refuse(f"an array of {length} items, at most {MAX_ARRAY_ITEMS} are allowed")
        place = self.position
        if kind == STRING_KIND:
            self._skip_strings(length)
        elif kind in _SCALARS:
            self.skip(length * struct.calcsize("<" + _SCALARS[kind]))
        else:
            raise self.refuse(f"an array of unknown type: {kind}")
        return ArrayInfo(kind, length, place)

    def strings(self, array: ArrayInfo) -> Iterator[bytes]:
        """Yield the texts of an array that was stepped over; the position stays where it is."""
        unpack, content, at = struct.Struct("<Q").unpack_from, self.content, array.start
        for _ in range(array.length):
            (size,) = unpack(content, at)
            yield content[at + 8 : at + 8 + size]
            at += 8 + size

    def _skip_strings(self, count: int) -> None:
        unpack, content, at = struct.Struct("<Q").unpack_from, self.content, self.position
        for _ in range(count):
            if at + 8 > self._end:
                raise self._refuse_end()
            (size,) = unpack(content, at)
            if size > MAX_STRING_BYTES:
                raise self.refuse(f"a text of {size} bytes in an array")
            at += 8 + size
        if at > self._end:
            raise self._refuse_end()
        self.position = at


def _parse(path: Path, content: mmap.mmap) -> GgufHeader:
    cursor = _Cursor(path, content)
    if content[cursor.skip(4) : 4] != b"GGUF":
        raise ArtifactError(f"{path} is not a GGUF file", hint=_HINT)
    version = cursor.number("I")
    if version not in (2, 3):
        raise cursor.refuse(f"version {version}")
    n_tensors, n_keys = cursor.number("Q"), cursor.number("Q")
    if not 0 < n_tensors <= MAX_TENSORS or not 0 < n_keys <= MAX_KEYS:
        raise cursor.refuse(f"{n_tensors} tensors and {n_keys} keys")
    metadata: dict[str, object] = {}
    kinds: dict[str, int] = {}
    for _ in range(n_keys):
        key = cursor.string(MAX_KEY_BYTES)
        if key in metadata:
            raise cursor.refuse(f"the key {key!r} stands twice")
        kinds[key] = cursor.number("I")
        metadata[key] = cursor.value(kinds[key])
    check_metadata(metadata, cursor.refuse)
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayInfo)
    check_tokens(cursor.strings(tokens), metadata.get("tokenizer.ggml.model"), cursor.refuse)
    tensors = _tensors(cursor, n_tensors, alignment_of(metadata, kinds, cursor.refuse))
    return GgufHeader(version, metadata, tensors, len(content))


def _tensors(cursor: _Cursor, n_tensors: int, alignment: int) -> tuple[TensorInfo, ...]:
    found: dict[str, TensorInfo] = {}
    for _ in range(n_tensors):
        tensor = _tensor(cursor, alignment)
        if tensor.name in found:
            raise cursor.refuse(f"the tensor {tensor.name!r} stands twice")
        found[tensor.name] = tensor
    start = -(-cursor.position // alignment) * alignment
    tensors = [TensorInfo(t.name, t.shape, t.kind, start + t.offset, t.size_bytes) for t in found.values()]
    end = 0
    for tensor in sorted(tensors, key=lambda t: (t.offset, t.name)):
        if tensor.offset < end:
            raise cursor.refuse(f"the tensor {tensor.name!r} overlaps another")
        end = tensor.offset + tensor.size_bytes
        if end > len(cursor.content):
            raise cursor.refuse(
                f"cut: the tensor {tensor.name!r} ends at byte {end}, the file at {len(cursor.content)}"
            )
    return tuple(tensors)


def _tensor(cursor: _Cursor, alignment: int) -> TensorInfo:
    name = cursor.string(MAX_KEY_BYTES)
    n_dims = cursor.number("I")
    if not 1 <= n_dims <= MAX_DIMENSIONS:
        raise cursor.refuse(f"the tensor {name!r} has {n_dims} dimensions")
    shape = tuple(cursor.number("Q") for _ in range(n_dims))
    kind, offset = cursor.number("I"), cursor.number("Q")
    if kind not in _BLOCKS:
        raise cursor.refuse(f"the tensor {name!r} is of unknown type {kind}")
    if kind in _NO_WEIGHTS:
        raise cursor.refuse(f"the tensor {name!r} is of type {kind}, which is none of weights")
    block, block_bytes = _BLOCKS[kind]
    count = math.prod(shape)
    if min(shape) < 1 or count >= 1 << 48 or shape[0] % block:
        raise cursor.refuse(f"the tensor {name!r} has the shape {shape}")
    if offset % alignment or offset >= 1 << 62:
        raise cursor.refuse(f"the tensor {name!r} has the offset {offset}")
    return TensorInfo(name, shape, kind, offset, count // block * block_bytes)
