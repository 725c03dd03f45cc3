"""What the stages will read and write, without a model: the stages themselves, run on a stand-in.

Guarantees that prompts, cuts and budgets are those of the real stages, and that no model is loaded. Tokens
are an estimate, so many characters each as the model's vocabulary takes for the compiler's script. The
answers are taken to be as long as that script; repairs, which depend on what is found, are not in it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.chat import render_text
from dlcodegen_local.generation.llm import CodeLLM, Completion, ModelInfo, Progress, Prompt, Sampling
from dlcodegen_local.generation.results import (
    Floor,
    GenerationSettings,
    ReferenceSample,
    StageResult,
)
from dlcodegen_local.generation.stages import (
    code_rag_draft,
    comparative_merge,
    template,
    template_rag_draft,
)
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import Sections

_MAX_TOKEN_CHARS = 16
_MEASURED_CHARS = 8000


@dataclass(frozen=True)
class StageForecast:
    """Say what a stage will cost, in tokens.

    `read` counts the prompts of its answers, the `shared` of them are known from what was read before.
    `answer_budget` is the most that one answer may take, `written` what is expected of all. `scored` is what
    it reads to compare candidates, their prompts too as far as they are new.
    """

    name: str
    read: int = 0
    shared: int = 0
    answer_budget: int = 0
    written: int = 0
    scored: int = 0
    cuts: tuple[str, ...] = ()
    failure: str = ""

    @property
    def read_anew(self) -> int:
        """The tokens that take time to read."""
        return self.read - self.shared + self.scored


def chars_per_token(vocabulary: Collection[str], text: str, *, by_bytes: bool) -> float:
    """Return the characters of a token: those of a text over the tokens that spell it, the longest first.

    `by_bytes` says that the vocabulary spells bytes with the letters of GPT-2, else it has `▁` for a blank.
    """
    start = text[:_MEASURED_CHARS]
    letters = (_BYTE_LETTERS[byte] for byte in start.encode())
    spelt = "".join(letters) if by_bytes else start.replace(" ", "▁")
    at = tokens = 0
    while at < len(spelt):
        lengths = range(_MAX_TOKEN_CHARS, 0, -1)
        at += next((n for n in lengths if spelt[at : at + n] in vocabulary), 1)
        tokens += 1
    return len(start) / tokens if tokens else 1.0


def _byte_letters() -> tuple[str, ...]:
    """Return the letter of each byte: its own where it can be printed, else one from U+0100 on."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in plain else next(others)) for byte in range(256))


_BYTE_LETTERS = _byte_letters()


def rehearse(
    requirement: str,
    plan: Plan,
    samples: Sequence[ReferenceSample],
    llm: "StandIn",
    settings: GenerationSettings,
    without: frozenset[str] = frozenset(),
) -> tuple[StageForecast, ...]:
    """Return the forecast of every stage, in their order."""
    done: dict[str, StageResult] = {}
    forecasts: list[StageForecast] = []

    def run(name: str, write: Callable[[], StageResult]) -> None:
        """Run one stage and close its account."""
        llm.begin()
        failure = ""
        try:
            done[name] = write()
        except GenerationError as exc:
            failure = exc.message
        result = done.get(name, StageResult(name))
        cuts = tuple(dict.fromkeys(note for budget in result.budgets for note in budget.notes()))
        forecasts.append(llm.forecast(name, cuts, failure))

    if "code-rag" not in without:
        run("code-rag", lambda: code_rag_draft(requirement, plan, samples, llm, settings))
    if "template-rag" not in without:
        run("template", lambda: template(requirement, plan, samples, llm, settings))
        if (abstracted := done.get("template")) is not None:
            run(
                "template-rag",
                lambda: template_rag_draft(requirement, plan, abstracted, samples, llm, settings),
            )
    first, second = done.get("code-rag"), done.get("template-rag")
    if first is not None and second is not None and "comparison" not in without:
        run("merge", lambda: comparative_merge(requirement, plan, first, second, llm, settings))
    return tuple(forecasts)


@dataclass
class _Account:
    read: int = 0
    shared: int = 0
    answer_budget: int = 0
    written: int = 0
    scored: int = 0


class StandIn(CodeLLM):
    """Answer as a model would that writes the floor's script, a little different each time."""

    def __init__(self, info: ModelInfo, floor: Floor, chars_per_token: float) -> None:
        """Take what is known of a model without loading it."""
        self._info = info
        self._chars_per_token = chars_per_token
        self._script = floor.source
        self._bodies: Mapping[str, str] = Sections.parse(floor.source).bodies
        self._last_text = ""
        self._answers = 0
        self._account = _Account()

    @property
    def info(self) -> ModelInfo:
        """Describe the model."""
        return self._info

    def begin(self) -> None:
        """Open the account of a stage."""
        self._account = _Account()

    def forecast(self, name: str, cuts: tuple[str, ...], failure: str) -> StageForecast:
        """Close the account of a stage."""
        return StageForecast(name, **vars(self._account), cuts=cuts, failure=failure)

    def count_tokens(self, text: str) -> int:
        """Estimate the tokens of a text."""
        return -int(-len(text) // self._chars_per_token)

    def complete(
        self, prompt: Prompt, *, sampling: Sampling, on_progress: Callable[[Progress], None] | None = None
    ) -> Completion:
        """Answer with the section that is asked for, or with the whole script."""
        read, shared = self._read(prompt)
        section = prompt.assistant_prefix.removeprefix("# %% [").split("]")[0]
        self._answers += 1
        body = self._bodies.get(section, "") if prompt.assistant_prefix else self._script
        mark = f"\n# {self._answers}\n"
        text = f"{body}{mark}" if prompt.assistant_prefix else f"```python\n{body}{mark}```"
        written = min(self.count_tokens(text), sampling.max_tokens)
        self._account.read += read
        self._account.shared += shared
        self._account.answer_budget = max(self._account.answer_budget, sampling.max_tokens)
        self._account.written += written
        return Completion(text, "stop", read, written, cached_tokens=shared)

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> tuple[float, ...]:
        """Count what comparing takes; the first candidate is the likeliest."""
        read, shared = self._read(prompt)
        self._account.scored += read - shared + sum(self.count_tokens(text) for text in candidates)
        return tuple(-0.1 * place for place in range(1, len(candidates) + 1))

    def _read(self, prompt: Prompt) -> tuple[int, int]:
        text = render_text(prompt, self._info.chat_format)
        read = self.count_tokens(text)
        shared = self.count_tokens(text[: _shared_chars(text, self._last_text)])
        self._last_text = text
        return read, shared


def _shared_chars(one: str, other: str) -> int:
    length = min(len(one), len(other))
    return next((i for i in range(length) if one[i] != other[i]), length)
