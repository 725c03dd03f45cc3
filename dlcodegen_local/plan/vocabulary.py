"""Canonical names of optimizers, losses and metrics, whatever spelling they come in.

Guarantees that every spelling of one thing yields the same Keras-like name (`adam`,
`categorical_crossentropy`, `f1_score`), and that an unknown name comes back stripped, never
replaced. Sparse and non-sparse crossentropies stay apart: they need different labels. Of several
names in one text ("accuracy, auc") the first known one is taken.
"""

import re
from collections.abc import Callable
from functools import cache

# canonical name -> further spellings, all compared by letters and digits only.
_OPTIMIZERS = {
    "adam": "adam optimiser|adam amsgrad|amsgrad|adaptive moment estimation|legacy adam",
    "adamw": "adam w|adam weight decay|weight decay adam",
    "adamax": "ada max",
    "nadam": "nesterov adam",
    "sgd": "stochastic gradient descent|gradient descent|sgd momentum|momentum|gradient descent optimizer",
    "rmsprop": "rms prop|root mean square propagation",
    "adagrad": "",
    "adadelta": "",
    "ftrl": "",
    "lion": "",
    "lamb": "",
    "adafactor": "",
    "rectified_adam": "radam",
    "lbfgs": "l bfgs",
}

_LOSSES = {
    "binary_crossentropy": "bce|binary cross entropy|sigmoid cross entropy|sigmoid crossentropy|log loss|"
    "logarithmic loss|bce with logits|bce with logits loss|binary log loss|bceloss|"
    "weighted binary crossentropy",
    "categorical_crossentropy": "cce|categorical cross entropy|softmax cross entropy|softmax crossentropy|"
    "multiclass crossentropy",
    "sparse_categorical_crossentropy": "scce|sparse cross entropy|sparse categorical cross entropy|"
    "sparse crossentropy|sparse softmax cross entropy",
    "cross_entropy": "crossentropy|cross entropy loss|ce",
    "binary_focal_crossentropy": "binary focal loss|binary focal cross entropy|sigmoid focal crossentropy|"
    "sigmoid focal cross entropy",
    "categorical_focal_crossentropy": "categorical focal loss|categorical focal cross entropy",
    "focal_loss": "focal",
    "mean_squared_error": "mse|mean square error|squared error|l2|l2 loss|mse loss",
    "root_mean_squared_error": "rmse|root mean square error",
    "mean_absolute_error": "mae|l1|l1 loss|absolute error|mae loss",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle|mean squared log error",
    "mean_columnwise_root_mean_squared_error": "mcrmse|mean columnwise rmse",
    "huber": "huber loss|smooth l1|smooth l1 loss",
    "log_cosh": "logcosh",
    "hinge": "",
    "squared_hinge": "",
    "categorical_hinge": "",
    "kl_divergence": "kld|kullback leibler divergence|kldiv",
    "poisson": "",
    "cosine_similarity": "cosine|cosine proximity",
    "dice_loss": "dice|dice coefficient loss|dice coef loss|dice coefficients loss|soft dice loss|soft dice",
    "bce_dice_loss": "binary crossentropy dice loss|bce dice|dice bce|"
    "binary crossentropy dice coefficient loss|dice loss binary crossentropy",
    "jaccard_loss": "iou loss|iou|jaccard|jaccard distance",
    "tversky_loss": "tversky",
    "focal_tversky_loss": "focal tversky",
    "ctc_loss": "ctc|ctc batch cost|connectionist temporal classification|ctc lambda func",
    "triplet_loss": "triplet|triplet semi hard loss",
    "contrastive_loss": "contrastive",
    "wasserstein_loss": "wasserstein",
    "pinball_loss": "quantile loss|quantile|pinball",
    "circle_loss": "circle",
    "arcface": "arc face|arcface loss",
    "nll_loss": "negative log likelihood|nll",
    "bpr_loss": "bpr|bayesian personalized ranking|bayesian personalised ranking",
}

