# SPDX-License-Identifier: Apache-2.0
"""Name the fish in an underwater picture and draw a box around it: one object an image, two heads, GIoU.

The network has a shared backbone, a head for the species and one for the box as centre and size. The box
is trained on generalised intersection over union, which is what counts in the end and, unlike plain IoU,
also has a gradient while the boxes do not touch yet. `--backbone mobilenet` takes MobileNetV2 in place of
the small network, frozen if `--pretrained-weights` names a local file for it.

Data: `data_dir/pictures/*.jpg` and `data_dir/annotations.json` in the COCO format: the lists `images` (id,
file_name), `categories` (id, name) and `annotations` (image_id, category_id, bbox as left, top, width,
height in pixels). Pictures with no or several annotations are skipped.
"""

# %% [imports]
import argparse
import collections
import dataclasses
import json
import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; `box_weight` balances the loss of the box against that of the species."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 96
    num_classes: int = 3
    backbone: str = "small"
    pretrained_weights: str | None = None
    box_weight: float = 2.0
    optimizer: str = "nadam"
    loss: str = "giou_loss"
    metric: str = "mean_iou"
    learning_rate: float = 0.001
    batch_size: int = 16
    epochs: int = 40


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the options; each is a field of Config with dashes."""
    parser = argparse.ArgumentParser(description="Species and box of the one fish in a picture")
    for field in dataclasses.fields(Config):
        settings = {"default": field.default}
        if field.name == "backbone":
            settings["choices"] = ("small", "mobilenet")
        elif isinstance(field.default, bool):
            settings["action"] = "store_true"
        elif field.default is not None:
            settings["type"] = type(field.default)
        parser.add_argument("--" + field.name.replace("_", "-"), **settings)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write murky water with one ellipse and tail; its stripes tell the species."""
    rng = np.random.default_rng(config.seed)
    size = config.image_size
    rows, columns = np.mgrid[:size, :size]
    notes = {"images": [], "annotations": []}
    notes["categories"] = [
        {"id": 10 + label, "name": f"species_{label}"} for label in range(config.num_classes)
    ]
    for number in range(config.synthetic_samples):
        label = int(rng.integers(config.num_classes))
        long, high = rng.integers(size // 6, size // 3), rng.integers(size // 12, size // 6)
        x, y = rng.integers(long, size - long), rng.integers(high, size - high)
        inside = ((columns - x) / long) ** 2 + ((rows - y) / high) ** 2 <= 1
        picture = np.array([30, 80, 120]) + rng.normal(0, 10, (size, size, 3))
        stripes = (columns // 3 if label == 0 else rows // 3 if label == 1 else 0 * rows) % 2 == 1
        picture[inside] = (220, 150, 60)
        picture[inside & stripes] = (250, 250, 240)
        name = f"{number:05d}.jpg"
        file = Path(config.data_dir) / "pictures" / name
        tf.io.write_file(str(file), tf.io.encode_jpeg(picture.clip(0, 255).astype("uint8"), quality=95))
        notes["images"].append({"id": number, "file_name": name})
        box = [int(x - long), int(y - high), int(2 * long), int(2 * high)]
        notes["annotations"].append({"image_id": number, "category_id": 10 + label, "bbox": box})
    (Path(config.data_dir) / "annotations.json").write_text(json.dumps(notes), encoding="utf-8")


def read_annotations(root: Path) -> list[tuple[str, int, list[float]]]:
    """Return (file, class from 0, box in pixels) of all pictures with exactly one object."""
    if not (root / "annotations.json").is_file():
        raise FileNotFoundError(f"{root}: expected pictures/*.jpg and annotations.json in the COCO format")
    notes = json.loads((root / "annotations.json").read_text(encoding="utf-8"))
    files = {image["id"]: str(root / "pictures" / image["file_name"]) for image in notes["images"]}
    labels = {number: place for place, number in enumerate(sorted(c["id"] for c in notes["categories"]))}
    objects = collections.Counter(note["image_id"] for note in notes["annotations"])
    return [
        (files[note["image_id"]], labels[note["category_id"]], [float(value) for value in note["bbox"]])
        for note in notes["annotations"]
        if objects[note["image_id"]] == 1
    ]


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches of pictures in [0, 255] and {"species", "box"}.

    Boxes are (centre x, centre y, width, height), relative to the picture.
    """
    if config.synthetic:
        make_synthetic(config)
    entries = read_annotations(Path(config.data_dir))
    np.random.default_rng(config.seed).shuffle(entries)

    def read(file, species, box):
        picture = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        height, width = tf.unstack(tf.cast(tf.shape(picture)[:2], tf.float32))
        box = box / tf.stack([width, height, width, height])
        box = tf.concat([box[:2] + box[2:] / 2, box[2:]], axis=0)
        picture = tf.image.resize(picture, (config.image_size, config.image_size))
        return picture, {"species": species, "box": box}

    def vary(picture, target):
        picture = tf.image.random_brightness(tf.image.random_contrast(picture, 0.8, 1.25), 25.0)
        if tf.random.uniform(()) < 0.5:
            x, rest = target["box"][:1], target["box"][1:]
            return picture[:, ::-1], target | {"box": tf.concat([1.0 - x, rest], axis=0)}
        return picture, target

    batches = []
    share = max(1, len(entries) // 6)
    for part in (entries[2 * share :], entries[:share], entries[share : 2 * share]):
        files, species, boxes = (list(column) for column in zip(*part, strict=True))
        pictures = tf.data.Dataset.from_tensor_slices((files, species, boxes))
        pictures = pictures.map(read, num_parallel_calls=tf.data.AUTOTUNE).cache()
        if not batches:
            pictures = pictures.shuffle(len(part), seed=config.seed).map(vary)
        batches.append(pictures.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return batches[0], batches[1], batches[2]


# %% [model]
def overlaps(a, b):
    """Return IoU and the share of the smallest box around both that neither fills, (batch,) each."""
    a_low, a_high = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_low, b_high = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    shared = ops.prod(ops.maximum(ops.minimum(a_high, b_high) - ops.maximum(a_low, b_low), 0.0), axis=1)
    union = ops.prod(a[:, 2:], axis=1) + ops.prod(b[:, 2:], axis=1) - shared
    hull = ops.prod(ops.maximum(a_high, b_high) - ops.minimum(a_low, b_low), axis=1)
    return shared / (union + 1e-7), (hull - union) / (hull + 1e-7)


def giou_loss(y_true, y_pred):
    """Return 1 - GIoU of each box, between 0 and 2."""
    iou, empty = overlaps(ops.cast(y_true, y_pred.dtype), y_pred)
    return 1.0 - iou + empty


def mean_iou(y_true, y_pred):
    """Return the IoU of each box with the true one."""
    return overlaps(ops.cast(y_true, y_pred.dtype), y_pred)[0]


def small_backbone(x):
    """Return features an eighth as wide as the picture."""
    for filters in (24, 48, 96):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
    return x


def mobilenet_backbone(x, config: Config):
    """Return features of MobileNetV2, whose own layers stay fixed where they come from a file."""
    shape = (config.image_size, config.image_size, 3)
    base = keras.applications.MobileNetV2(
        input_shape=shape, include_top=False, weights=config.pretrained_weights
    )
    base.trainable = config.pretrained_weights is None
    return base(x, training=False) if config.pretrained_weights else base(x)


def build_model(config: Config) -> keras.Model:
    """Return the compiled network with the outputs "species" (batch, classes) and "box" (batch, 4)."""
    inputs = layers.Input(shape=(config.image_size, config.image_size, 3))
    x = layers.Rescaling(1.0 / 127.5, offset=-1.0)(inputs)
    x = small_backbone(x) if config.backbone == "small" else mobilenet_backbone(x, config)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    # What it is does not depend on the place, where it is does: one head averages, the other keeps the grid.
    species = layers.GlobalAveragePooling2D()(x)
    species = layers.Dropout(0.2)(species)
    species = layers.Dense(config.num_classes, activation="softmax", name="species")(species)
    place = layers.Conv2D(16, 1, activation="relu")(x)
    place = layers.Flatten()(place)
    place = layers.Dense(64, activation="relu")(place)
    box = layers.Dense(4, activation="sigmoid", name="box")(place)
    model = keras.Model(inputs, {"species": species, "box": box})
    box_losses = {"giou_loss": giou_loss, "huber": "huber", "mean_absolute_error": "mean_absolute_error"}
    if config.loss not in box_losses:
        raise ValueError(f"--loss {config.loss}: known for boxes are {', '.join(box_losses)}")
    settings = {"learning_rate": config.learning_rate, "clipnorm": 5.0}
    model.compile(
        optimizer=keras.optimizers.get({"class_name": config.optimizer, "config": settings}),
        loss={"box": box_losses[config.loss], "species": "sparse_categorical_crossentropy"},
        loss_weights={"box": config.box_weight, "species": 1.0},
        metrics={"box": [mean_iou], "species": ["accuracy"]},
    )
    return model


# %% [train]
def warm_cosine(epoch: int, rate: float, peak: float, epochs: int) -> float:
    """Return the rate of an epoch: a tenth more of `peak` each epoch at first, then down along a cosine."""
    warm = max(1, epochs // 10)
    if epoch < warm:
        return peak * (epoch + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (epoch - warm) / max(1, epochs - warm)))


def plot_history(history: keras.callbacks.History, config: Config) -> None:
    """Draw every measure of training and validation over the epochs; without matplotlib, draw nothing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    names = [name for name in history.history if not name.startswith("val_")]
    plt.figure(figsize=(6 * len(names), 4))
    for place, name in enumerate(names, start=1):
        plt.subplot(1, len(names), place)
        plt.plot(history.history[name], label="training")
        if f"val_{name}" in history.history:
            plt.plot(history.history[f"val_{name}"], label="validation")
        plt.title(f"{name} over the epochs")
        plt.xlabel("epoch")
        plt.ylabel(name)
        plt.legend()
    plt.tight_layout()
    plt.savefig(Path(config.output_dir) / "history.png")
    plt.close()


def train(config: Config) -> dict[str, float]:
    """Fit, keep the network whose boxes validate best, and return the last values."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.summary()
    path = Path(config.output_dir) / "model.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    callbacks = [
        keras.callbacks.ModelCheckpoint(
            str(path), monitor="val_box_mean_iou", mode="max", save_best_only=True
        ),
        keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: warm_cosine(epoch, rate, config.learning_rate, config.epochs)
        ),
    ]
    history = model.fit(
        train_batches,
        validation_data=validation_batches,
        epochs=config.epochs,
        callbacks=callbacks,
        verbose=2,
    )
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def read_model(config: Config) -> keras.Model:
    """Return the network that `train` kept."""
    custom = {"giou_loss": giou_loss, "mean_iou": mean_iou}
    return keras.models.load_model(Path(config.output_dir) / "model.keras", custom_objects=custom)


def evaluate(config: Config) -> dict[str, float]:
    """Measure the test pictures: losses, accuracy, mean IoU, and how often both answers are right."""
    _, _, test_batches = load_data(config)
    model = read_model(config)
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    right = []
    for pictures, target in test_batches:
        answer = model.predict_on_batch(pictures)
        found = np.asarray(mean_iou(target["box"], tf.constant(answer["box"]))) >= 0.5
        right.extend(found & (answer["species"].argmax(axis=1) == target["species"].numpy()))
    return {name: float(value) for name, value in measures.items()} | {
        "found_and_named": float(np.mean(right))
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return boxes (pictures, 4), centre and size relative to the picture; CSV with the species too."""
    _, _, test_batches = load_data(config)
    answer = read_model(config).predict(test_batches, verbose=0)
    species = answer["species"].argmax(axis=1)
    rows = np.concatenate([species[:, None], answer["species"].max(axis=1)[:, None], answer["box"]], axis=1)
    path = Path(config.output_dir) / "predictions.csv"
    header = "species,probability,centre_x,centre_y,width,height"
    np.savetxt(path, rows, fmt="%.4f", delimiter=",", header=header, comments="")
    return answer["box"]


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
