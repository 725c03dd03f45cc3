"""A model whose answers are given: its work is real, only the choice of the token is not its own.

As a module it is the process of a `ForcedWorker`.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcodegen_local.generation.llama_cpp_llm import LlamaCppLLM, LoadedLLM
from dlcodegen_local.generation.llm import Completion, Prompt, Sampling
from dlcodegen_local.generation.lookup import Choose, Logits
from dlcodegen_local.model_worker import child
from dlcodegen_local.model_worker.worker_llm import WorkerLLM

MODELS = Path(__file__).parents[2] / "models"


class Forced(LoadedLLM):
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

    def processor_seconds(self) -> float:
        """Return the processor time of the model's process, and of this one if that is another."""
        return time.process_time()

    @contextmanager
    def token_by_token(self) -> Iterator[None]:
        """Write without drafts."""
        pace = self._pace
        self._pace = dataclasses.replace(pace, steps=None)
        try:
            yield
        finally:
            self._pace = pace


class ForcedLLM(Forced, LlamaCppLLM):
    """Run in this process."""


class ForcedWorker(WorkerLLM):
    """Run in a process of its own, as the commands do; otherwise as `ForcedLLM`."""

    answers: Callable[[Prompt], str] = staticmethod(lambda prompt: "")
    limit = 1 << 20

    def __init__(self, path: Path, **options) -> None:
        super().__init__(path, command=(sys.executable, "-P", "-m", "tests.benchmarks.forced"), **options)

    def complete(self, prompt: Prompt, *, sampling: Sampling, on_progress=None) -> Completion:
        self._text = self.answers(prompt)
        completion = super().complete(prompt, sampling=sampling, on_progress=on_progress)
        return dataclasses.replace(completion, text=self._text, finish_reason="stop")

    def _ask(self, request, *how):
        is_answer = request["do"] == "complete"
        return super()._ask(
            request | {"text": self._text, "limit": self.limit} if is_answer else request, *how
        )

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._ask({"do": "forget"}, lambda _: None)

    def native_seconds(self) -> float:
        """Return what llama.cpp reports for its own work since the model was loaded."""
        return self._ask({"do": "native_seconds"}, float)

    def processor_seconds(self) -> float:
        """Return the processor time of both processes."""
        return time.process_time() + self._ask({"do": "processor_seconds"}, float)


def _load(*request) -> Forced:
    return Forced(*child.open_model(*request))


def _complete(llm: Forced, link: child.Link, request: child.Message):
    text, llm.limit = request["text"], request["limit"]
    llm.answers = lambda _: text
    return child.complete(llm, link, request)


_MEASURES = ("forget", "native_seconds", "processor_seconds")

if __name__ == "__main__":
    measures = {name: lambda llm, *_, name=name: getattr(llm, name)() for name in _MEASURES}
    child.main(_load, {**child.OPERATIONS, "complete": _complete, **measures})