_METRICS = {
    "accuracy": "acc|classification accuracy|test accuracy|accuracy score|validation accuracy|train accuracy|"
    "training accuracy|mean accuracy|overall accuracy",
    "binary_accuracy": "",
    "categorical_accuracy": "",
    "sparse_categorical_accuracy": "",
    "top_k_categorical_accuracy": "top k accuracy|top 2 accuracy|top 3 accuracy|top 5 accuracy|topk accuracy",
    "sparse_top_k_categorical_accuracy": "",
    "balanced_accuracy": "balanced accuracy score",
    "auc": "roc auc|auc roc|auroc|roc auc score|area under the curve|"
    "area under curve|area under the roc curve",
    "pr_auc": "auc pr|average precision score|mean pr auc|auprc",
    "precision": "precision score",
    "recall": "recall score|sensitivity|true positive rate",
    "specificity": "",
    "f1_score": "f1|f score|fbeta score|f measure|f1 m",
    "macro_f1_score": "macro f1|f1 macro",
    "mean_absolute_error": "mae|l1",
    "mean_squared_error": "mse|mean square error",
    "root_mean_squared_error": "rmse|root mean square error",
    "mean_absolute_percentage_error": "mape",
    "symmetric_mean_absolute_percentage_error": "smape",
    "mean_squared_logarithmic_error": "msle|mean squared log error",
    "root_mean_squared_logarithmic_error": "rmsle|root mean squared log error",
    "mean_columnwise_root_mean_squared_error": "mcrmse|mean columnwise rmse",
    "r2_score": "r2|r squared|r 2|coefficient of determination|r square",
    "binary_crossentropy": "bce|binary cross entropy|log loss|logarithmic loss|logloss|binary log loss",
    "categorical_crossentropy": "categorical cross entropy|multiclass log loss",
    "sparse_categorical_crossentropy": "sparse categorical cross entropy",
    "kl_divergence": "kullback leibler divergence|kld",
    "cosine_similarity": "cosine|cosine proximity",
    "iou": "intersection over union|jaccard|jaccard index|jaccard coefficient|jaccard similarity|iou coef|"
    "iou score|iou coefficient|jaccard coef|binary iou|io u",
    "mean_iou": "miou|mean io u|mean intersection over union|one hot mean iou",
    "dice_coefficient": "dice|dice coef|dice score|dice similarity coefficient|dsc|dice coeff",
    "tversky": "tversky index|tversky score",
    "mean_average_precision": "map|map 50|map50",
    "bleu": "bleu score|bleu 4",
    "rouge": "rouge score|rouge l|rouge 1",
    "wer": "word error rate",
    "cer": "character error rate",
    "psnr": "peak signal to noise ratio|peak signal noise ratio",
    "ssim": "structural similarity|structural similarity index|structural similarity index measure",
    "fid": "frechet inception distance",
    "perplexity": "",
    "loss": "validation loss|val loss|training loss|test loss",
    "mean_reward": "average reward|episode reward|reward|mean episode reward|cumulative reward|total reward",
    "hit_rate": "hit rate at k|hit ratio",
    "ndcg": "ndcg at k|normalized discounted cumulative gain",
    "matthews_correlation_coefficient": "mcc|matthews correlation",
    "cohen_kappa": "cohens kappa|kappa|quadratic weighted kappa|cohen kappa score",
    "hamming_loss": "hamming",
    "exact_match": "em",
    "spearman_correlation": "spearman|spearmans correlation|spearman rank correlation",
}

_NOTHING = frozenset(
    {"", "none", "na", "null", "notspecified", "notexplicitlyspecified", "unknown", "unspecified"}
)
_AFFIXES = ("lossfunction", "optimizer", "optimiser", "function", "metrics", "metric", "loss", "score")
_SPLIT = re.compile(r"[,;/+&|]|\b(?:and|or|with|for|using|plus|in|on)\b")
_MAX_CHARS = 500


def canonical_optimizer(text: str) -> str:
    """Return the canonical optimizer ("Adam(1e-3)", "tf.keras.optimizers.Adam" -> "adam")."""
    return _canonical(text, _lookup_optimizer)


def canonical_loss(text: str) -> str:
    """Return the canonical loss ("Categorical Cross-Entropy" -> "categorical_crossentropy")."""
    return _canonical(text, _lookup_loss)


def canonical_metric(text: str) -> str:
    """Return the canonical metric ("acc" -> "accuracy", "Jaccard index" -> "iou")."""
    return _canonical(text, _lookup_metric)


def is_known_loss(text: str) -> bool:
    """Say whether a text is a spelling of one known loss."""
    return _lookup_loss(letters_and_digits(text)) is not None


def is_known_metric(text: str) -> bool:
    """Say whether a text is a spelling of one known metric."""
    return _lookup_metric(letters_and_digits(text)) is not None


def letters_and_digits(text: str) -> str:
    """Return the text lower-cased, with everything but ASCII letters and digits dropped."""
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _canonical(text: str, lookup: Callable[[str], str | None]) -> str:
    stripped = text.strip()
    if len(stripped) > _MAX_CHARS:
        return stripped
    for candidate in _candidates(stripped):
        key = letters_and_digits(candidate)
        if key in _NOTHING:
            continue
        if found := lookup(key) or lookup(key.removeprefix("val")):
            return found
        for affix in _AFFIXES:
            if key.endswith(affix) and (found := lookup(key.removesuffix(affix))):
                return found
    return "" if letters_and_digits(stripped) in _NOTHING else stripped


def _candidates(text: str) -> list[str]:
    """List the readings of a text: whole, without arguments, without module, then its parts."""
    bare = re.sub(r"[(\[{].*?(?:[)\]}]|$)", " ", text)
    dotted = bare.strip().rsplit(".", 1)[-1]
    parts = [part.strip(" '\"[](){}").rsplit(".", 1)[-1] for part in _SPLIT.split(bare.lower())]
    inner = [part.strip(" '\"[](){}") for part in _SPLIT.split(text.lower())]
    return [text, bare, dotted, *parts, *inner]


def _table(names: dict[str, str]) -> dict[str, str]:
    table = {letters_and_digits(name): name for name in names}
    for name, spellings in names.items():
        for spelling in filter(None, spellings.split("|")):
            table.setdefault(letters_and_digits(spelling), name)
    return table


@cache
def _tables() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    return _table(_OPTIMIZERS), _table(_LOSSES), _table(_METRICS)


def _lookup_optimizer(key: str) -> str | None:
    return _tables()[0].get(key)


def _lookup_loss(key: str) -> str | None:
    return _tables()[1].get(key)


def _lookup_metric(key: str) -> str | None:
    return _tables()[2].get(key)
