"""A code model that says what it is told, for tests."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.chat import render_text
from dlcodegen_local.generation.llm import CodeLLM, Completion, ModelInfo, Progress, Prompt, Sampling

Answer = str | Callable[[Prompt], str]


class ScriptedLLM(CodeLLM):
    """Answer from a list, then for ever with its last item; a token is four characters.

    `likes` gives the score of a candidate, by default its place among the candidates: the first is
    the likeliest. With `n_params` as given it is small enough to write by sections and large enough to
    write all of them.
    """

    def __init__(
        self,
        answers: Sequence[Answer] = ("",),
        *,
        likes: Callable[[str], float] | None = None,
        n_ctx: int = 16_384,
        n_params: int | None = 100_000_000,
        chat_format: str = "plain",
    ) -> None:
        self.answers = list(answers)
        self.likes = likes
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []
        self.scored: list[tuple[Prompt, tuple[str, ...]]] = []
        self._info = ModelInfo("scripted", Path("scripted.gguf"), "0" * 64, n_ctx, n_params, chat_format, 1)

    @property
    def info(self) -> ModelInfo:
        return self._info

    def count_tokens(self, text: str) -> int:
        return -(-len(text) // 4)

    def complete(
        self, prompt: Prompt, *, sampling: Sampling, on_progress: Callable[[Progress], None] | None = None
    ) -> Completion:
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        prompt_tokens = self.count_tokens(render_text(prompt, self._info.chat_format))
        if prompt_tokens >= self._info.n_ctx:
            raise GenerationError("the prompt does not fit")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = answer if isinstance(answer, str) else answer(prompt)
        ends = [at for stop in sampling.stop if (at := text.find(stop)) >= 0]
        text = text[: min(ends)] if ends else text
        limit = sampling.max_tokens * 4
        if on_progress is not None:
            on_progress(Progress("reading", prompt_tokens, prompt_tokens, 1.0, 0.0))
            on_progress(Progress("writing", self.count_tokens(text), sampling.max_tokens, 1.0, 0.0, text))
        reason = "stop" if len(text) <= limit else "length"
        return Completion(text[:limit], reason, prompt_tokens, self.count_tokens(text[:limit]))

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> tuple[float, ...]:
        self.scored.append((prompt, tuple(candidates)))
        if self.likes is not None:
            return tuple(self.likes(candidate) for candidate in candidates)
        return tuple(-0.1 * place for place in range(1, len(candidates) + 1))
