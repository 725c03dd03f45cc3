"""The plan compiler: plan in, plain runnable Keras project out, for every category.

Deterministic: the same plan gives the same bytes. Never refuses a valid plan: what cannot be built is left
out with a comment and listed in the docstring under "Deviations from the plan".
"""

import importlib
from collections.abc import Callable
from dataclasses import replace

from dlcodegen_local.compiler.program import Program, build_source
from dlcodegen_local.compiler.reading import read_shapes
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_loss

# category: (module of this package, function from plan to Program)
FAMILIES = {
    "Image Classification": ("image_labels", "compile_image_classification"),
    "Image Regression": ("image_labels", "compile_image_regression"),
    "Object Detection": ("image_labels", "compile_object_detection"),
    "Image Segmentation": ("image_pairs", "compile_segmentation"),
    "Image-to-Image": ("image_pairs", "compile_image_to_image"),
    "Image Generation": ("adversarial", "compile_image_generation"),
    "Video Classification": ("video", "compile_video_classification"),
    "Tabular Classification": ("tabular", "compile_tabular_classification"),
    "Tabular Regression": ("tabular", "compile_tabular_regression"),
    "Anomaly Detection": ("anomaly", "compile_anomaly_detection"),
    "Recommendation": ("recommendation", "compile_recommendation"),
    "Time Series Forecasting": ("series", "compile_forecasting"),
    "Time Series Classification": ("series", "compile_series_classification"),
    "Text Classification": ("text", "compile_text_classification"),
    "Token Classification": ("text", "compile_token_classification"),
    "Question Answering": ("text", "compile_question_answering"),
    "Text Generation": ("sequence", "compile_text_generation"),
    "Text Summarization": ("sequence", "compile_summarization"),
    "Translation": ("sequence", "compile_translation"),
    "Audio Classification": ("audio", "compile_audio_classification"),
    "Speech Recognition": ("audio", "compile_speech_recognition"),
    "Image-to-Text": ("captioning", "compile_image_to_text"),
    "Reinforcement Learning": ("reinforcement", "compile_reinforcement"),
    "Graph Learning": ("graph", "compile_graph"),
}


def compile_plan(plan: Plan, framework: str = "keras") -> str:
    """Return the whole project as one script in the section contract.

    Raises:
        ConfigError: the framework is not one that the compiler writes.
    """
    if framework != "keras":
        raise ConfigError(f"the plan compiler does not write {framework!r}", hint="use --framework keras")
    plan = replace(plan, category=_category_of(plan))
    return build_source(plan, family(plan.category)(plan))


def _category_of(plan: Plan) -> str:
    """Return the category to compile for: a plan from images to one row of numbers labels them."""
    output = read_shapes(plan.dataset_output)
    if plan.category not in ("Image-to-Image", "Image Segmentation") or not output or len(output[0]) != 1:
        return plan.category
    return f"Image {'Classification' if 'entropy' in canonical_loss(plan.loss) else 'Regression'}"


def family(category: str) -> Callable[[Plan], Program]:
    """Return the function that compiles plans of a category."""
    module, function = FAMILIES[category]
    found: Callable[[Plan], Program] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return found
