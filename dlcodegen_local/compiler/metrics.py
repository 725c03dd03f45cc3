"""Metrics: the name for Config, and code for several of them or for one without a plain Keras name."""

import re
from dataclasses import dataclass, field

from dlcodegen_local.compiler.program import quoted
from dlcodegen_local.plan.vocabulary import canonical_metric

_PLAIN = frozenset(
    {
        "accuracy",
        "mean_absolute_error",
        "mean_squared_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "cosine_similarity",
        "kl_divergence",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
    }
)
# Ordered: pattern, canonical name. Of a longer text every pattern that is found counts.
_PATTERNS = (
    (r"sparse.?categorical.?accuracy", "sparse_categorical_accuracy"),
    (r"(?<!sparse )(?<!sparse_)(?<!sparse)categorical.?accuracy", "categorical_accuracy"),
    (r"binary.?accuracy", "binary_accuracy"),
    (r"top.?\w{1,2}.?(?:categorical.?)?accuracy", "top_k_categorical_accuracy"),
    (r"accuracy|\bacc\b", "accuracy"),
    (r"\bauc\b|\broc\b|area under", "auc"),
    (r"precision", "precision"),
    (r"recall|sensitivity", "recall"),
    (r"f1|f.?score|f.?measure|fbeta", "f1_score"),
    (r"mean.?iou|mean intersection", "mean_iou"),
    (r"\biou|intersection.over|jaccard", "iou"),
    (r"dice", "dice_coefficient"),
    (r"root.?mean|rmse", "root_mean_squared_error"),
    (r"mape|percentage", "mean_absolute_percentage_error"),
    (r"msle|logarithmic", "mean_squared_logarithmic_error"),
    (r"(?<!root )(?<!root_)mean.?squared.?error|\bmse\b", "mean_squared_error"),
    (r"mean.?absolute.?error|\bmae\b", "mean_absolute_error"),
    (r"\br2\b|r.?squared|determination", "r2_score"),
    (r"psnr|signal.to.noise", "psnr"),
    (r"ssim|structural", "ssim"),
    (r"log.?loss|cross.?entropy", "crossentropy"),
)
_CLASS = {
    "auc": "AUC",
    "precision": "Precision",
    "recall": "Recall",
    "f1_score": "F1Score",
}
_IMAGE_FUNCTIONS = {
    "psnr": '''
def psnr(y_true, y_pred):
    """Return the peak signal-to-noise ratio of images in [0, 1]."""
    return tf.image.psnr(tf.cast(y_true, y_pred.dtype), y_pred, max_val=1.0)
''',
    "ssim": '''
def ssim(y_true, y_pred):
    """Return the structural similarity of images in [0, 1]."""
    return tf.image.ssim(tf.cast(y_true, y_pred.dtype), y_pred, max_val=1.0, filter_size=7)
''',
}
_MASK_FUNCTIONS = {
    "dice_coefficient": '''
def dice_coefficient(y_true, y_pred):
    """Return twice the overlap over the sum of both areas, $over."""
    $prepare
    overlap = keras.ops.sum(y_true * y_pred)
    return (2.0 * overlap + 1.0) / (keras.ops.sum(y_true) + keras.ops.sum(y_pred) + 1.0)
''',
    "iou": '''
def iou(y_true, y_pred):
    """Return intersection over union, $over."""
    $prepare
    overlap = keras.ops.sum(y_true * y_pred)
    return (overlap + 1.0) / (keras.ops.sum(y_true) + keras.ops.sum(y_pred) - overlap + 1.0)
''',
}
_SPARSE_CLASS = '''
class Sparse{name}(keras.metrics.{name}):
    """Measure {name} against class indices."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Turn the indices into one column a class first."""
        indices = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        y_pred = keras.ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        return super().update_state(keras.ops.one_hot(indices, y_pred.shape[-1]), y_pred, sample_weight)
'''


@dataclass
class MetricChoice:
    """Hold the metrics: `name` for Config, expressions (none where `name` is Keras' own), own functions."""

    name: str
    codes: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)


def choose_metrics(text: str, kind: str, labels: str, units: int, loss: str) -> MetricChoice:
    """Return the metrics that a plan means, as far as they exist for the task."""
    usual = "accuracy" if kind in ("classes", "labels", "mask") else "mean_absolute_error"
    canonical = canonical_metric(text)
    lowered = text.lower()
    found = []
    for pattern, name in _PATTERNS:
        if re.search(pattern, lowered):
            found.append(name)
            lowered = re.sub(pattern, " ", lowered)
    if (canonical == "accuracy" and found == ["accuracy"]) or (canonical in _PLAIN and len(found) <= 1):
        return _plain(canonical, kind, labels, usual)
    if not found:
        named = canonical if re.fullmatch(r"[a-z][a-z0-9_ ]{0,60}", canonical) and canonical != "loss" else ""
        chosen = MetricChoice(named or usual)
        if named:
            chosen.codes = [f'"{usual}"']
            chosen.deviations = [f"metric {usual}: {text!r} is no metric that Keras has for this task"]
        return chosen
    order = sorted(found, key=lambda name: (name != canonical, found.index(name)))
    chosen = MetricChoice(canonical if canonical in found else order[0])
    for name in order:
        code = _code(name, kind, labels, units, lowered, chosen)
        if code and code not in chosen.codes:
            chosen.codes.append(code)
        elif not code:
            chosen.deviations.append(f"metric {name} is left out: it does not exist for this output")
    chosen.codes = chosen.codes or [f'"{usual}"']
    return chosen


