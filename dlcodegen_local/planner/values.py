"""Canonical spellings of optimizers, losses and metrics: what the planner chooses among.

A spelling is canonical when it is Keras' own name where there is one. Longer phrases ("adam with
swa") keep their words in lower case. Does not decide what a spelling means to a framework.
"""

import math
import re
from collections.abc import Sequence

_OPTIMIZERS = (
    ("", r"|not specified|none|default|custom|unknown"),
    ("sgd", r"(stochastic )?gradient descent|sgd|stochastic gradient descent sgd"),
    ("adam", r"adam( with)?( specific| specified| default)?( parameters| settings)?"),
    ("rmsprop", r"rms ?prop"),
    ("rectified_adam", r"rectified ?adam( radam)?|radam"),
    ("adamw", r"adam ?w|adamw with weight decay|adamweightdecay"),
    ("sgd with momentum", r"sgd (with )?momentum.*"),
    ("lookahead with adam", r"(adam with lookahead|lookahead with adam( base)?)"),
    ("adam with swa", r"adam with swa( stochastic weight averaging)?"),
    ("adam with decay", r"adam with (learning rate )?(decay|scheduler|schedule)|adam with cosinedecay"),
)
_LOSSES = (
    ("", r"|not specified|none|default|unknown"),
    ("binary_crossentropy", r"(binary ?(cross ?entropy|crossentropy)|bce|log ?loss|binary log loss)"),
    ("sparse_categorical_crossentropy", r"sparse ?categorical ?cross ?entropy( from logits true)?"),
    ("categorical_crossentropy", r"(categorical ?)?cross ?entropy"),
    ("mean_squared_error", r"mean ?squared? ?error( mse)?|mse"),
    ("mean_absolute_error", r"mean ?absolute ?error( mae)?|mae"),
    ("mean_absolute_percentage_error", r"mean ?absolute ?percentage ?error( mape)?|mape"),
    ("mean_squared_logarithmic_error", r"mean ?squared ?logarithmic ?error( msle)?|msle"),
    ("root_mean_squared_error", r"root ?mean ?squared? ?error( rmse)?|rmse"),
    ("kl_divergence", r"kl ?divergence|kullback ?leibler ?divergence"),
    ("dice coefficient loss", r"dice ?(coef(ficient)?s?)?( ?loss)?"),
    ("huber", r"huber( ?loss)?"),
    ("focal loss", r"(binary |categorical )?focal( ?loss)?"),
    ("ctc loss", r"ctc( ?loss)?"),
)
_METRICS = (
    ("", r"|not specified|none|default|unknown|n a"),
    ("accuracy", r"(validation |test |training |model )?(accuracy|acc)( score)?"),
    ("categorical_accuracy", r"categorical ?accuracy"),
    ("sparse_categorical_accuracy", r"sparse ?categorical ?accuracy"),
    ("binary_accuracy", r"binary ?accuracy"),
    ("auc", r"auc|area under (the )?(roc )?curve( auc)?"),
    ("roc auc", r"(roc ?auc|auc ?roc)( score)?"),
    ("mean_absolute_error", r"mean ?absolute ?error( mae)?|mae"),
    ("mean_squared_error", r"mean ?squared? ?error( mse)?|mse"),
    ("root_mean_squared_error", r"root ?mean ?squared? ?error( rmse)?|rmse"),
    ("mean_absolute_percentage_error", r"mean ?absolute ?percentage ?error( mape)?"),
    ("mape", r"mape"),
    ("loss", r"(validation |val |training |test )?loss"),
    ("f1 score", r"f1( ?score)?"),
    ("mean_io_u", r"(mean )?(iou|intersection over union)( iou| score)?|meaniou"),
    ("dice coefficient", r"dice( coef(ficient)?| score)?"),
    ("bleu score", r"bleu( score)?"),
    ("log loss", r"log ?loss"),
    ("r2 score", r"r2( score)?|r squared"),
)


def canonical_optimizer(text: str) -> str:
    """Return the canonical spelling of an optimizer, `""` for none."""
    return _canonical(re.sub(r"\boptimi[sz]er\b", " ", text, flags=re.IGNORECASE), _OPTIMIZERS)


def canonical_loss(text: str) -> str:
    """Return the canonical spelling of a loss function, `""` for none."""
    return _canonical(text, _LOSSES)


def canonical_metric(text: str) -> str:
    """Return the canonical spelling of an evaluation metric, `""` for none."""
    return _canonical(text, _METRICS)


def _canonical(text: str, names: tuple[tuple[str, str], ...]) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", text)
    words = " ".join(re.findall(r"[a-z0-9+]+", words.lower()))
    for name, pattern in names:
        if re.fullmatch(pattern, words):
            return name
    return words


def nearest_value(number: float, candidates: Sequence[float]) -> float:
    """Return the candidate nearest to `number` in ratio, the first of equals. All must be above 0."""
    return min(candidates, key=lambda candidate: abs(math.log(candidate / number)))
