"""The plan: the only definition of its fields, their order, types and bounds.

Guarantees that a `Plan` that exists is valid and that writing is canonical (Paper: Fig. 2). Does
not guess: lenient reading of other dialects is in `reading`.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.plan.categories import CATEGORIES, near_categories

_TOP_KEYS = ("Task Category", "Dataset", "Preprocess", "Model Architecture")
HYPERPARAMETER_KEYS = (
    "optimizer",
    "loss function",
    "learning rate",
    "batch size",
    "epochs",
    "evaluation metric",
)
MAX_LAYERS = 256
MAX_TEXT_CHARS = 2000
MAX_LAYER_CHARS = 400


@dataclass(frozen=True)
class Plan:
    """Hold one valid solution plan.

    `optimizer`, `loss` and `metric` are `""` and the three numbers `None` where the plan leaves
    them open. `learning_rate` is in (0, 1e4], `batch_size` and `epochs` are at least 1.

    Raises:
        ConfigError: a field has a wrong type or value; the message names the field.
    """

    category: str
    dataset_input: str
    dataset_output: str
    preprocess: str
    layers: tuple[str, ...]
    optimizer: str = ""
    loss: str = ""
    learning_rate: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    metric: str = ""

    def __post_init__(self) -> None:
        _check_text("Task Category", self.category, MAX_TEXT_CHARS)
        if self.category not in CATEGORIES:
            raise unknown_category(self.category)
        for key, text in (
            ("Dataset.Input", self.dataset_input),
            ("Dataset.Output", self.dataset_output),
            ("Preprocess", self.preprocess),
            ("optimizer", self.optimizer),
            ("loss function", self.loss),
            ("evaluation metric", self.metric),
        ):
            _check_text(key, text, MAX_TEXT_CHARS)
        if not isinstance(self.layers, tuple) or len(self.layers) > MAX_LAYERS:
            raise _refused("Layers", f"must be a list of at most {MAX_LAYERS} texts")
        for index, layer in enumerate(self.layers):
            _check_text(f"Layers[{index}]", layer, MAX_LAYER_CHARS)
        _check_number("learning rate", self.learning_rate, 1e4, whole=False)
        _check_number("batch size", self.batch_size, 10**6, whole=True)
        _check_number("epochs", self.epochs, 10**7, whole=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical JSON object: the paper's keys in the paper's order."""
        return {
            "Task Category": self.category,
            "Dataset": {"Input": self.dataset_input, "Output": self.dataset_output},
            "Preprocess": self.preprocess,
            "Model Architecture": {
                "Layers": list(self.layers),
                "Hyperparameters": {
                    "optimizer": self.optimizer,
                    "loss function": self.loss,
                    "learning rate": self.learning_rate,
                    "batch size": self.batch_size,
                    "epochs": self.epochs,
                    "evaluation metric": self.metric,
                },
            },
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return the canonical JSON text, without a final newline."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    @classmethod
    def from_dict(cls, plan: object) -> "Plan":
        """Read a canonical plan strictly: exactly its keys, exactly its types.

        Raises:
            ConfigError: names the field that is missing, unknown or of the wrong type.
        """
        top = _table("plan", plan, _TOP_KEYS)
        shapes = _table("Dataset", top["Dataset"], ("Input", "Output"))
        model = _table("Model Architecture", top["Model Architecture"], ("Layers", "Hyperparameters"))
        numbers = _table("Hyperparameters", model["Hyperparameters"], HYPERPARAMETER_KEYS)
        if not isinstance(model["Layers"], list):
            raise _refused("Layers", "must be a list of texts")
        return cls(
            category=top["Task Category"],
            dataset_input=shapes["Input"],
            dataset_output=shapes["Output"],
            preprocess=top["Preprocess"],
            layers=tuple(model["Layers"]),
            optimizer=numbers["optimizer"],
            loss=numbers["loss function"],
            learning_rate=numbers["learning rate"],
            batch_size=numbers["batch size"],
            epochs=numbers["epochs"],
            metric=numbers["evaluation metric"],
        )


def has_canonical_keys(plan: object) -> bool:
    """Tell whether a JSON value names every top-level field and hyperparameter as a canonical plan does."""
    if not isinstance(plan, dict) or not plan.keys() >= set(_TOP_KEYS):
        return False
    model = plan["Model Architecture"]
    numbers = model.get("Hyperparameters") if isinstance(model, dict) else None
    return isinstance(numbers, dict) and numbers.keys() >= set(HYPERPARAMETER_KEYS)


def unknown_category(text: str) -> ConfigError:
    """Return the error for a category that is none of ours, with those that it may mean."""
    near = near_categories(text)
    shown = text if len(text) <= 60 else text[:60] + "..."
    return ConfigError(
        f"plan: Task Category: {shown!r} is not a known category",
        hint=f"did you mean {' or '.join(near)}?" if near else f"one of: {', '.join(CATEGORIES)}",
    )


def _refused(key: str, reason: str) -> ConfigError:
    return ConfigError(f"plan: {key}: {reason}", hint="correct this field of the plan")


def _check_text(key: str, text: object, max_chars: int) -> None:
    if not isinstance(text, str):
        raise _refused(key, f"must be a text, not {type(text).__name__}")
    if len(text) > max_chars:
        raise _refused(key, f"has {len(text)} characters, at most {max_chars} are allowed")
    if (found := find_unplain(text, allowed="\n\t")) is not None:
        raise _refused(key, f"holds {found}")


def _check_number(key: str, number: object, maximum: float, *, whole: bool) -> None:
    if number is None:
        return
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    if isinstance(number, bool) or not isinstance(number, kinds):
        kind = "a whole number" if whole else "a number"
        raise _refused(key, f"must be {kind} or null, not {number!r}")
    assert isinstance(number, int | float)
    if number > maximum or number <= 0 or not math.isfinite(number):  # in this order: no float holds 10**400
        raise _refused(key, f"must be over 0 and at most {maximum:g}, not {number!r}")


def _table(key: str, value: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _refused(key, "must be an object")
    missing = [name for name in keys if name not in value]
    unknown = sorted(str(name) for name in value if name not in keys)
    reasons = [f"lacks {', '.join(missing)}"] if missing else []
    if unknown:
        meant = difflib.get_close_matches(unknown[0], missing, n=1)
        reasons.append(f"has unknown keys: {', '.join(unknown)}")
        reasons += [f"{unknown[0]} may be {meant[0]}"] if meant else []
    if reasons:
        raise _refused(key, "; ".join(reasons))
    return value
