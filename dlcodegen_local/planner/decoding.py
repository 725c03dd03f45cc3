"""Finished token sequences back to plans, and what they say about confidence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlcodegen_local.errors import PlanningError
from dlcodegen_local.plan.schema import MAX_LAYER_CHARS, MAX_TEXT_CHARS, Plan
from dlcodegen_local.planner.tokenizer import CLOSED_FIELDS, TEXT_FIELDS, PlanTokenizer, PlanVocabulary

_ATTRIBUTES = {
    **{name: name for name in CLOSED_FIELDS if name != "style"},
    "input": "dataset_input",
    "output": "dataset_output",
    "preprocess": "preprocess",
    "layers": "layers",
}


def plan_of_tokens(token_ids: Sequence[int], tokenizer: PlanTokenizer, stated: Mapping[str, Any]) -> Plan:
    """Return the plan that finished tokens spell, with `stated` values in the place of chosen ones.

    Raises:
        PlanningError: the tokens are no whole plan, which a constrained beam cannot end with.
    """
    closed: dict[str, Any] = {}
    for name, token_id in zip(CLOSED_FIELDS, token_ids, strict=False):
        field = tokenizer.vocabulary.field(name)
        closed[name] = stated[name] if name in stated else field.value(token_id)
    try:
        texts = split_texts(token_ids[len(CLOSED_FIELDS) :], tokenizer.vocabulary)
        return Plan(
            category=closed["category"],
            dataset_input=_text(tokenizer, texts["input"][0], MAX_TEXT_CHARS),
            dataset_output=_text(tokenizer, texts["output"][0], MAX_TEXT_CHARS),
            preprocess=_text(tokenizer, texts["preprocess"][0], MAX_TEXT_CHARS),
            layers=tuple(_text(tokenizer, text, MAX_LAYER_CHARS) for text in texts["layer"]),
            optimizer=closed["optimizer"],
            loss=closed["loss"],
            learning_rate=float(closed["learning_rate"]),
            batch_size=int(closed["batch_size"]),
            epochs=int(closed["epochs"]),
            metric=closed["metric"],
        )
    except (KeyError, IndexError) as exc:
        raise PlanningError("the planner's beam ended outside the plan") from exc


def split_texts(token_ids: Sequence[int], vocabulary: PlanVocabulary) -> dict[str, list[list[int]]]:
    """Return the texts between the borders, by the name of the border before them."""
    names = {vocabulary.borders[name]: name for name in TEXT_FIELDS}
    texts: dict[str, list[list[int]]] = {}
    open_name = ""
    for token_id in token_ids:
        if token_id in names:
            open_name = names[token_id]
            texts.setdefault(open_name, []).append([])
        elif token_id != vocabulary.borders["end"]:
            texts[open_name][-1].append(token_id)
    return texts


def field_confidence(
    token_ids: Sequence[int],
    token_log_probs: Sequence[float],
    vocabulary: PlanVocabulary,
    stated: Mapping[str, Any],
) -> dict[str, float]:
    """Return the confidence of every field, 0 to 1, to three places.

    Of a closed field it is the probability of the value chosen, of a text the geometric mean over
    its tokens and the border that ends it; a stated value has 1.
    """
    names = {vocabulary.borders[name]: name for name in (*TEXT_FIELDS, "end")}
    spent: dict[str, list[float]] = {}
    open_field = ""
    for place, (token_id, log_prob) in enumerate(zip(token_ids, token_log_probs, strict=True)):
        if place < len(CLOSED_FIELDS):
            spent[CLOSED_FIELDS[place]] = [log_prob]
            continue
        if open_field:
            spent.setdefault(open_field, []).append(log_prob)
        open_field = names.get(token_id, open_field)
    shown = {name: _geometric_mean(spent[name]) for name in (*CLOSED_FIELDS, *TEXT_FIELDS) if name in spent}
    if "layer" in shown:
        shown["layers"] = shown.pop("layer")
    return {name: 1.0 if name in stated else value for name, value in shown.items()}


def alternatives_of(plan: Plan, others: Sequence[Plan]) -> dict[str, tuple[Any, ...]]:
    """Return the values of other plans where they differ from `plan`, field by field, in their order."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, attribute in _ATTRIBUTES.items():
        values = [getattr(other, attribute) for other in others]
        differing = dict.fromkeys(value for value in values if value != getattr(plan, attribute))
        if differing:
            found[name] = tuple(list(value) if isinstance(value, tuple) else value for value in differing)
    return found


def _text(tokenizer: PlanTokenizer, token_ids: Sequence[int], max_chars: int) -> str:
    return tokenizer.decode_text(token_ids).strip()[:max_chars]


def _geometric_mean(log_probs: Sequence[float]) -> float:
    return round(math.exp(sum(log_probs) / len(log_probs)), 3)
