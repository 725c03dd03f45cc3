"""Hold the shape of a prediction against the one that a plan names.

Lenient where the two say the same thing in two ways (class ids against one score a class, one
probability against two), and it says so; a difference that nothing explains is a failure.
"""

import re

_TUPLE = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
_MAX_AXES = 8


def planned_shape(text: str) -> tuple[int | None, ...] | None:
    """Read the axes after the batch axis from a plan's Output; None where it names no shape.

    A size that is not a number is None. A first axis that is a number counts as the batch axis only
    where the text calls none so and there are several axes and it is 1.
    """
    match = _TUPLE.search(text)
    if match is None:
        return None
    words = [word.strip() for word in (match.group(1) or match.group(2) or "").split(",") if word.strip()]
    if not words or len(words) > _MAX_AXES or any(len(word.split()) > 3 for word in words):
        return None
    axes = tuple(int(word) if word.isdigit() else None for word in words)
    if axes[0] is not None and not (len(axes) > 1 and axes[0] == 1):
        return axes
    return axes[1:]


def explain_shape(planned: tuple[int | None, ...], actual: tuple[int, ...], kind: str) -> tuple[bool, str]:
    """Compare axes after the batch axis; `kind` is the letter of the dtype.

    Returns whether they agree, and what had to be explained or what does not fit.
    """
    if _equal(planned, actual):
        return True, ""
    if kind in "USO":
        return True, "texts instead of arrays"
    if _equal(_squeezed(planned), _squeezed(actual)):
        return True, "axes of size 1 differ"
    if kind in "iub" and _equal(planned[:-1], actual):
        return True, "class ids instead of one score a class"
    if planned[:-1] == actual[:-1] and {planned[-1:], actual[-1:]} == {(1,), (2,)}:
        return True, "two classes as one probability or two"
    if _equal(planned, actual[:-1]) or (planned == (1,) and len(actual) == 1):
        return True, "one score a class instead of class ids"
    wanted = ", ".join("?" if size is None else str(size) for size in planned)
    return False, f"predict returned items of shape {actual}, the plan says ({wanted})"


def _equal(planned: tuple[int | None, ...], actual: tuple[int | None, ...]) -> bool:
    return len(planned) == len(actual) and all(
        size is None or size == other for size, other in zip(planned, actual, strict=True)
    )


def _squeezed(axes: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return tuple(size for size in axes if size != 1)
