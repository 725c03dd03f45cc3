"""Audio classification and speech recognition: wav files in, a class or a transcript out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dlcodegen_local.compiler import audio_sections as sections
from dlcodegen_local.compiler.arguments import Expr
from dlcodegen_local.compiler.catalog import BASE_FACTS, RECURRENT, SPECS
from dlcodegen_local.compiler.chain import Head, Item
from dlcodegen_local.compiler.fitloop import array_sections
from dlcodegen_local.compiler.objective import Targets, read_objective
from dlcodegen_local.compiler.program import Program, Setting
from dlcodegen_local.compiler.reading import count_classes, input_from_layers, last_layer, read_shapes
from dlcodegen_local.compiler.sequence_core import (
    LOAD_TRAINED,
    build_network,
    encode_labels,
    label_shape,
    planned_items,
    planned_preprocessing,
    used_settings,
)
from dlcodegen_local.compiler.sequence_fitting import fit_sequence
from dlcodegen_local.compiler.templates import fill
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.plan.vocabulary import canonical_metric

DEFAULT_LAYERS = (
    "Conv2D(32, (3, 3), activation='relu')",
    "MaxPooling2D((2, 2))",
    "Conv2D(64, (3, 3), activation='relu')",
    "MaxPooling2D((2, 2))",
    "GlobalAveragePooling2D()",
    "Dense(64, activation='relu')",
    "Dropout(0.3)",
)
DEFAULT_SPEECH_LAYERS = (
    "Conv1D(64, 11, padding='same', activation='relu')",
    "BatchNormalization()",
    "Bidirectional(LSTM(128, return_sequences=True))",
    "Dropout(0.3)",
)
CHARACTER_COUNT = 29
LONGEST_FEATURES = 4000


@dataclass(frozen=True)
class Features:
    """Hold what a recording becomes: "wave", or a spectrogram of `shape`; `bands_first` as images have it."""

    kind: str
    shape: tuple[int, ...]
    bands_first: bool = False
    coefficients: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """Frames and bands of the spectrogram."""
        if len(self.shape) == 1:
            return 1, self.shape[0]
        first, second = self.shape[:2]
        if len(self.shape) == 2 and second == 1:
            return 1, first
        return (second, first) if self.bands_first else (first, second)

    @property
    def shape_code(self) -> str:
        """Source text of the shape, with the names of Config."""
        if self.kind == "wave":
            return "(config.num_samples,)" if len(self.shape) == 1 else "(config.num_samples, 1)"
        if len(self.shape) == 1:
            return "(config.num_bands,)"
        if self.sizes[0] == 1 and len(self.shape) == 2:
            return "(config.num_bands, 1)"
        pair = (
            "config.num_bands, config.num_frames"
            if self.bands_first
            else "config.num_frames, config.num_bands"
        )
        return f"({pair}, config.channels)" if len(self.shape) == 3 else f"({pair})"

    def settings(self, sample_rate: int) -> list[Setting]:
        """Return the fields of Config."""
        samples = self.shape[0] if self.kind == "wave" else sample_rate
        settings = [
            Setting("sample_rate", sample_rate),
            Setting("num_samples", samples, "longer recordings are cut"),
        ]
        if self.kind != "wave":
            frames, bands = self.sizes
            settings += [Setting("num_frames", frames), Setting("num_bands", bands)]
            settings += [Setting("channels", self.shape[2])] if len(self.shape) == 3 else []
        return settings

    def code(self) -> str:
        """Return `extract_features`."""
        if self.kind == "wave":
            return fill(sections.WAVEFORM_FEATURES, shape=self.shape_code)
        bands = self.sizes[1]
        arrange = "features = features[..., 0]" if len(self.shape) == 2 else ""
        if self.bands_first:
            arrange = "features = tf.transpose(features, (0, 2, 1, 3))" + (
                "[..., 0]" if len(self.shape) == 2 else ""
            )
        if len(self.shape) == 3 and self.shape[2] > 1:
            arrange += "\nfeatures = tf.repeat(features, config.channels, axis=-1)"
        if self.sizes[0] == 1 and len(self.shape) < 3:
            arrange = "features = tf.reshape(features, (-1, config.num_bands" + (
                ", 1))" if len(self.shape) == 2 else "))"
            )
        mfcc = "features = tf.signal.mfccs_from_log_mel_spectrograms(features)" if self.coefficients else ""
        return fill(
            sections.SPECTROGRAM_FEATURES,
            kind="MFCCs" if self.coefficients else "log-mel spectrograms",
            shape=self.shape_code,
            frames="config.num_frames",
            bands="config.num_bands",
            bins="config.num_bands" if bands <= 128 else "128",
            mfcc=mfcc,
            arrange=arrange,
        )


def compile_audio_classification(plan: Plan) -> Program:
    """Compile a plan whose output is the class of a recording."""
    return _classification(plan, planned_items(plan, DEFAULT_LAYERS))


def compile_speech_recognition(plan: Plan) -> Program:
    """Compile a plan that transcribes by CTC, or tells which of a few words was said."""
    items = planned_items(plan, DEFAULT_SPEECH_LAYERS)
    output = f"{plan.dataset_output} {plan.loss} {plan.metric}".lower()
    transcribes = re.search(r"\bctc|transcri|character|sentence|\bwer\b|\bcer\b|word error|text", output)
    last = last_layer(items)
    classes = (
        re.search(r"\bclass|label|categor|command", plan.dataset_output.lower()) or "categorical" in output
    )
    if not transcribes and (classes or last.activation == "softmax"):
        return _classification(plan, items)
    return _transcription(plan, items)


def read_features(plan: Plan, items: Sequence[Item]) -> Features:
    """Return the features that the first layers take, in the shape that the plan states."""
    words = f"{plan.dataset_input} {plan.preprocess}".lower()
    coefficients = "mfcc" in words or "coefficient" in words
    shapes = [shape for shape in read_shapes(plan.dataset_input) if len(shape) <= 3]
    stated = input_from_layers(list(items)) or (shapes[0] if shapes else None)
    sizes = tuple(size or 64 for size in stated) if stated else None
    axes = next((wanted for item in items if (wanted := _axes(item))), 1)
    wave = re.search(r"waveform|raw audio|\bhz\b|audio samples|audio signal", words) and not coefficients
    if sizes is None and wave and axes == 2:
        return Features("wave", (8000, 1))
    if sizes is not None and len(sizes) <= 2 and sizes[0] > LONGEST_FEATURES and sizes[-1] in (1, sizes[0]):
        return Features("wave", (min(sizes[0], 48_000), *sizes[1:]))
    if sizes is None or (axes == 3 and len(sizes) < 2) or any(size > LONGEST_FEATURES for size in sizes):
        side = 128 if any(item.name in BASE_FACTS for item in items) else 64
        sizes = {3: (side, side, 3 if side == 128 else 1), 2: (64, 40), 1: (40,)}[axes]
    if axes == 3 and len(sizes) == 2:
        sizes = (*sizes, 1)
    return Features("bands", sizes, bands_first=len(sizes) == 3, coefficients=coefficients)


def _axes(item: Item) -> int | None:
    """Return the number of axes, channels included, that a layer takes; None where it takes any."""
    if item.name in BASE_FACTS:
        return 3
    if item.name in ("Bidirectional", *RECURRENT):
        return 2
    wanted = SPECS[item.name].rank if item.name in SPECS else None
    return min(wanted, 3) if wanted and wanted > 1 else None


def _sample_rate(plan: Plan) -> int:
    match = re.search(r"(\d+(?:\.\d+)?)\s*(k?)hz", f"{plan.dataset_input} {plan.preprocess}".lower())
    rate = float(match.group(1)) * (1000 if match and match.group(2) else 1) if match else 16_000
    return int(rate) if 4000 <= rate <= 96_000 else 16_000


def _classification(plan: Plan, items: list[Item]) -> Program:
    features = read_features(plan, items)
    last = last_layer(items)
    size = max(2, count_classes(plan.dataset_output) or last.units or 2)
    objective = read_objective(plan, Targets("classes", size, last.units, last.activation))
    units = "1" if objective.units == 1 else "config.num_classes"
    symbols = {
        name: Expr(units, objective.units)
        for name in ("num_classes", "n_classes", "number_of_classes", "num_labels")
    }
    head = Head((objective.units,), units, objective.activation, objective.accepts)
    chain, blocks = fit_sequence(items, features.shape, features.shape_code, head, symbols, "numbers")
    settings = [*features.settings(_sample_rate(plan)), Setting("num_classes", size)]
    model = build_network(chain, blocks, objective, settings)
    encoded = encode_labels(objective.labels)
    data = fill(
        sections.WAV_FILES + "\n\n" + features.code() + sections.FOLDERS,
        label_shape=label_shape(objective.labels),
        encode="" if encoded == "labels" else f"labels = {encoded}",
    )
    return Program(
        title=f"{plan.category} with a neural network",
        summary=f"Tells recordings apart by their sound. {planned_preprocessing(plan)}",
        data_format="one folder a class in `data_dir`, each with 16-bit PCM wav files; "
        "classes are numbered in the order of their names.",
        data=data,
        model=model,
        **array_sections("class probabilities"),
        optimizer=objective.optimizer,
        loss=objective.loss,
        metric=objective.metric,
        settings=used_settings(settings, data, model),
        deviations=(*objective.deviations, *chain.deviations),
    )


def _frames_first(features: Features) -> Features:
    """Return a spectrogram whose first axis is time: CTC reads step after step."""
    if features.kind == "wave" or len(features.shape) < 2:
        return Features("bands", (128, 40), coefficients=features.coefficients)
    return replace(features, bands_first=False)


def _transcription(plan: Plan, items: list[Item]) -> Program:
    """Compile a plan that writes down what is said, character by character."""
    kept = [item for item in items if not re.search(r"Flatten|Global|RepeatVector", item.name)]
    features = _frames_first(read_features(plan, kept))
    last = last_layer(kept)
    count = max(CHARACTER_COUNT, min(last.units or 0, 200))
    head = Head((0, count), "config.num_characters", "softmax", frozenset())
    symbols = {
        name: Expr("config.num_characters", count) for name in ("vocab_size", "num_classes", "output_dim")
    }
    chain, blocks = fit_sequence(kept, features.shape, features.shape_code, head, symbols, "numbers")
    chain.deviations += ["pooling over time left out: CTC reads every step"] if len(kept) < len(items) else []
    steps = chain.shape[0] or 16
    objective = read_objective(plan, Targets("values", count))
    optimizer = next(
        part for part in objective.functions.split("\n\n\n") if part.startswith("def make_optimizer")
    )
    functions = f"{sections.CTC_LOSS.strip()}\n\n\n{optimizer}"
    settings = [
        *features.settings(_sample_rate(plan)),
        Setting("num_characters", count, "with the blank"),
        Setting("transcript_length", max(2, min(100, steps // 2))),
    ]
    compile_call = "model.compile(optimizer=make_optimizer(config), loss=ctc_loss)"
    model = build_network(chain, blocks, objective, settings, functions, compile_call)
    data = fill(sections.WAV_FILES + "\n\n" + features.code() + sections.TRANSCRIPTS)
    planned_loss = plan.loss.strip()
    loss_note = (
        [f"loss ctc_loss instead of {planned_loss}"]
        if planned_loss and "ctc" not in planned_loss.lower()
        else []
    )
    return Program(
        title="Speech recognition with CTC",
        summary=f"Writes down recordings, character by character. {planned_preprocessing(plan)}",
        data_format="`data_dir` with 16-bit PCM wav files and `transcripts.csv`, "
        "which has the columns `file` and `transcript`.",
        data=data,
        model=model,
        train=array_sections("")["train"],
        evaluate=fill(LOAD_TRAINED + sections.SPEECH_EVALUATE),
        predict=sections.SPEECH_PREDICT,
        optimizer=objective.optimizer,
        loss="ctc_loss",
        metric=canonical_metric(plan.metric) or "cer",
        settings=used_settings(settings, data, model),
        deviations=(*loss_note, *chain.deviations),
    )
