"""Losses: the name for Config, code where Keras has no plain name, and the family that fixes the labels."""

import re
from dataclasses import dataclass

# canonical name: (family, code; "" where the canonical name is Keras' own)
_LOSSES: dict[str, tuple[str, str]] = {
    "binary_crossentropy": ("binary", ""),
    "categorical_crossentropy": ("categorical", ""),
    "sparse_categorical_crossentropy": ("sparse", ""),
    "binary_focal_crossentropy": ("binary", ""),
    "categorical_focal_crossentropy": ("categorical", ""),
    "mean_squared_error": ("values", ""),
    "mean_absolute_error": ("values", ""),
    "mean_absolute_percentage_error": ("values", ""),
    "mean_squared_logarithmic_error": ("values", ""),
    "huber": ("values", ""),
    "log_cosh": ("values", ""),
    "poisson": ("values", ""),
    "cosine_similarity": ("values", ""),
    "kl_divergence": ("categorical", ""),
    "hinge": ("binary", ""),
    "squared_hinge": ("binary", ""),
    "categorical_hinge": ("categorical", ""),
    "root_mean_squared_error": ("values", "root_mean_squared_error"),
    "mean_columnwise_root_mean_squared_error": ("values", "mean_columnwise_root_mean_squared_error"),
    "pinball_loss": ("values", "pinball_loss"),
    "dice_loss": ("region", "dice_loss"),
    "bce_dice_loss": ("region", "bce_dice_loss"),
    "jaccard_loss": ("region", "jaccard_loss"),
    "tversky_loss": ("region", "tversky_loss"),
    "focal_tversky_loss": ("region", "focal_tversky_loss"),
}
_DICE = '''
def dice_loss(y_true, y_pred):
    """Return one minus the Dice coefficient of the whole batch."""
    y_true = keras.ops.cast(y_true, y_pred.dtype)
    overlap = keras.ops.sum(y_true * y_pred)
    return 1.0 - (2.0 * overlap + 1.0) / (keras.ops.sum(y_true) + keras.ops.sum(y_pred) + 1.0)
'''
_TVERSKY = '''
def tversky_loss(y_true, y_pred, alpha=0.3, beta=0.7):
    """Return one minus the Tversky index; `beta` weighs what was missed."""
    y_true = keras.ops.cast(y_true, y_pred.dtype)
    hits = keras.ops.sum(y_true * y_pred)
    false_alarms = keras.ops.sum((1.0 - y_true) * y_pred)
    misses = keras.ops.sum(y_true * (1.0 - y_pred))
    return 1.0 - (hits + 1.0) / (hits + alpha * false_alarms + beta * misses + 1.0)
'''
FUNCTIONS = {
    "dice_loss": _DICE,
    "bce_dice_loss": _DICE
    + '''

def bce_dice_loss(y_true, y_pred):
    """Return the sum of binary crossentropy and Dice loss."""
    crossentropy = keras.ops.mean(keras.losses.binary_crossentropy(y_true, y_pred))
    return crossentropy + dice_loss(y_true, y_pred)
''',
    "jaccard_loss": '''
def jaccard_loss(y_true, y_pred):
    """Return one minus the intersection over union of the whole batch."""
    y_true = keras.ops.cast(y_true, y_pred.dtype)
    overlap = keras.ops.sum(y_true * y_pred)
    return 1.0 - (overlap + 1.0) / (keras.ops.sum(y_true) + keras.ops.sum(y_pred) - overlap + 1.0)
''',
    "tversky_loss": _TVERSKY,
    "focal_tversky_loss": _TVERSKY
    + '''

def focal_tversky_loss(y_true, y_pred, gamma=0.75):
    """Return the Tversky loss, bent so that hard batches count more."""
    return keras.ops.power(tversky_loss(y_true, y_pred), gamma)
''',
    "root_mean_squared_error": '''
def root_mean_squared_error(y_true, y_pred):
    """Return the root of the mean squared error of the batch."""
    return keras.ops.sqrt(keras.ops.mean(keras.ops.square(y_pred - y_true)) + 1e-12)
''',
    "mean_columnwise_root_mean_squared_error": '''
def mean_columnwise_root_mean_squared_error(y_true, y_pred):
    """Return the mean over the columns of each column's root mean squared error."""
    squared = keras.ops.square(keras.ops.cast(y_true, y_pred.dtype) - y_pred)
    axes = tuple(range(len(squared.shape) - 1))
    return keras.ops.mean(keras.ops.sqrt(keras.ops.mean(squared, axis=axes) + 1e-12))
''',
    "pinball_loss": '''
def pinball_loss(y_true, y_pred, quantiles=(0.2, 0.5, 0.8)):
    """Return the quantile loss; output i belongs to quantile i, the middle one to a single output."""
    count = y_pred.shape[-1]
    used = [quantiles[i] if count == len(quantiles) else 0.5 for i in range(count)]
    error = keras.ops.cast(y_true, y_pred.dtype) - y_pred
    weights = keras.ops.convert_to_tensor(used, dtype=y_pred.dtype)
    return keras.ops.mean(keras.ops.maximum(weights * error, (weights - 1.0) * error))
''',
}


