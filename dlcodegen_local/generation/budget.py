"""The token budget of one prompt: what goes in, what is cut and where, what is left to write.

Guarantees that a prompt it returns fits into the context together with its answer, by the model's own
tokenizer, and that every cut is at a top-level statement (code), a line or a word (text) and is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.chat import format_named, render_text
from dlcodegen_local.generation.llm import CodeLLM, Prompt
from dlcodegen_local.generation.syntax import parse_module

_MARGIN_TOKENS = 16
_MIN_ANSWER_TOKENS = 64
_ROUNDS = 6
_MAX_THOUGHT_TOKENS = 2048


@dataclass(frozen=True)
class Cut:
    """Report that `material` went in with `kept_tokens` of its `tokens`, and where it was cut."""

    material: str
    tokens: int
    kept_tokens: int
    where: str


@dataclass(frozen=True)
class Budget:
    """Hold the token budget of one prompt; `max_tokens` is what is left to write."""

    stage: str
    n_ctx: int
    prompt_tokens: int
    max_tokens: int
    cuts: tuple[Cut, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Return one line for every cut."""
        return tuple(
            f"{self.stage}: {cut.material} cut from {cut.tokens} to {cut.kept_tokens} tokens, {cut.where}"
            for cut in self.cuts
        )


def fit_prompt(
    stage: str,
    llm: CodeLLM,
    materials: Mapping[str, str],
    build: Callable[[Mapping[str, str]], Prompt],
    answer_tokens: int,
) -> tuple[Prompt, Budget]:
    """Build a prompt from materials, the longest of them cut until an answer fits behind it.

    `answer_tokens` is what the answer wants; it gets up to half of the context, and no less than 64. The
    thought of a model that thinks comes on top, up to an eighth of the context.

    Raises:
        GenerationError: even without the materials the prompt leaves no room.
    """
    n_ctx = llm.info.n_ctx
    wanted = max(_MIN_ANSWER_TOKENS, min(answer_tokens, n_ctx // 2))
    counts = {name: llm.count_tokens(text) for name, text in materials.items()}
    kept = dict(materials)
    where: dict[str, str] = {}
    for _ in range(_ROUNDS):
        prompt = build(kept)
        used = _prompt_tokens(llm, prompt) + _MARGIN_TOKENS
        thought = thought_tokens(llm, prompt)
        over = used + wanted + thought - n_ctx
        if over <= 0:
            cuts = tuple(
                Cut(name, counts[name], llm.count_tokens(kept[name]), place)
                for name, place in sorted(where.items())
            )
            left = min(max(answer_tokens, _MIN_ANSWER_TOKENS) + thought, n_ctx - used)
            return prompt, Budget(stage, n_ctx, used - _MARGIN_TOKENS, left, cuts)
        sizes = {name: llm.count_tokens(text) for name, text in kept.items()}
        limit = _water_level(sizes, sum(sizes.values()) - over)
        for name, size in sizes.items():
            if size > limit:
                kept[name], where[name] = cut_code(materials[name], limit, llm.count_tokens)
    raise GenerationError(
        f"{stage}: the prompt without samples or drafts leaves no room in {n_ctx} tokens of context",
        hint="use a model with a longer context, or shorten requirement and plan",
    )


def fits_whole(
    llm: CodeLLM,
    materials: Mapping[str, str],
    build: Callable[[Mapping[str, str]], Prompt],
    answer_tokens: int,
) -> bool:
    """Tell whether a prompt and its whole answer fit into the context with no material cut."""
    prompt = build(materials)
    used = _prompt_tokens(llm, prompt) + thought_tokens(llm, prompt) + _MARGIN_TOKENS
    return used + answer_tokens <= llm.info.n_ctx


def thought_tokens(llm: CodeLLM, prompt: Prompt) -> int:
    """Return the room for a thought before the answer; an answer that is begun has none."""
    if prompt.assistant_prefix or not format_named(llm.info.chat_format).thinks:
        return 0
    return min(_MAX_THOUGHT_TOKENS, llm.info.n_ctx // 8)


def _prompt_tokens(llm: CodeLLM, prompt: Prompt) -> int:
    return llm.count_tokens(render_text(prompt, llm.info.chat_format))


def _water_level(sizes: Mapping[str, int], room: int) -> int:
    """Return the largest size L for which the sum of min(size, L) is at most `room`; at least 0."""
    left, waiting = room, sorted(sizes.values())
    while waiting:
        level = left // len(waiting)
        if waiting[0] > level:
            return max(level, 0)
        left -= waiting.pop(0)
    return max(left, 0)


def cut_code(source: str, max_tokens: int, count: Callable[[str], int]) -> tuple[str, str]:
    """Return the longest start of code within `max_tokens`, and where it ends.

    Cut at a top-level statement or section marker; text that does not parse is cut at a line, a single line
    at a word.
    """
    lines = source.split("\n")
    if len(lines) == 1:
        words = source.split(" ")
        n_words = _most(words, " ", range(1, len(words) + 1), max_tokens, count)
        if n_words == 0:
            return "", "left out"
        return " ".join(words[:n_words]), f"after word {n_words} of {len(words)}"
    n_lines = _most(lines, "\n", _boundaries(source, lines), max_tokens, count)
    if n_lines == 0:
        return "", "left out"
    kept = lines[:n_lines]
    section = next((line for line in reversed(kept) if line.startswith("# %% [")), "")
    place = f" in {section[5:].strip()}" if section else ""
    return "\n".join(kept).rstrip(), f"after line {n_lines} of {len(lines)}{place}"


def _most(
    pieces: Sequence[str], glue: str, ends: Sequence[int], max_tokens: int, count: Callable[[str], int]
) -> int:
    """Return the last of `ends` up to which the pieces have at most `max_tokens`; 0 for none."""
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if count(glue.join(pieces[: ends[middle - 1]])) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    return ends[low - 1] if low else 0


def _boundaries(source: str, lines: list[str]) -> list[int]:
    tree = parse_module(source)
    if tree is None or len(tree.body) < 2:
        return list(range(1, len(lines) + 1))
    return sorted({node.end_lineno or 0 for node in tree.body})
