"""Have a local code model say what a sample is for: the requirement that somebody would have written.

Guarantees one or two plain sentences, or None: what is code, a list, an echo of the prompt or cut off is
not taken. Greedy, so that the same model writes the same.
"""

import re

from dlcodegen_local.errors import GenerationError
from dlcodegen_local.generation.budget import fit_prompt
from dlcodegen_local.generation.llm import CodeLLM, Sampling
from dlcodegen_local.generation.prompts import describe_prompt
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.plan.schema import Plan

_MAX_CODE_CHARS = 6_000
_MAX_TOKENS = 96
_MAX_WORDS = 60
_MIN_WORDS = 5
_QUOTES = "\"'“”„`* "
_NO_PROSE = re.compile(r"[{}<>=|\\`]|\w\(|\w_\w|https?:|\b(?:import|def|class) \w+\s*[:(]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_CHATTER = re.compile(
    r"(?:sure|certainly|here is|here's|the (?:code|request|script)|this (?:code|script))\b", re.I
)


class SampleDescriber:
    """Write requirements with one code model."""

    def __init__(self, llm: CodeLLM) -> None:
        """Take the model; it stays the caller's."""
        self._llm = llm

    @property
    def model(self) -> str:
        """Name the model by the hash of its file."""
        return self._llm.info.sha256

    def __call__(self, title: str, plan: Plan, code: str) -> str | None:
        """Return the requirement, None where the model's answer does not serve as one."""
        materials = {"title": title, "code": code[:_MAX_CODE_CHARS]}
        try:
            prompt, _ = fit_prompt(
                "describe_sample",
                self._llm,
                materials,
                lambda kept: describe_prompt(kept["title"], plan, kept["code"]),
                _MAX_TOKENS,
            )
            sampling = Sampling(max_tokens=_MAX_TOKENS, stop=("\n\n", "\n```", "\n#"))
            completion = self._llm.complete(prompt, sampling=sampling)
        except GenerationError:  # the context is too small for this plan: the sample keeps its own text
            return None
        return checked_requirement(completion.text) if completion.finish_reason == "stop" else None


def checked_requirement(answer: str) -> str | None:
    """Return an answer as a requirement, None where it is not one or two plain sentences."""
    text = " ".join(answer.split()).strip(_QUOTES)
    if _CHATTER.match(text) or find_unplain(text) is not None or _NO_PROSE.search(text):
        return None
    sentences = _SENTENCE_END.split(text)
    words = text.split()
    if not _MIN_WORDS <= len(words) <= _MAX_WORDS or len(sentences) > 2 or text[-1:] not in ".!?":
        return None
    letters = sum(char.isalpha() or char.isspace() for char in text)
    return text if letters >= 0.8 * len(text) and len({w.lower() for w in words}) > len(words) // 2 else None
