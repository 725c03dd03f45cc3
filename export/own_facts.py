"""What a plan of our own states, in the words of a requirement: sizes, counts, settings, networks."""

import random
import re
from collections.abc import Mapping
from typing import Any

from dlcodegen_local.plan.schema import Plan
from export.own_sketches import Sketch, pick

Fact = str | int | float

# fact: English templates, German templates
_TEMPLATES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "size": (
        (
            "{0}x{0} pixels",
            "images of {0}x{0}",
            "{0}x{0} images",
            "image size {0}",
            "{0} x {0} px",
            "{0}x{0}",
        ),
        ("{0}x{0} Pixel", "Bilder mit {0}x{0} Pixeln", "{0} x {0} Pixel", "Bildgröße {0}", "{0}x{0}"),
    ),
    "classes": (
        ("{} classes", "{} categories", "{} different classes", "there are {} classes"),
        ("{} Klassen", "mit {} Klassen", "es gibt {} Klassen"),
    ),
    "epochs": (
        ("{} epochs", "train for {} epochs", "for {} epochs", "epochs={}", "over {} epochs"),
        ("{} Epochen", "über {} Epochen", "{} Epochen lang trainieren"),
    ),
    "batch_size": (
        ("batch size {}", "batch size of {}", "batches of {}", "batch_size={}", "bs {}"),
        ("Batchgröße {}", "Batch-Größe {}", "mit Batchgröße {}", "Batch Size {}"),
    ),
    "learning_rate": (
        ("learning rate {:g}", "a learning rate of {:g}", "lr {:g}", "lr={:g}", "learning rate = {:g}"),
        ("Lernrate {:g}", "Lernrate von {:g}", "lr={:g}"),
    ),
    "optimizer": (
        ("{} optimizer", "optimizer {}", "use {}", "with {}", "the {} optimizer", "optimizer={}"),
        ("mit {}", "Optimizer {}", "{} als Optimierer", "Optimierer {}"),
    ),
    "loss": (("{} loss", "loss {}", "loss function {}"), ("Verlustfunktion {}", "Loss {}")),
    "metric": (("metric {}", "{} as metric", "measured by {}"), ("Metrik {}", "gemessen mit {}")),
    "network": (
        ("with {}", "using {}", "based on {}", "{}", "with a pretrained {}"),
        ("mit {}", "auf Basis von {}", "{}", "mit vortrainiertem {}"),
    ),
    "layer": (("with an {}", "use an {}", "an {} model"), ("mit einem {}", "als {}")),
    "length": (
        ("texts of at most {} words", "sequence length {}", "max length {}", "{} tokens at most"),
        ("höchstens {} Wörter", "Sequenzlänge {}", "maximal {} Tokens"),
    ),
    "columns": (
        ("{} features", "{} numeric columns", "{} columns", "{} input features"),
        ("{} Spalten", "{} Merkmale", "{} numerische Merkmale"),
    ),
    "steps": (
        ("windows of {} steps", "sequence length {}", "the last {} steps", "{} time steps"),
        ("Fenster von {} Schritten", "Sequenzlänge {}", "{} Zeitschritte"),
    ),
    "channels": (("{} channels", "{} sensors"), ("{} Kanäle", "{} Sensoren")),
    "ahead": (("{} steps ahead", "horizon of {} steps"), ("{} Schritte voraus", "Horizont {}")),
    "bins": (("{} mel bins", "{} frequency bins"), ("{} Mel-Bänder",)),
    "frames": (("{} frames per clip", "clips of {} frames"), ("{} Bilder pro Clip",)),
}
_SETTINGS = ("epochs", "optimizer", "batch_size", "learning_rate", "loss", "metric")
_RARE: Mapping[str, tuple[float, ...]] = {
    "epochs": (1, 2, 3, 5, 7, 8, 12, 15, 25, 40, 60, 75, 80, 100, 120, 150, 200, 300, 500),
    "batch_size": (1, 2, 4, 8, 10, 12, 20, 24, 48, 50, 64, 100, 128, 200, 256, 512, 1024),
    "learning_rate": (0.1, 0.05, 0.01, 0.005, 0.002, 0.003, 0.0003, 0.0002, 5e-05, 2e-05, 1e-05, 1e-06),
}
_OPTIMIZERS = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD", "adamw": "AdamW", "nadam": "Nadam"}
_METRICS = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "mean_absolute_error": "MAE",
    "root_mean_squared_error": "RMSE",
    "mean_io_u": "IoU",
    "bleu score": "BLEU",
}
_NETWORK = re.compile(r"^([A-Z][A-Za-z]*[A-Z0-9a-z]*)\((?=include_top)|^TF(\w*Bert|Roberta)Model")
_TORCH_LOSSES = {
    "binary_crossentropy": ("BCEWithLogitsLoss", "nn.BCELoss", "nn.BCEWithLogitsLoss"),
    "categorical_crossentropy": ("CrossEntropyLoss", "nn.CrossEntropyLoss"),
    "sparse_categorical_crossentropy": ("CrossEntropyLoss", "nn.CrossEntropyLoss", "F.cross_entropy"),
    "mean_squared_error": ("MSELoss", "nn.MSELoss"),
    "mean_absolute_error": ("L1Loss", "nn.L1Loss"),
    "huber": ("SmoothL1Loss", "nn.HuberLoss"),
    "ctc loss": ("CTCLoss", "nn.CTCLoss"),
}


