"""Labels of classes in the form that another loss needs: one-hot, whole numbers, or 0 and 1.

Guarantees that what comes back parses. Only known ways of writing labels are changed: where the code
makes them otherwise, there is no conversion, and the caller keeps the code's own loss.
"""

import ast
from collections.abc import Mapping

from dlcodegen_local.generation.plan_values import replaced
from dlcodegen_local.generation.syntax import parse_module

_READERS = ("train", "evaluate", "predict")
# The forms of labels, by the loss that needs them.
ONE_HOT = "categorical_crossentropy"
WHOLE = "sparse_categorical_crossentropy"
SINGLE = "binary_crossentropy"
_LABEL_MODES = {WHOLE: '"int"', SINGLE: '"binary"'}


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
    for name in _READERS:
        body = bodies.get(name, "")
        text = _without_argmax(body, is_single=wanted == SINGLE)
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
        subject = _argmax_of(node)
        if subject is None or not isinstance(node, ast.expr):
            continue
        text = ast.get_source_segment(body, subject) or ""
        if is_single:
            places.append((node, f"({text} > 0.5).astype(int).ravel()"))
        elif "label" in text or "truth" in text or "target" in text:
            places.append((node, text))
    return replaced(body, places)


def _argmax_of(node: ast.AST) -> ast.expr | None:
    """Return what an argmax over classes is taken of; None for other code."""
    if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "argmax":
        return None
    assert isinstance(node.func, ast.Attribute)
    is_module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    if is_module:
        return node.args[0] if node.args else None
    return node.func.value
