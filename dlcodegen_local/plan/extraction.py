"""Read a plan off Keras or PyTorch code, from its syntax tree alone: nothing of the code is ever run.

Guarantees a valid plan for everything that parses; fields that the code leaves open stay open. Layers
stand in the order in which data flows, in Keras' words for PyTorch too, with names of settings replaced
by their values where these are known. Does not follow code in other files, nor code that builds models by
reflection.
"""

import ast
import re
import warnings
from dataclasses import dataclass

from dlcodegen_local.errors import ConfigError
from dlcodegen_local.plan.extraction_category import (
    Evidence,
    describe_preprocessing,
    guess_category,
    has_images,
)
from dlcodegen_local.plan.extraction_fields import Fields
from dlcodegen_local.plan.extraction_interpreter import Interpreter
from dlcodegen_local.plan.extraction_statements import Jump
from dlcodegen_local.plan.extraction_trace import BudgetSpentError, Trace
from dlcodegen_local.plan.extraction_uncalled import follow_uncalled
from dlcodegen_local.plan.extraction_values import layer_text
from dlcodegen_local.plan.schema import MAX_LAYER_CHARS, MAX_LAYERS, MAX_TEXT_CHARS, Plan

MAX_SOURCE_CHARS = 2_000_000
_TRAININGS = ("compile", "apply", "fit")
_MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)


@dataclass(frozen=True)
class Extraction:
    """Hold the plan that code follows, and what it has no room for.

    `layers` are the plan's with their initialisers; `metrics` are all that the code measures.
    """

    plan: Plan
    layers: tuple[str, ...]
    metrics: tuple[str, ...]


def plan_from_code(source: str) -> Plan:
    """Return the plan that code follows.

    Raises:
        ConfigError: the code does not parse.
    """
    return extract(source).plan


def extract(source: str) -> Extraction:
    """Return the plan that code follows and all of its metrics.

    Raises:
        ConfigError: the code does not parse.
    """
    tree = parse_code(source)
    try:
        fields = _follow(tree)
        found = fields.layers()[:MAX_LAYERS]
        layers = tuple(_clean(layer_text(layer, is_full=False))[:MAX_LAYER_CHARS] for layer in found)
        loss = fields.loss()
        output = _clean(fields.output_shape())
        metric = _clean(fields.metric())
        plan = Plan(
            category=guess_category(
                Evidence(source, _prose(source, tree), layers, loss, metric, output.count(","))
            ),
            dataset_input=_clean(fields.input_shape()),
            dataset_output=output,
            preprocess=describe_preprocessing(source, has_images(layers)),
            layers=layers,
            optimizer=_clean(fields.optimizer()),
            loss=_clean(loss),
            learning_rate=fields.learning_rate(),
            batch_size=fields.batch_size(),
            epochs=fields.epochs(),
            metric=metric,
        )
        return Extraction(plan, tuple(layer_text(layer) for layer in found), tuple(fields.metrics()))
    except RecursionError as exc:
        raise _unreadable("it is nested too deeply") from exc


def parse_code(source: str) -> ast.Module:
    """Return the syntax tree of code; lines of notebook magic are left out where they are in the way.

    Raises:
        ConfigError: the code does not parse.
    """
    if len(source) > MAX_SOURCE_CHARS:
        raise _unreadable(f"it has {len(source)} characters, at most {MAX_SOURCE_CHARS} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return ast.parse(source)
            except SyntaxError:
                return ast.parse(_MAGIC.sub(r"\1pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        reason = (
            f"line {exc.lineno}: {exc.msg}" if isinstance(exc, SyntaxError) else str(exc) or "too complex"
        )
        raise _unreadable(reason) from exc


def _unreadable(reason: str) -> ConfigError:
    return ConfigError(f"code: cannot be read as Python: {reason}", hint="correct the code, or leave it out")


def _follow(tree: ast.Module) -> Fields:
    trace = Trace()
    interpreter = Interpreter(trace)
    try:
        for statement in tree.body:
            try:
                interpreter.run_block([statement], interpreter.module)
            except Jump:
                continue
        if not trace.layers or not any(trace.of_kind(kind) for kind in _TRAININGS):
            follow_uncalled(interpreter)
    except BudgetSpentError:
        pass
    return Fields(trace, interpreter.module, tree)


def _prose(source: str, tree: ast.Module) -> str:
    told = [ast.get_docstring(tree) or ""]
    told += [
        ast.get_docstring(node) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    ]
    told += re.findall(r"^\s*#(?! ?%%)(.*)$", source, re.MULTILINE)
    return "\n".join(told)


def _clean(text: str) -> str:
    printable = "".join(char if ord(char) >= 32 else " " for char in text)
    return printable[:MAX_TEXT_CHARS]