def facts_of(sketch: Sketch, plan: Plan) -> dict[str, Fact]:
    """Return what a requirement may state of a plan, by the name of the fact."""
    facts: dict[str, Fact] = {
        "epochs": plan.epochs or 0,
        "batch_size": plan.batch_size or 0,
        "learning_rate": plan.learning_rate or 0,
        "optimizer": _OPTIMIZERS.get(plan.optimizer, ""),
        "metric": _METRICS.get(plan.metric, ""),
        "loss": plan.loss.removesuffix(" loss").replace("_", " "),
        "size": sketch.size,
        "classes": sketch.classes,
        "network": network_of(plan),
        "layer": next((name for name in ("LSTM", "GRU") if f"{name}(" in plan.layers[-2]), ""),
        **_lengths(plan),
    }
    return {name: value for name, value in facts.items() if value}


def network_of(plan: Plan) -> str:
    """Return the name of the network that a plan builds on, `""` for none."""
    for layer in plan.layers[:2]:
        if found := _NETWORK.match(layer):
            return found.group(1) or found.group(2).replace("Bert", "BERT").replace("Roberta", "RoBERTa")
    return "U-Net" if plan.category == "Image Segmentation" else ""


def chosen_facts(facts: Mapping[str, Fact], count: int, rng: random.Random) -> list[str]:
    """Return the names of `count` facts in a random order, half of them of the data and the network."""
    names = sorted(name for name in facts if name not in _SETTINGS)
    settings = [name for name in _SETTINGS if name in facts]
    rng.shuffle(names)
    rng.shuffle(settings)
    of_the_data = (count + 1) // 2 if names else 0
    chosen = (names[:of_the_data] + settings)[:count]
    rng.shuffle(chosen)
    return chosen


def rare_settings(names: list[str], rng: random.Random) -> dict[str, Any]:
    """Return values that few choose for half of the numbers of training among the names."""
    return {name: pick(rng, *_RARE[name]) for name in names if name in _RARE and rng.random() < 0.5}


def stated(facts: Mapping[str, Fact], names: list[str], german: bool, rng: random.Random) -> str:
    """Return the named facts in words."""
    return ", ".join(_in_words(name, facts[name], german, rng) for name in names)


def _in_words(name: str, value: Fact, german: bool, rng: random.Random) -> str:
    if str(value) == "U-Net":
        return pick(rng, "mit einem U-Net", "U-Net") if german else pick(rng, "with a U-Net", "use a U-Net")
    return pick(rng, *_TEMPLATES[name][german]).format(value).replace("an GRU", "a GRU")


def torch_loss(plan: Plan, rng: random.Random) -> str:
    """Return PyTorch's class for a plan's loss, `""` where it has none."""
    return pick(rng, *_TORCH_LOSSES.get(plan.loss, ("",)))


def torch_optimizer(plan: Plan) -> str:
    """Return PyTorch's call for a plan's optimizer."""
    name = {"nadam": "NAdam"}.get(plan.optimizer, _OPTIMIZERS[plan.optimizer])
    return f"torch.optim.{name}(lr={plan.learning_rate:g})"


def _lengths(plan: Plan) -> dict[str, Fact]:
    shape = [int(number) for number in re.findall(r"\d+", plan.dataset_input)]
    output = [int(number) for number in re.findall(r"\d+", plan.dataset_output)]
    category = plan.category
    if category in ("Text Classification", "Token Classification"):
        return {"length": shape[0]}
    if category in ("Tabular Regression", "Tabular Classification", "Anomaly Detection"):
        return {"columns": shape[0]}
    if category == "Time Series Forecasting":
        return {"steps": shape[0], "channels": shape[1], "ahead": output[0]}
    if category == "Time Series Classification":
        return {"steps": shape[0], "channels": shape[1]}
    if category in ("Audio Classification", "Speech Recognition"):
        return {"bins": shape[1]}
    return {"frames": shape[0]} if category == "Video Classification" else {}
