"""What a look at the names in code tells where following it found nothing: losses, optimizers, metrics.

Names that stand alone mean little; those here are taken from calls, keys of tables and functions, in the
order in which the code has them.
"""

import ast
import re

from dlcodegen_local.plan.vocabulary import canonical_metric, is_known_metric

_CALLED_LOSSES = {
    "cross_entropy": "sparse_categorical_crossentropy",
    "CrossEntropyLoss": "sparse_categorical_crossentropy",
    "nll_loss": "sparse_categorical_crossentropy",
    "NLLLoss": "sparse_categorical_crossentropy",
    "binary_cross_entropy": "binary_crossentropy",
    "binary_cross_entropy_with_logits": "binary_crossentropy",
    "BCELoss": "binary_crossentropy",
    "BCEWithLogitsLoss": "binary_crossentropy",
    "mse_loss": "mean_squared_error",
    "MSELoss": "mean_squared_error",
    "l1_loss": "mean_absolute_error",
    "L1Loss": "mean_absolute_error",
    "smooth_l1_loss": "huber",
    "SmoothL1Loss": "huber",
    "HuberLoss": "huber",
    "CTCLoss": "ctc_loss",
    "ctc_loss": "ctc_loss",
    "KLDivLoss": "kl_divergence",
    "TripletMarginLoss": "triplet_loss",
}
_PREFIX = re.compile(
    r"^(?:test|val(?:id(?:ation)?)?|train(?:ing)?|mean|avg|average|best|final|total|running|compute|calculate|"
    r"calc|get|binary|epoch|eval|batch|top1?)_"
)
_NO_VARIABLES = re.compile(
    r".{0,2}|.*crossentropy|kld?|f1|kl_divergence|.*divergence|ap|auc_|bce|cer|map|fid"
)
_CHOICE = re.compile(r"loss|optim|criteri", re.I)
_NO_METRIC_NAMES = """
binary_crossentropy categorical_crossentropy cosine em iou_loss kl_divergence l1 log_loss loss map mean
recall_score reward sparse_categorical_crossentropy
"""
_NO_METRICS = frozenset(_NO_METRIC_NAMES.split())


def called_losses(tree: ast.Module) -> list[str]:
    """Return the losses of PyTorch that code names as attributes, in order."""
    names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return list(dict.fromkeys(_CALLED_LOSSES[name] for name in names if name in _CALLED_LOSSES))


def named_metrics(tree: ast.Module) -> list[str]:
    """Return the metrics that code computes by hand: keys of tables, then functions, then variables."""
    keys: list[str] = []
    functions: list[str] = []
    variables: list[str] = []
    compared = False
    skipped = _tables_of_choices(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and id(node) not in skipped:
            keys += [
                key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
            ]
        elif isinstance(node, ast.FunctionDef):
            functions.append(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            variables += [] if _NO_VARIABLES.fullmatch(node.id.lower()) else [node.id]
        compared = compared or _counts_hits(node)
    found = [name for text in (*keys, *functions, *variables) if (name := _metric(text))]
    if compared:
        found.append("accuracy")
    return list(dict.fromkeys(found))


def _tables_of_choices(tree: ast.Module) -> set[int]:
    """Return the ids of the tables that losses or optimizers are chosen from."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and re.search(r"loss|optim|criteri", ast.unparse(node.targets[0]), re.I)
    }


def _metric(text: str) -> str:
    plain = text.lower()
    for _ in range(3):
        plain = _PREFIX.sub("", plain)
    plain = re.sub(r"_(?:score|per_epoch|history|list|fn|sum|total|value|values)$", "", plain)
    if len(plain) > 40 or not is_known_metric(plain) or plain in _NO_METRICS:
        return ""
    found = canonical_metric(plain)
    return "" if found in _NO_METRICS else found


def _counts_hits(node: ast.AST) -> bool:
    """Say whether a node is `(a == b).sum()`, `a.eq(b).float().mean()` or the like."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr not in ("sum", "mean", "float"):
        return False
    inner = node.func.value
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
        return inner.func.attr == "eq"
    return isinstance(inner, ast.Compare) and isinstance(inner.ops[0], ast.Eq)
