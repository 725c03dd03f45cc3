"""The planner: a requirement in, an always valid plan out.

Guarantees a valid `Plan` for any text, the same plan for the same text and settings, and that facts
stated in the requirement stand in the plan. Does not promise a good plan where the confidence is low.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.beam import BeamSettings
from dlcodegen_local.planner.choices import Choices
from dlcodegen_local.planner.consensus import AnchoredRow, ConsensusSettings
from dlcodegen_local.planner.constraint import MAX_PLAN_TOKENS, MIN_PLAN_TOKENS, PlanConstraint
from dlcodegen_local.planner.decoding import alternatives_of, field_confidence, plan_of_tokens
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
from dlcodegen_local.planner.writing import write_by_beam, write_by_consensus

DEFAULT_LENGTH_PENALTY = 0.5  # chosen on validation plans: 1 and more favours long lists of layers
_MAX_CANDIDATES = 256  # what is drawn is held in memory at once
CUT_NOTE = "the requirement is longer than the planner reads: its end was left out"


@dataclass(frozen=True)
class PlannedResult:
    """Hold a plan and how it was come by.

    `log_prob` is the natural logarithm of the plan's probability under the constraint; `steps`
    counts model steps, the prompt's included. `confidence` is 0 to 1 a field: the probability of a
    chosen value (1 for a stated fact), or the geometric mean over a text's tokens. `task` says how
    sure it is that the requirement is a task for deep learning at all, and lowers `category`.
    `alternatives` names, for every field where beams or drawn texts disagree, the other values,
    best first.
    """

    plan: Plan
    log_prob: float
    seconds: float
    steps: int
    confidence: dict[str, float]
    alternatives: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
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
        self._choices = None
        if files.choices is not None:
            self._choices = Choices.from_bytes(
                files.choices, files.settings.get("choices"), self._tokenizer.vocabulary
            )
        self.consensus = _consensus_settings(files.settings.get("consensus"))
        self.load_seconds = time.perf_counter() - started

    def plan(
        self,
        requirement: str,
        dataset: str = "",
        *,
        num_beams: int = 3,
        length_penalty: float = DEFAULT_LENGTH_PENALTY,
        layer_style: str | None = None,
    ) -> PlannedResult:
        """Return the plan of a requirement; `dataset` holds its attributes, as text.

        `layer_style` "calls" asks for layers as Keras calls, "outline" for layers in words; left
        out, the planner chooses.

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
        scores = None if self._choices is None else self._choices.score(requirement, dataset)
        constraint = PlanConstraint(
            self._tokenizer.vocabulary, self._rules, fixed, facts.sizes, budget, scores
        )
        anchor = AnchoredRow(self._model.decoder(), prompt)
        beams = BeamSettings(num_beams, length_penalty, max_new_tokens=budget)
        if self.consensus is None:
            written = write_by_beam(anchor, constraint, beams)
        else:
            written = write_by_consensus(
                anchor, constraint, self._tokenizer, beams, self.consensus, facts.wanted
            )
        plan = plan_of_tokens(written.token_ids, self._tokenizer, facts.values)
        others = [plan_of_tokens(other, self._tokenizer, facts.values) for other in written.others]
        confidence = field_confidence(
            written.token_ids, written.token_log_probs, self._tokenizer.vocabulary, facts.values
        )
        if scores is not None:
            confidence["task"] = round(scores.task_probability, 3)
            confidence["category"] = round(confidence["category"] * scores.task_probability, 3)
        return PlannedResult(
            plan=plan,
            log_prob=written.log_prob,
            seconds=time.perf_counter() - started,
            steps=anchor.steps,
            confidence=confidence,
            alternatives=alternatives_of(plan, others),
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


def _consensus_settings(table: object) -> ConsensusSettings | None:
    """Return the settings that `planner.json` holds; without them every field comes from the beam."""
    if table is None:
        return None
    try:
        assert isinstance(table, dict)
        settings = ConsensusSettings(
            candidates=int(table["candidates"]),
            temperature=float(table["temperature"]),
            seed=int(table["seed"]),
            min_share=float(table["min_share"]),
        )
        assert settings.candidates <= _MAX_CANDIDATES and settings.seed < 1 << 63
        return settings
    except (AssertionError, KeyError, TypeError, ValueError, OverflowError) as exc:
        raise ArtifactError("planner.json: consensus is not valid", hint="install the planner again") from exc
