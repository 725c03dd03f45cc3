"""What a model writes, while it writes it: shown at once, and kept if the stage is interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager

from dlcodegen_local.generation.llm import Progress
from dlcodegen_local.outcome import Reporter
from dlcodegen_local.runs import RunRecord


class Transcript:
    """Pass a model's progress on to a reporter, and keep what it wrote in the stage that runs."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._answers: list[list[str]] = []

    def __call__(self, stage: str, progress: Progress) -> None:
        """Take one step of the model in a stage; reading begins an answer."""
        if progress.kind == "reading" and (not self._answers or self._answers[-1]):
            self._answers.append([])
        if progress.text:
            self._answers[-1].append(progress.text)
            self._reporter.written(progress.text)
        speed, left = progress.tokens_per_second, progress.seconds_left
        self._reporter.progress(progress.kind, progress.tokens, progress.total, speed, left)

    @contextmanager
    def kept(self, stage: str, record: RunRecord) -> Iterator[None]:
        """Run one stage; an interrupted one is recorded with its answers, the last one as far as it got."""
        self._answers = []
        try:
            yield
        except KeyboardInterrupt:
            outputs = ["".join(pieces) for pieces in self._answers]
            record.add_stage(stage, {"interrupted": True, "outputs": outputs}, {}, is_final=False)
            raise
