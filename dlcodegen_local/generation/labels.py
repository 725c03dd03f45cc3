"""Labels of classes in the form that another loss needs: one-hot, whole numbers, or 0 and 1.

Guarantees that what comes back parses. Only known ways of writing labels are changed: where the code
makes them otherwise, there is no conversion, and the caller keeps the code's own loss.
"""

import ast
import re
from collections.abc import Mapping

from dlcodegen_local.generation.plan_values import REGRESSION_LOSSES, replaced
from dlcodegen_local.generation.syntax import config_defaults, parse_module
from dlcodegen_local.plan.vocabulary import canonical_loss

_READERS = ("train", "evaluate", "predict")
# The forms of labels, by the loss that needs them.
ONE_HOT = "categorical_crossentropy"
WHOLE = "sparse_categorical_crossentropy"
SINGLE = "binary_crossentropy"
_LABEL_MODES = {WHOLE: '"int"', SINGLE: '"binary"'}
# What comments and docstrings say of labels, and of answers of which there is one now.
_SAID_OF = {WHOLE: "labels as whole numbers", SINGLE: "labels of 0 and 1"}
_SAID_OF_ANSWERS = re.compile(r"class probabilities \((\w+), num_classes\)")
_CONV = r"Conv2D\(1, (?:kernel_size=)?(?:1|\(1, 1\))(?:, padding=\"same\")?"
_SINGLE_ANSWER = re.compile(rf"""(?:Dense\(1|{_CONV}), activation="sigmoid"\)(?:,?\s*\]|\(\w+\)\n)""")
_LAST_SOFTMAX = re.compile(r"""activation="softmax"\),?\s*\]""")
_SIGMOIDS = re.compile(r"""Dense\((?!1,)[\w.]+, activation="sigmoid"\)(?:,?\s*\]|\(\w+\)\n)""")


def label_loss(config_body: str, model_body: str, category: str = "") -> str:
    """Return the loss of classes that fits the labels of code; its own loss where there are no classes.

    A loss of the code's own making, one of numbers in a `category` of classes, and one of 0 and 1 over
    several answers are told by what the model answers.
    """
    loss = canonical_loss(str(config_defaults(config_body).get("loss", "")))
    has_one = _SINGLE_ANSWER.search(model_body)
    if loss == SINGLE and not has_one and (_LAST_SOFTMAX.search(model_body) or _SIGMOIDS.search(model_body)):
        return ONE_HOT
    is_open = loss not in (WHOLE, ONE_HOT, *REGRESSION_LOSSES) or "Classification" in category
    return SINGLE if is_open and has_one else loss


def with_labels(bodies: Mapping[str, str], present: str, wanted: str) -> dict[str, str] | None:
    """Return the sections that change so that labels for the loss `present` become labels for `wanted`.

    None where that is not possible. One-hot labels become numbers, and numbers one answer of 0 to 1;
    the way back would need data that the code does not have.
    """
    if present == wanted:
        return {}
    if (present, wanted) not in ((ONE_HOT, WHOLE), (ONE_HOT, SINGLE), (WHOLE, SINGLE)):
        return None
    changed: dict[str, str] = {}
    if present == ONE_HOT:
        changed["data"] = _numbered(bodies.get("data", ""), _LABEL_MODES[wanted])
        if changed["data"] == bodies.get("data"):
            return None
        changed["data"] = changed["data"].replace("one-hot labels", _SAID_OF[wanted])
    for name in _READERS:
        body = bodies.get(name, "")
        text = _without_argmax(body, is_single=wanted == SINGLE)
        if wanted == SINGLE:
            text = _SAID_OF_ANSWERS.sub(r"the probability of the second class (\1, 1)", text)
        if text != body:
            changed[name] = text
    return changed if all(parse_module(body) for body in changed.values()) else None


def _numbered(body: str, label_mode: str) -> str:
    """Return a data section whose labels are not made one-hot."""
    tree = parse_module(body)
    places: list[tuple[ast.expr, str]] = []
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.Call):
            continue
        places += [
            (word.value, label_mode)
            for word in node.keywords
            if word.arg == "label_mode" and ast.unparse(word.value) == "'categorical'"
        ]
        if getattr(node.func, "attr", "") in ("one_hot", "to_categorical") and node.args:
            places.append((node, ast.get_source_segment(body, node.args[0]) or ""))
    return replaced(body, places)


def _without_argmax(body: str, *, is_single: bool) -> str:
    """Return a section that reads class numbers off labels, and off answers that are `is_single`."""
    tree = parse_module(body)
    places: list[tuple[ast.expr, str]] = []
    for node in ast.walk(tree) if tree else ():
        if is_single and (pair := _chosen_by_label(node)) is not None and isinstance(node, ast.expr):
            answer, label = (ast.get_source_segment(body, part) or "" for part in pair)
            places.append((node, f"np.where({label} == 1, {answer}[:, 0], 1.0 - {answer}[:, 0])"))
        subject = _argmax_of(node)
        if subject is None or not isinstance(node, ast.expr):
            continue
        text = ast.get_source_segment(body, subject) or ""
        if is_single:
            places.append((node, f"({text} > 0.5).astype(int).ravel()"))
        elif "label" in text or "truth" in text or "target" in text:
            places.append((node, text))
    return replaced(body, places)


def _chosen_by_label(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """Return answers and labels of `answers[np.arange(...), labels]`; None for other code."""
    index = node.slice if isinstance(node, ast.Subscript) else None
    if not isinstance(index, ast.Tuple) or len(index.elts) != 2 or not isinstance(node, ast.Subscript):
        return None
    rows, label = index.elts
    is_every_row = isinstance(rows, ast.Call) and getattr(rows.func, "attr", "") == "arange"
    return (node.value, label) if is_every_row else None


def _argmax_of(node: ast.AST) -> ast.expr | None:
    """Return what an argmax over classes is taken of; None for other code."""
    if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "argmax":
        return None
    assert isinstance(node.func, ast.Attribute)
    is_module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    if is_module:
        return node.args[0] if node.args else None
    return node.func.value
