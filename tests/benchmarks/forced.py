"""A model whose answers are given: its work is real, only the choice of the token is not its own."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM
from dlcodegen_local.generation.llm import Completion, Prompt, Sampling
from dlcodegen_local.generation.lookup import Choose, Logits

MODELS = Path(__file__).parents[2] / "models"


class ForcedLLM(LlamaCppLLM):
    """Answer every prompt with the text that `answers` gives for it, with work for `limit` tokens at most."""

    answers: Callable[[Prompt], str] = staticmethod(lambda prompt: "")
    limit = 1 << 20

    def complete(self, prompt: Prompt, *, sampling: Sampling, on_progress=None) -> Completion:
        text = self.answers(prompt)
        self._script = self._native.tokenize(text, special=False, after_line=True)[: self.limit]
        longer = dataclasses.replace(sampling, max_tokens=len(self._script) or 1)
        completion = super().complete(prompt, sampling=longer, on_progress=on_progress)
        return dataclasses.replace(completion, text=text, finish_reason="stop")

    def chooser(self, sampling: Sampling) -> Choose:
        script = iter(self._script)

        def choose(logits: Logits) -> int:
            assert logits.size
            return next(script)

        return choose

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._read_tokens = []

    def native_seconds(self) -> float:
        """Return what llama.cpp reports for its own work since the model was loaded."""
        return sum(self._native.milliseconds()) / 1000

    @contextmanager
    def token_by_token(self) -> Iterator[None]:
        """Write without drafts."""
        pace = self._pace
        self._pace = dataclasses.replace(pace, steps=None)
        try:
            yield
        finally:
            self._pace = pace
