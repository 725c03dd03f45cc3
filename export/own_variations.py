"""Training rows of our own in strangers' words: short, mistyped, German, PyTorch, several tasks, facts.

Guarantees that what a requirement states is what its plan says. The sketches give the plans, the subjects
the words; of several tasks in a requirement the first one is planned. The same `rng` gives the same row.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dlcodegen_local.plan.schema import Plan
from export import own_sketches_named, own_sketches_other, own_sketches_text, own_sketches_vision, own_wording
from export.own_facts import Fact, chosen_facts, facts_of, rare_settings, stated, torch_loss, torch_optimizer
from export.own_german import german_sentence
from export.own_phrases import Phrases
from export.own_sketches import Sketch, pick, plan_of
from export.own_subjects_german import GERMAN_SUBJECTS
from export.own_subjects_other import OTHER_SUBJECTS
from export.own_subjects_romance import FRENCH_FRAMES, ROMANCE_TASKS, SPANISH_FRAMES
from export.own_subjects_text import TEXT_SUBJECTS
from export.own_subjects_vision import VISION_SUBJECTS

_MAX_DRAWS = 30  # a second task may name a network that the first one never has
ENGLISH_SUBJECTS = {**VISION_SUBJECTS, **TEXT_SUBJECTS, **OTHER_SUBJECTS}


@dataclass(frozen=True)
class Kind:
    """Hold where the plans of one kind of task come from; `many` classes, two, or either (None)."""

    draws: tuple[Callable[[random.Random], Sketch], ...]
    category: str
    many: bool | None = None

    def sketch(self, rng: random.Random, words: str) -> Sketch:
        """Draw a sketch of the kind, one that the words do not contradict if there is one."""
        fitting = self._sketches(rng)
        sketch = next(fitting)
        for _ in range(_MAX_DRAWS):
            if _agrees(sketch, words):
                break
            sketch = next(fitting)
        return sketch

    def _sketches(self, rng: random.Random) -> Iterator[Sketch]:
        while True:
            sketch = pick(rng, *self.draws)(rng)
            if sketch.category == self.category and self.many in (None, bool(sketch.classes)):
                yield sketch


_VISION, _TEXT, _OTHER, _NAMED = (
    own_sketches_vision,
    own_sketches_text,
    own_sketches_other,
    own_sketches_named,
)
_PICTURES = (_VISION.image_classification, _VISION.image_classification, _NAMED.named_base)
_TEXTS = (_TEXT.text_classification, _TEXT.text_classification, _NAMED.bert_classification)
KINDS: dict[str, Kind] = {
    "image_classes": Kind(_PICTURES, "Image Classification", many=True),
    "image_pairs": Kind(_PICTURES, "Image Classification", many=False),
    "image_findings": Kind(_PICTURES, "Image Classification", many=False),
    "segmentation": Kind((_VISION.image_segmentation, _NAMED.class_segmentation), "Image Segmentation"),
    "detection": Kind((_VISION.object_detection,), "Object Detection"),
    "restoration": Kind((_VISION.image_to_image,), "Image-to-Image"),
    "image_generation": Kind((_VISION.image_generation,), "Image Generation"),
    "captioning": Kind((_VISION.image_to_text,), "Image-to-Text"),
    "image_regression": Kind((_VISION.image_regression,), "Image Regression"),
    "video": Kind((_VISION.video_classification,), "Video Classification"),
    "text_binary": Kind(_TEXTS, "Text Classification", many=False),
    "text_flags": Kind(_TEXTS, "Text Classification", many=False),
    "text_classes": Kind(_TEXTS, "Text Classification", many=True),
    "text_generation": Kind((_TEXT.text_generation,), "Text Generation"),
    "translation": Kind((_TEXT.pair_of_texts,), "Translation"),
    "summaries": Kind((_TEXT.pair_of_texts,), "Text Summarization"),
    "answering": Kind((_TEXT.question_answering,), "Question Answering"),
    "tagging": Kind((_TEXT.token_classification,), "Token Classification"),
    "regression": Kind((_OTHER.tabular_regression,), "Tabular Regression"),
    "table_binary": Kind((_OTHER.tabular_yes_or_no,), "Tabular Classification"),
    "table_classes": Kind((_OTHER.tabular_classes,), "Tabular Classification"),
    "forecasting": Kind((_OTHER.forecast,), "Time Series Forecasting"),
    "series_classes": Kind((_OTHER.series_classification,), "Time Series Classification"),
    "audio": Kind((_OTHER.audio_classification,), "Audio Classification"),
    "speech": Kind((_OTHER.speech_recognition,), "Speech Recognition"),
    "recommendation": Kind((_OTHER.recommendation,), "Recommendation"),
    "anomaly": Kind((_OTHER.anomaly_detection,), "Anomaly Detection"),
    "agent": Kind((_OTHER.reinforcement_learning,), "Reinforcement Learning"),
    "graph": Kind((_OTHER.graph_learning,), "Graph Learning"),
}
WORDINGS = (
    ("short", 5),
    ("plain", 4),
    ("chatter", 2),
    ("torch", 2),
    ("several", 2),
    ("german", 5),
    ("romance", 1),
)


def varied(kind_name: str, rng: random.Random) -> tuple[str, str, Plan]:
    """Return requirement, dataset attributes and plan of one row of a kind."""
    kind = KINDS[kind_name]
    wording = rng.choices([name for name, _ in WORDINGS], [weight for _, weight in WORDINGS])[0]
    text = _WORDED[wording](kind_name, rng)
    sketch = kind.sketch(rng, text)
    plan = plan_of(sketch, rng)
    german = wording == "german"
    if rng.random() < 0.2:
        text = own_wording.with_typing_errors(text, rng)
    text, plan = _with_facts(text, sketch, plan, wording, rng)
    dataset = _dataset(facts_of(sketch, plan), german, rng) if rng.random() < 0.4 else ""
    if german and rng.random() < 0.1:
        text, dataset = own_wording.in_ascii(text), own_wording.in_ascii(dataset)
    return text, dataset, plan


def _phrase(subjects: Phrases, templates: tuple[str, ...], rng: random.Random) -> str:
    return pick(rng, *templates).format(pick(rng, *subjects.nouns))


def _task(kind_name: str, rng: random.Random) -> str:
    subjects = ENGLISH_SUBJECTS[kind_name]
    return _phrase(subjects, subjects.tasks, rng)


def _short(kind_name: str, rng: random.Random) -> str:
    subjects = ENGLISH_SUBJECTS[kind_name]
    return own_wording.in_some_case(_phrase(subjects, subjects.short, rng), rng)


def _plain(kind_name: str, rng: random.Random) -> str:
    text = pick(rng, *own_wording.ENGLISH_FRAMES).format(_task(kind_name, rng))
    return own_wording.in_some_case(text, rng)


def _chatter(kind_name: str, rng: random.Random) -> str:
    text = pick(rng, *own_wording.ENGLISH_FRAMES).format(_task(kind_name, rng))
    return own_wording.with_chatter(text, False, rng)


def _torch(kind_name: str, rng: random.Random) -> str:
    return own_wording.in_some_case(
        pick(rng, *own_wording.TORCH_FRAMES).format(_task(kind_name, rng)), rng
    ).rstrip(".")


def _several(kind_name: str, rng: random.Random) -> str:
    other = pick(rng, *(name for name in KINDS if KINDS[name].category != KINDS[kind_name].category))
    both = own_wording.joined(_task(kind_name, rng), _task(other, rng), False, rng)
    return own_wording.in_some_case(pick(rng, *own_wording.ENGLISH_FRAMES[:10]).format(both), rng)


def _german(kind_name: str, rng: random.Random) -> str:
    other = pick(rng, *(name for name in KINDS if KINDS[name].category != KINDS[kind_name].category))
    return german_sentence(GERMAN_SUBJECTS[kind_name], GERMAN_SUBJECTS[other], rng)


def _romance(kind_name: str, rng: random.Random) -> str:
    place = rng.randrange(2)
    frame = pick(rng, *(FRENCH_FRAMES, SPANISH_FRAMES)[place])
    return own_wording.in_some_case(frame.format(pick(rng, *ROMANCE_TASKS[kind_name][place])), rng)


_WORDED: dict[str, Callable[[str, random.Random], str]] = {
    "short": _short,
    "plain": _plain,
    "chatter": _chatter,
    "torch": _torch,
    "several": _several,
    "german": _german,
    "romance": _romance,
}


def _agrees(sketch: Sketch, words: str) -> bool:
    """Return whether the network is the one that the words name."""
    layers, words = " ".join(sketch.layers), words.lower()
    if re.search(r"\blstm\b", words) and "LSTM(" not in layers:
        return False
    if re.search(r"\bcnn\b", words) and "Conv" not in layers and "include_top" not in layers:
        return False
    by_letter = bool(re.search(r"letter by letter|char rnn|buchstabe für", words))
    by_word = bool(re.search(r"word after word|wort für wort", words))
    if sketch.category == "Text Generation" and (by_letter or by_word):
        return ("Embedding(96," in layers) == by_letter
    return True


def _with_facts(text: str, sketch: Sketch, plan: Plan, wording: str, rng: random.Random) -> tuple[str, Plan]:
    """Return the text with facts of the plan, and the plan with what the text then states."""
    facts = facts_of(sketch, plan)
    if wording == "torch":
        return _with_torch_facts(text, plan, facts, rng)
    often = {"short": 0.3, "romance": 0.0}.get(wording, 0.45)
    if rng.random() >= often:
        return text, plan
    names = chosen_facts(facts, rng.randint(1, 4), rng)
    rare = rare_settings(names, rng)
    said = stated({**facts, **rare}, names, wording == "german", rng)
    plan = replace(plan, **rare)
    end = text.rstrip(".")
    if text[-1] in "?!" or (wording == "chatter" and rng.random() < 0.7):
        return f"{text} {said[:1].upper()}{said[1:]}.", plan
    return pick(rng, f"{end}, {said}", f"{end}, {said}.", f"{end} ({said})", f"{end}: {said}"), plan


def _with_torch_facts(text: str, plan: Plan, facts: dict[str, Fact], rng: random.Random) -> tuple[str, Plan]:
    said = []
    if "network" in facts and plan.category == "Image Classification":
        words = pick(rng, "torchvision {}", "{} from torchvision", "pretrained {}")
        said.append(words.format(facts["network"]))
    loss = torch_loss(plan, rng)
    if loss and rng.random() < 0.5:
        said.append(loss)
        if "categorical" in plan.loss:
            plan = replace(plan, loss="sparse_categorical_crossentropy")
    if rng.random() < 0.3:
        said.append(torch_optimizer(plan))
    near = {name: facts[name] for name in ("size", "classes", "epochs", "batch_size") if name in facts}
    said += [stated(near, [name], False, rng) for name in chosen_facts(near, rng.randint(0, 2), rng)]
    rng.shuffle(said)
    return (", ".join([text, *said]) if said else text), plan


def _dataset(facts: dict[str, Fact], german: bool, rng: random.Random) -> str:
    """Return what is known of the data: as JSON, as pairs or as sentences."""
    names = {"size": "image_size", "length": "max_length", "channels": "sensors", "bins": "mel_bins"}
    of_the_data = ("size", "classes", "length", "columns", "steps", "channels", "bins", "frames")
    table: dict[str, Fact] = {pick(rng, "samples", "rows", "count"): rng.randint(3, 900) * 100}
    for name in of_the_data:
        if name in facts and rng.random() < 0.75:
            value = facts[name]
            table[names.get(name, name)] = f"{value}x{value}" if name == "size" else value
    draw = rng.random()
    if draw < 0.5:
        return json.dumps(table)
    if draw < 0.7:
        return ". ".join(f"{key}: {value}" for key, value in table.items())
    chosen = {name: facts[name] for name in of_the_data if name in facts}
    said = [stated(chosen, [name], german, rng) for name in chosen_facts(chosen, rng.randint(1, 3), rng)]
    count = rng.randint(3, 900) * 100
    start = (
        f"{count} Beispiele" if german else pick(rng, f"{count} examples", f"{count} files", f"{count} rows")
    )
    return ", ".join([start, *said]) + "."
