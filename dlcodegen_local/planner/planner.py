"""The planner: a requirement in, an always valid plan out.

Guarantees a valid `Plan` for any text, the same plan for the same text and settings, and that facts
stated in the requirement stand in the plan. Does not promise a good plan where the confidence is low.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.beam import BeamSettings, beam_search
from dlcodegen_local.planner.constraint import MAX_PLAN_TOKENS, MIN_PLAN_TOKENS, PlanConstraint
from dlcodegen_local.planner.decoding import field_confidence, plan_of_tokens
from dlcodegen_local.planner.facts import StatedFacts, stated_facts
from dlcodegen_local.planner.files import read_planner_files
from dlcodegen_local.planner.model import ModelDims, OnnxModel
from dlcodegen_local.planner.text_rules import TextRules
from dlcodegen_local.planner.tokenizer import (
    MAX_PROMPT_CHARS,
    MAX_PROMPT_TOKENS,
    NUMBER_FIELDS,
    STYLES,
    PlanTokenizer,
    PlanVocabulary,
)
from dlcodegen_local.planner.values import nearest_value

DEFAULT_LENGTH_PENALTY = 0.5  # chosen on validation plans: 1 and more favours long lists of layers
CUT_NOTE = "the requirement is longer than the planner reads: its end was left out"


@dataclass(frozen=True)
class PlannedResult:
    """Hold a plan and how it was come by.

    `log_prob` is the natural logarithm of the plan's probability under the constraint; `steps`
    counts model steps, the prompt's included. `confidence` is 0 to 1 a field: the probability of a
    chosen value (1 for a stated fact), or the geometric mean over a text's tokens.
    `alternatives` are the other beams' plans, best first.
    """

    plan: Plan
    log_prob: float
    seconds: float
    steps: int
    confidence: dict[str, float]
    alternatives: tuple[Plan, ...] = ()
    notes: tuple[str, ...] = ()


class Planner:
    """Hold a loaded planner.

    Raises:
        ArtifactError: the folder's files are missing, damaged, or do not belong together.
    """

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        started = time.perf_counter()
        files = read_planner_files(folder)
        self.manifest = files.manifest
        self._tokenizer = PlanTokenizer.from_bytes(
            files.tokenizer, PlanVocabulary.from_dict(files.settings.get("vocabulary"))
        )
        self.dims = ModelDims.from_dict(files.settings.get("model"))
        self._tokenizer.check_size(self.dims.vocab_size)
        if self.dims.n_positions < MAX_PROMPT_TOKENS + MIN_PLAN_TOKENS:
            raise ArtifactError(
                f"{folder}: {self.dims.n_positions} positions are too few for a prompt and a plan",
                hint="export a model with at least 768",
            )
        self._model = OnnxModel(files.model, self.dims, threads)
        self._rules = TextRules(self._tokenizer.token_texts())
        self.load_seconds = time.perf_counter() - started

    def plan(
        self,
        requirement: str,
        dataset: str = "",
        *,
        num_beams: int = 3,
        length_penalty: float = DEFAULT_LENGTH_PENALTY,
        layer_style: str | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> PlannedResult:
        """Return the best plan of a beam search.

        `layer_style` "calls" asks for layers as Keras calls, "outline" for layers in words; left
        out, the planner chooses. `on_progress` gets 0 to 1; a plan that ends early jumps to 1.

        Raises:
            PlanningError: no beam completed a plan, or the model failed.
        """
        if layer_style is not None and layer_style not in STYLES:
            raise ValueError(f"layer_style must be one of {', '.join(STYLES)}")
        started = time.perf_counter()
        prompt, cut = self._tokenizer.encode_prompt(requirement, dataset)
        facts = stated_facts(requirement[:MAX_PROMPT_CHARS], dataset[:MAX_PROMPT_CHARS])
        budget = min(MAX_PLAN_TOKENS, self.dims.n_positions - len(prompt))
        fixed = self._fixed_tokens(facts, layer_style)
        constraint = PlanConstraint(self._tokenizer.vocabulary, self._rules, fixed, facts.sizes, budget)
        result = beam_search(
            self._model.decoder(),
            prompt,
            constraint,
            BeamSettings(num_beams, length_penalty, max_new_tokens=budget),
            None if on_progress is None else lambda tokens: on_progress(min(0.99, tokens / budget)),
        )
        best = result.hypotheses[0]
        plans = [plan_of_tokens(h.token_ids, self._tokenizer, facts.values) for h in result.hypotheses]
        if on_progress is not None:
            on_progress(1.0)
        return PlannedResult(
            plan=plans[0],
            log_prob=best.log_prob,
            seconds=time.perf_counter() - started,
            steps=result.steps,
            confidence=field_confidence(
                best.token_ids, best.token_log_probs, self._tokenizer.vocabulary, facts.values
            ),
            alternatives=tuple(dict.fromkeys(plan for plan in plans[1:] if plan != plans[0])),
            notes=((CUT_NOTE,) if cut else ()) + facts.notes(),
        )

    def _fixed_tokens(self, facts: StatedFacts, layer_style: str | None) -> dict[str, int]:
        """Return the token that the model reads for each stated value.

        A value outside the candidates is read as "left open", a number as the nearest candidate.
        """
        stated: dict[str, Any] = dict(facts.values)
        if layer_style is not None:
            stated["style"] = layer_style
        fixed = {}
        for name, value in stated.items():
            field = self._tokenizer.vocabulary.field(name)
            if name in NUMBER_FIELDS:
                value = nearest_value(float(value), [float(candidate) for candidate in field.values])
            fixed[name] = (
                field.first_id + field.values.index(value) if value in field.values else field.open_id
            )
        return fixed
