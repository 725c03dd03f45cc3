"""How much memory a model will take, and the context length that follows from it.

Guarantees that a model that cannot fit is refused with figures before it is loaded, and that one which
will page is told of. The figures are estimates: weights, key/value cache in 16 bits, and the buffers of one
batch.
"""

import resource
from pathlib import Path

from dlcodegen_local.errors import ArtifactError, ConfigError
from dlcodegen_local.generation.gguf_checks import ArrayInfo
from dlcodegen_local.generation.gguf_header import GgufHeader

DEFAULT_N_CTX = 16_384
SHORT_N_CTX = 2048
MIN_N_CTX = 512
_BATCH_TOKENS = 256
_FIXED_BYTES = 64 << 20
_PAGING_SHARE = 0.9
_SHOWN_CONTEXTS = (2048, 4096, 8192, 16_384, 32_768, 131_072)


def choose_context(header: GgufHeader, n_ctx: int | None, available: int | None = None) -> int:
    """Return the context length: the one asked for, else what model and memory allow, halved to fit.

    It is halved as well where the machine would page, down to `SHORT_N_CTX`. `available` is in bytes; None
    asks this machine.

    Raises:
        ArtifactError: the model does not fit into memory.
        ConfigError: more is asked for than the model was trained for, or nothing.
    """
    trained = header.whole_number("context_length")
    if n_ctx is not None and not 0 < n_ctx <= trained:
        raise ConfigError(
            f"n_ctx {n_ctx} is not between 1 and {trained}, which this model was trained for",
            hint="leave n_ctx out to take what fits",
        )
    free = available_bytes() if available is None else available
    wanted = n_ctx or min(trained, DEFAULT_N_CTX)
    if n_ctx is None:
        for room, least in ((_PAGING_SHARE * free, SHORT_N_CTX), (free, MIN_N_CTX)):
            while needed_bytes(header, wanted) > room and wanted > least:
                wanted = max(wanted // 2, least)
    if (needed := needed_bytes(header, wanted)) > free:
        raise ArtifactError(
            f"the model needs about {needed >> 20} MiB of memory with a context of {wanted} tokens, "
            f"{free >> 20} MiB are free",
            hint="use a smaller model, a smaller n_ctx, or close other programs",
        )
    return wanted


def needed_bytes(header: GgufHeader, n_ctx: int) -> int:
    """Estimate the memory of a loaded model with a context of `n_ctx` tokens."""
    heads = max(header.whole_number("attention.head_count", 1), 1)
    kv_heads = header.whole_number("attention.head_count_kv", heads)
    width = header.whole_number("embedding_length")
    key = header.whole_number("attention.key_length", width // heads)
    value = header.whole_number("attention.value_length", width // heads)
    cache = n_ctx * header.whole_number("block_count") * kv_heads * (key + value) * 2
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    vocabulary = tokens.length if isinstance(tokens, ArrayInfo) else 0
    buffers = _BATCH_TOKENS * 4 * (vocabulary + 16 * width)
    return header.size_bytes + cache + buffers + _FIXED_BYTES


def paging_note(header: GgufHeader, n_ctx: int, available: int | None = None) -> str | None:
    """Warn where a model leaves so little memory that the machine will page; None where there is enough."""
    free = available_bytes() if available is None else available
    needed = needed_bytes(header, n_ctx)
    if needed <= _PAGING_SHARE * free:
        return None
    return (
        f"the model needs about {needed >> 20} MiB of memory with a context of {n_ctx} tokens, "
        f"{free >> 20} MiB are free: expect paging, each token then waits for the disk"
    )


def needed_by_context(header: GgufHeader) -> dict[int, int]:
    """Return the bytes needed at several context lengths, up to the one the model was trained for."""
    trained = header.whole_number("context_length")
    lengths = sorted({n_ctx for n_ctx in _SHOWN_CONTEXTS if n_ctx < trained} | {trained})
    return {n_ctx: needed_bytes(header, n_ctx) for n_ctx in lengths}


def available_bytes(root: Path = Path("/")) -> int:
    """Return the memory that this machine, its container and its limits can still give, in bytes.

    Raises:
        ArtifactError: the system does not say.
    """
    found = [_free_of_machine(root), *_free_of_container(root), *_free_of_limit(root)]
    return max(min(found), 0)


def _free_of_machine(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise ArtifactError("the free memory of this machine is unknown", hint="a Linux with /proc is needed")


def _free_of_limit(root: Path) -> list[int]:
    """Return what a limit on the address space (`ulimit -v`) leaves to this process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        used = int((root / "proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        used = 0
    return [] if limit == resource.RLIM_INFINITY else [limit - used]


def _free_of_container(root: Path) -> list[int]:
    """Return what a control group leaves, pages of files that it may drop counted as free."""
    group = root / "sys/fs/cgroup"
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        files = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return [int(limit) - int(used) + int(files.get("inactive_file", 0))] if limit.isdecimal() else []
    except (OSError, ValueError):  # no control group, or the first version of them
        return []
