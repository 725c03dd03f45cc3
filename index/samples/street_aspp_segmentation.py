# SPDX-License-Identifier: Apache-2.0
"""Label every pixel of a street scene (road, pavement, building, car, ...) with atrous convolutions in Keras.

The encoder stops shrinking at an eighth of the size and dilates its kernels instead; atrous spatial pyramid
pooling looks at each place with several dilations and at the whole scene at once, and a decoder sharpens
the edges with early features (after DeepLab). On a GPU the layers compute in half precision. Unlabelled
pixels carry 255 and count neither in the loss nor in the measures.

Data: `data_dir/{train,val,test}/images/*.png` and `.../labels/*.png`, same names; labels are grey pictures
whose value is the class from 0. The split is given by the folders: frames of one drive belong together.
"""

# %% [imports]
import argparse
import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings; height and width must be multiples of 8."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_height: int = 64
    image_width: int = 128
    num_classes: int = 5
    half_precision: bool = False
    weight_decay: float = 0.0001
    optimizer: str = "sgd"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "mean_iou"
    learning_rate: float = 0.05
    batch_size: int = 8
    epochs: int = 60


VOID = 255
CLASS_NAMES = ("road", "pavement", "building", "sky", "car")


def parse_config(argv: list[str] | None = None) -> Config:
    """Return the settings of the command line."""
    parser = argparse.ArgumentParser(description="Semantic segmentation of street scenes")
    for field in dataclasses.fields(Config):
        add = {"type": type(field.default), "default": field.default}
        if field.default is False:
            add = {"action": argparse.BooleanOptionalAction, "default": False}
        parser.add_argument(f"--{field.name}".replace("_", "-"), **add)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def draw_scene(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy picture and its labels: sky, houses, pavement, road, cars and an unlabelled bonnet."""
    colours = np.array([[90, 90, 95], [170, 165, 160], [140, 90, 70], [150, 190, 230], [200, 30, 40]])
    labels = np.zeros((height, width), dtype="uint8")
    horizon = int(height * rng.uniform(0.45, 0.6))
    labels[:horizon] = 3
    start = 0
    while start < width:
        end = start + int(rng.integers(8, 30))
        labels[int(horizon * rng.uniform(0.1, 0.9)) : horizon, start:end] = 2
        start = end + int(rng.integers(0, 10))
    labels[horizon : horizon + height // 10] = 1
    for _ in range(rng.integers(1, 4)):
        top, left = rng.integers(horizon, height - height // 5), rng.integers(0, width - 20)
        labels[top : top + height // 7, left : left + int(rng.integers(12, 20))] = 4
    picture = colours[labels] + rng.normal(0, 18, (height, width, 3)) + rng.normal(0, 12)
    labels[-3:] = VOID
    return picture.clip(0, 255).astype("uint8"), labels


def make_synthetic(config: Config) -> None:
    """Write scenes: three quarters for training, the rest half and half."""
    rng = np.random.default_rng(config.seed)
    eighth = max(1, config.synthetic_samples // 8)
    splits = ["val"] * eighth + ["test"] * eighth + ["train"] * max(1, config.synthetic_samples - 2 * eighth)
    for number, split in enumerate(splits):
        picture, labels = draw_scene(rng, config.image_height, config.image_width)
        for kind, pixels in (("images", picture), ("labels", labels[..., None])):
            path = Path(config.data_dir) / split / kind / f"scene_{number:04d}.png"
            tf.io.write_file(str(path), tf.io.encode_png(pixels))


def random_zoom(picture, labels):
    """Cut a part of half to full size, the same from both, and stretch it; mirror half of the time."""
    size = tf.shape(labels)[:2]
    part = tf.cast(tf.cast(size, tf.float32) * tf.random.uniform((), 0.5, 1.0), tf.int32)
    corner = [tf.random.uniform((), 0, size[axis] - part[axis] + 1, dtype=tf.int32) for axis in (0, 1)]
    begin, extent = tf.stack([*corner, 0]), tf.stack([part[0], part[1], -1])
    picture = tf.image.resize(tf.slice(picture, begin, extent), size)
    # Labels are names, not amounts: never blend them.
    labels = tf.image.resize(tf.slice(labels, begin, extent), size, method="nearest")
    if tf.random.uniform(()) < 0.5:
        picture, labels = picture[:, ::-1], labels[:, ::-1]
    return tf.clip_by_value(picture + tf.random.uniform((3,), -20.0, 20.0), 0.0, 255.0), labels


def scenes_of(config: Config, split: str) -> tf.data.Dataset:
    """Return the batches of a split: pictures (batch, height, width, 3) in [0, 255] and labels (...)."""
    folder = Path(config.data_dir) / split
    names = sorted(path.name for path in (folder / "images").glob("*.png"))
    lacking = [name for name in names if not (folder / "labels" / name).is_file()]
    if not names or lacking:
        raise FileNotFoundError(
            f"{folder}: expected images/*.png and labels/*.png in pairs {lacking[:3] or ''}"
        )

    def read(picture_path, label_path):
        picture = tf.io.decode_png(tf.io.read_file(picture_path), channels=3)
        labels = tf.io.decode_png(tf.io.read_file(label_path), channels=1)
        picture = tf.image.resize(picture, (config.image_height, config.image_width))
        labels = tf.image.resize(labels, (config.image_height, config.image_width), method="nearest")
        picture.set_shape((config.image_height, config.image_width, 3))
        return picture, labels

    paths = tuple([str(folder / kind / name) for name in names] for kind in ("images", "labels"))
    scenes = tf.data.Dataset.from_tensor_slices(paths)
    scenes = scenes.map(read, num_parallel_calls=tf.data.AUTOTUNE).cache()
    if split == "train":
        scenes = scenes.shuffle(512, seed=config.seed).map(random_zoom, num_parallel_calls=tf.data.AUTOTUNE)
    # Without the channel axis, which the loss could not tell from the classes when it skips VOID.
    scenes = scenes.map(lambda picture, labels: (picture, labels[..., 0]))
    return scenes.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return batches of the folders train, val and test."""
    if config.synthetic:
        make_synthetic(config)
    return scenes_of(config, "train"), scenes_of(config, "val"), scenes_of(config, "test")


# %% [model]
def conv_bn(x, filters: int, kernel: int = 3, stride: int = 1, dilation: int = 1):
    """Return a normalised convolution with ReLU."""
    x = layers.Conv2D(
        filters, kernel, strides=stride, dilation_rate=dilation, padding="same", use_bias=False
    )(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)


def pyramid(x, height: int, width: int):
    """Return the scene at several dilations side by side, the last one being the mean of all places."""
    views = [conv_bn(x, 48, kernel=1)]
    for dilation in (2, 4, 6):
        views.append(conv_bn(x, 48, dilation=dilation))
    scene = layers.GlobalAveragePooling2D(keepdims=True)(x)
    scene = layers.Conv2D(48, 1, activation="relu")(scene)
    views.append(layers.UpSampling2D((height, width))(scene))
    return conv_bn(layers.Concatenate()(views), 64, kernel=1)


def build_model(config: Config, steps: int = 1000) -> keras.Model:
    """Return the compiled network; `steps` is the number of updates over which the rate falls to zero."""
    height, width = config.image_height, config.image_width
    inputs = layers.Input(shape=(height, width, 3))
    x = layers.Rescaling(1.0 / 127.5, offset=-1.0)(inputs)
    x = conv_bn(x, 24, stride=2)
    early = conv_bn(x, 32, stride=2)
    x = conv_bn(early, 64, stride=2)
    x = conv_bn(x, 64, dilation=2)
    x = conv_bn(x, 96, dilation=2)
    x = pyramid(x, height // 8, width // 8)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    # Few channels of the early features: they are to sharpen edges, not to outvote the pyramid.
    x = layers.Concatenate()([x, conv_bn(early, 16, kernel=1)])
    x = conv_bn(x, 64)
    x = layers.Dropout(0.1)(x)
    x = layers.Conv2D(config.num_classes, 1)(x)
    x = layers.UpSampling2D(4, interpolation="bilinear")(x)
    # The softmax in full precision even where the rest is not.
    outputs = layers.Activation("softmax", dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    rate = keras.optimizers.schedules.PolynomialDecay(
        config.learning_rate, steps, end_learning_rate=0.0, power=0.9
    )
    optimizers = {
        "sgd": lambda: keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
        ),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=config.weight_decay),
    }
    losses = {
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy(ignore_class=VOID)
    }
    metrics = {
        "mean_iou": keras.metrics.MeanIoU(
            config.num_classes, name="mean_iou", ignore_class=VOID, sparse_y_pred=False
        )
    }
    for name, known in ((config.optimizer, optimizers), (config.loss, losses), (config.metric, metrics)):
        if name not in known:
            raise ValueError(f"{name}: known are {', '.join(known)}")
    model.compile(
        optimizer=optimizers[config.optimizer](), loss=losses[config.loss], metrics=[metrics[config.metric]]
    )
    return model


# %% [train]
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
    """Fit and keep the network with the best mean IoU on the validation scenes."""
    keras.utils.set_random_seed(config.seed)
    scenes, validation, _ = load_data(config)
    # Processors compute half precision slowly: only where it is asked for and there is a GPU.
    if config.half_precision and tf.config.list_physical_devices("GPU"):
        keras.mixed_precision.set_global_policy("mixed_float16")
    model = build_model(config, steps=config.epochs * len(scenes))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best = keras.callbacks.ModelCheckpoint(
        str(output / "model.keras"), monitor="val_mean_iou", mode="max", save_best_only=True
    )
    history = model.fit(scenes, validation_data=validation, epochs=config.epochs, callbacks=[best], verbose=2)
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Count the pixels of each true and found class, write that table, and return the IoU of every class."""
    _, _, test = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    classes = config.num_classes
    table = np.zeros((classes, classes), dtype=np.int64)
    for pictures, labels in test:
        truth = labels.numpy().astype(int)
        found = model.predict_on_batch(pictures).argmax(axis=-1)
        seen = truth != VOID
        table += np.bincount(classes * truth[seen] + found[seen], minlength=classes**2).reshape(
            classes, classes
        )
    names = [CLASS_NAMES[label] if label < len(CLASS_NAMES) else str(label) for label in range(classes)]
    with open(Path(config.output_dir) / "pixels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["true class", *names], *([n, *r] for n, r in zip(names, table, strict=True))]
        )
    union = table.sum(axis=0) + table.sum(axis=1) - table.diagonal()
    iou = {n: float(table[i, i] / union[i]) for i, n in enumerate(names) if union[i]}
    result = {
        "mean_iou": float(np.mean(list(iou.values()))),
        "pixel_accuracy": float(table.trace() / table.sum()),
    }
    return result | {f"iou_{name}": value for name, value in iou.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (scenes, height, width, classes); writes the labels as PNG files."""
    _, _, test = load_data(config)
    output = Path(config.output_dir)
    probabilities = keras.models.load_model(output / "model.keras").predict(test, verbose=0)
    np.save(output / "predictions.npy", probabilities.astype("float16"))
    for number, labels in enumerate(probabilities.argmax(axis=-1)):
        png = tf.io.encode_png(labels[..., None].astype("uint8"))
        tf.io.write_file(str(output / f"labels_{number:04d}.png"), png)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