def _plain(canonical: str, kind: str, labels: str, usual: str) -> MetricChoice:
    values = kind in ("values", "image")
    if labels == "index" and canonical not in ("accuracy", "sparse_categorical_crossentropy"):
        if canonical.endswith("crossentropy"):
            return MetricChoice(canonical, codes=['"sparse_categorical_crossentropy"'])
        return MetricChoice(
            canonical, codes=['"accuracy"'], deviations=[f"metric {canonical}: labels are indices here"]
        )
    if (canonical == "sparse_categorical_crossentropy" and labels != "index") or (
        values and canonical == "categorical_crossentropy"
    ):
        return MetricChoice(canonical, codes=[f'"{usual}"'])
    return MetricChoice(canonical)


def _code(name: str, kind: str, labels: str, units: int, text: str, chosen: MetricChoice) -> str:
    """Return the expression for one metric; its own functions go into `chosen`."""
    sparse = labels == "index"
    if name in ("accuracy", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy"):
        return _accuracy(name, labels, kind)
    if name == "top_k_categorical_accuracy":
        prefix = "SparseTopK" if sparse else "TopK"
        return (
            f"keras.metrics.{prefix}CategoricalAccuracy(k={min(3, units)})"
            if units > 2 and kind != "mask"
            else ""
        )
    if name in _CLASS:
        return _class_metric(name, labels, kind, chosen)
    if name in ("mean_iou", "iou", "dice_coefficient"):
        return _overlap(name, kind, labels, units, chosen)
    if name in _IMAGE_FUNCTIONS and kind == "image":
        chosen.functions.append(_IMAGE_FUNCTIONS[name])
        return name
    if name == "crossentropy":
        return {
            "index": '"sparse_categorical_crossentropy"',
            "one_hot": '"categorical_crossentropy"',
            "binary": '"binary_crossentropy"',
        }.get(labels, "")
    if sparse:
        return ""
    if name == "root_mean_squared_error":
        return 'keras.metrics.RootMeanSquaredError(name="root_mean_squared_error")'
    if name == "r2_score":
        return 'keras.metrics.R2Score(name="r2_score")' if kind == "values" else ""
    return f'"{name}"' if name in _PLAIN else ""


def _accuracy(name: str, labels: str, kind: str) -> str:
    if kind in ("values", "image"):
        return '"accuracy"'
    fitting = {
        "index": "sparse_categorical_accuracy",
        "one_hot": "categorical_accuracy",
        "binary": "binary_accuracy",
    }
    return (
        f'"{name}"'
        if name in ("accuracy", fitting[labels]) or (labels, name) == ("one_hot", "binary_accuracy")
        else '"accuracy"'
    )


def _class_metric(name: str, labels: str, kind: str, chosen: MetricChoice) -> str:
    cls = _CLASS[name]
    if kind in ("values", "image") or (kind == "mask" and name == "f1_score"):
        return ""
    extra = ', average="macro"' if name == "f1_score" and labels != "binary" else ""
    if name == "f1_score" and labels == "binary":
        extra = ', average="micro", threshold=0.5'  # without an average it is an array
    if labels != "index":
        return f'keras.metrics.{cls}(name="{name}"{extra})'
    code = _SPARSE_CLASS.format(name=cls)
    if code not in chosen.functions:
        chosen.functions.append(code)
    return f'Sparse{cls}(name="{name}"{extra})'


def _overlap(name: str, kind: str, labels: str, units: int, chosen: MetricChoice) -> str:
    if kind != "mask":
        return ""
    if name == "mean_iou":
        if labels == "binary":
            return 'keras.metrics.BinaryIoU(target_class_ids=[0, 1], name="mean_iou")'
        sparse = "True" if labels == "index" else "False"
        arguments = f'num_classes={units}, sparse_y_true={sparse}, sparse_y_pred=False, name="mean_iou"'
        return f"keras.metrics.MeanIoU({arguments})"
    if labels == "index":
        prepare = (
            'y_true = keras.ops.cast(keras.ops.squeeze(y_true, -1), "int32")\n'
            "    y_true = keras.ops.one_hot(y_true, y_pred.shape[-1])"
        )
    else:
        prepare = "y_true = keras.ops.cast(y_true, y_pred.dtype)"
    over = "all classes together" if labels != "binary" else "of the whole batch"
    chosen.functions.append(_MASK_FUNCTIONS[name].replace("$prepare", prepare).replace("$over", over))
    return name


def maker(chosen: MetricChoice) -> str:
    """Return the code of `make_metrics`."""
    inside = ", ".join(chosen.codes)
    listing = f"[{inside}]"
    if len(listing) > 80:
        listing = "[\n" + "".join(f"            {code},\n" for code in chosen.codes) + "        ]"
    return (
        "def make_metrics(config: Config) -> list:\n"
        '    """Return the metrics; `config.metric` may also be any name that Keras knows."""\n'
        f"    if config.metric == {quoted(chosen.name)}:\n"
        f"        return {listing}\n"
        "    return [config.metric]\n"
    )