@dataclass(frozen=True)
class LossChoice:
    """Hold one loss: its name in Config, family, code ("" for a plain Keras name) and own functions."""

    name: str
    family: str
    code: str = ""
    functions: tuple[str, ...] = ()
    deviation: str = ""


def choose_loss(text: str, canonical: str, kind: str, binary: bool) -> LossChoice:
    """Return the loss that a plan means, or the usual one of the task where it means none that fits.

    `canonical` is the canonical name of `text`, `binary` says that the classes are two and the plan's last
    layer has one unit or a sigmoid.
    """
    name = _known(text, canonical, kind, binary)
    if not name or not _fits(_LOSSES[name][0], kind):
        usual = _usual(kind, binary)
        reason = f"loss {usual}: {text!r} is not a loss of this task in Keras" if text.strip() else ""
        return LossChoice(usual, _LOSSES[usual][0], deviation=reason)
    family, code = _LOSSES[name]
    functions: tuple[str, ...] = ()
    if code:
        functions = (FUNCTIONS[name],)
    elif arguments := _arguments(text, name):
        code = f"keras.losses.{_class_name(name)}({arguments})"
    return LossChoice(name, family, code, functions)


def _known(text: str, canonical: str, kind: str, binary: bool) -> str:
    lowered = text.lower()
    if canonical in _LOSSES:
        return canonical
    if canonical in ("cross_entropy", "nll_loss"):
        return _usual(kind, binary) if kind not in ("values", "image") else ""
    if "focal" in lowered and "tversky" not in lowered:
        return (
            "binary_focal_crossentropy"
            if binary or kind in ("mask", "labels")
            else "categorical_focal_crossentropy"
        )
    patterns = (
        (r"focal.?tversky", "focal_tversky_loss"),
        (r"tversky", "tversky_loss"),
        (r"(?:bce|binary).{0,40}dice|dice.{0,40}(?:bce|binary)", "bce_dice_loss"),
        (r"dice", "dice_loss"),
        (r"jaccard|iou", "jaccard_loss"),
        (r"quantile|pinball|tilted", "pinball_loss"),
        (r"sparse.?categorical", "sparse_categorical_crossentropy"),
        (r"categorical.?cross|arcface|softmax", "categorical_crossentropy"),
        (r"binary.?cross|\bbce\b", "binary_crossentropy"),
        (r"mcrmse|column.?wise", "mean_columnwise_root_mean_squared_error"),
        (r"root.?mean|rmse", "root_mean_squared_error"),
        (r"mean.?absolute.?percentage|mape", "mean_absolute_percentage_error"),
        (r"mean.?squared|\bmse\b", "mean_squared_error"),
        (r"mean.?absolute|\bmae\b|\bl1\b", "mean_absolute_error"),
        (r"huber", "huber"),
        (r"kl.?div|kullback", "kl_divergence"),
    )
    return next((name for pattern, name in patterns if re.search(pattern, lowered)), "")


def _fits(family: str, kind: str) -> bool:
    """Say whether a loss of this family can be computed for this kind of target."""
    if kind in ("values", "image"):
        return family in ("values", "binary", "region") and not (family == "region" and kind == "values")
    if kind == "labels":
        return family != "sparse"
    return True


def _usual(kind: str, binary: bool) -> str:
    if kind in ("values", "image"):
        return "mean_squared_error"
    if kind == "labels" or binary:
        return "binary_crossentropy"
    return "sparse_categorical_crossentropy"


def _class_name(name: str) -> str:
    special = {"kl_divergence": "KLDivergence", "log_cosh": "LogCosh"}
    return special.get(name, "".join(part.capitalize() for part in name.split("_")))


def _arguments(text: str, name: str) -> str:
    """Return the arguments that a plan states for a crossentropy."""
    lowered = text.lower()
    parts = []
    if "crossentropy" in name and re.search(r"from_?logits\s*=?\s*true", lowered):
        parts.append("from_logits=True")
    if name in ("binary_crossentropy", "categorical_crossentropy") and "smoothing" in lowered:
        match = re.search(r"smoothing\D{0,12}(0?\.\d+)", lowered)
        amount = float(match.group(1)) if match else 0.1
        parts.append(f"label_smoothing={amount if 0 < amount < 1 else 0.1}")
    return ", ".join(parts)
