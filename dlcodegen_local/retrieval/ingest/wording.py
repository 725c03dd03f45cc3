"""A requirement worded from a plan, for code without prose: the task, its sizes, the network, the subject."""

import re
from collections import Counter

from dlcodegen_local.plan.schema import Plan

_TASKS = {
    "Image Classification": "Classify images{into}",
    "Image Segmentation": "Segment images{into}",
    "Object Detection": "Detect objects in images",
    "Image-to-Image": "Turn images into images",
    "Image Generation": "Generate images",
    "Image-to-Text": "Describe images in text",
    "Image Regression": "Predict numbers from images",
    "Text Classification": "Classify texts{into}",
    "Text Generation": "Generate text",
    "Text Summarization": "Summarise texts",
    "Translation": "Translate texts from one language to another",
    "Question Answering": "Answer questions about texts",
    "Token Classification": "Label the words of texts",
    "Tabular Classification": "Classify the rows of a table{into}",
    "Tabular Regression": "Predict a number from the columns of a table",
    "Time Series Forecasting": "Forecast the next values of a time series",
    "Time Series Classification": "Classify time series{into}",
    "Audio Classification": "Classify sound recordings{into}",
    "Speech Recognition": "Transcribe speech to text",
    "Video Classification": "Classify videos{into}",
    "Recommendation": "Recommend items to users",
    "Anomaly Detection": "Detect anomalies",
    "Reinforcement Learning": "Train an agent by reinforcement learning",
    "Graph Learning": "Learn from graphs",
}
# Ordered: the first kind whose pattern a layer's name matches is what the network is called.
_KINDS = (
    (
        "a network on {base}",
        r"(?:VGG|ResNet|EfficientNet|MobileNet|DenseNet|Inception|Xception|ConvNeXt|NASNet)\w*",
    ),
    ("a Transformer", r"MultiHeadAttention|Transformer\w*"),
    ("a graph network", r"G(?:CN|AT|IN|raph)\w*Conv\w*|Graph\w*"),
    ("a convolutional encoder and decoder", r"Conv[23]DTranspose|UpSampling[23]D"),
    ("a 3D convolutional network", r"Conv3D"),
    ("a convolutional network", r"(?:Separable|Depthwise)?Conv2D"),
    ("a recurrent network ({base})", r"LSTM|GRU|SimpleRNN|ConvLSTM2D"),
    ("a 1D convolutional network", r"(?:Separable)?Conv1D"),
    ("a dense network", r"Dense"),
)
_MAX_CLASSES = 100_000


def sentence_from_plan(plan: Plan, subject: str) -> str:
    """Return one sentence that a colleague would ask for such code with; `subject` may be ""."""
    task = _TASKS[plan.category].format(into=_into(plan)) if plan.layers else "Train a model"
    names = Counter(name for layer in plan.layers for name in re.findall(r"\b([A-Z]\w*)\(", layer))
    words = [task]
    if subject:
        words.append(f"({subject})")
    if kind := _kind(names):
        words.append(f"with {kind}")
    if size := _image_size(plan):
        words.append(f"on inputs of {size}")
    if plan.optimizer and plan.loss:
        words.append(
            f"{'trained ' if plan.layers else ''}with {plan.optimizer} on {plan.loss.replace('_', ' ')}"
        )
    return " ".join(words) + "."


def _kind(names: Counter[str]) -> str:
    for wording, pattern in _KINDS:
        found = sorted((-count, name) for name, count in names.items() if re.fullmatch(pattern, name))
        if found:
            return wording.format(base=found[0][1])
    return ""


def _into(plan: Plan) -> str:
    """Return " into N classes" where the output's last axis says so."""
    sizes = re.findall(r"\d+", plan.dataset_output.partition(";")[0].rpartition(",")[2])
    count = int(sizes[0]) if sizes and len(sizes[0]) < 7 else 0
    if count == 1 and "binary" in plan.loss:
        count = 2
    return f" into {count} classes" if 1 < count <= _MAX_CLASSES else ""


def _image_size(plan: Plan) -> str:
    match = re.search(r"\(batch_size, (\d{1,5}), (\d{1,5}), (\d{1,3})\)", plan.dataset_input)
    return f"{match[1]} x {match[2]} x {match[3]}" if match else ""
