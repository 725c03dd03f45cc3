# SPDX-License-Identifier: Apache-2.0
"""Tell fights from calm scenes in surveillance frames by transfer learning on MobileNetV2.

Training has two phases: first only the new head learns while the base is frozen, then the last
layers of the base are released and everything is fine-tuned at a tenth of the learning rate.
Batch-normalisation statistics of the base stay frozen in both (`training=False`).

Data: `data_dir/<class>/*.jpg` (or .png), one folder per class; the split into 70% training, 15%
validation and 15% test images is drawn from the seed. ImageNet weights of MobileNetV2 without its
top are read from the local file given by `--pretrained-weights`; without one the base starts random.
"""

# %% [imports]
import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    image_size: int = 160
    num_classes: int = 2
    pretrained_weights: str | None = None
    fine_tune_layers: int = 30
    fine_tune_epochs: int = 5
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 10
    dropout: float = 0.2


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Violence classifier by transfer learning")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write calm frames (smooth gradients) and violent ones (high contrast noise) as JPEG files."""
    rng = np.random.default_rng(config.seed)
    size = config.image_size
    for index in range(config.synthetic_samples):
        label = index % config.num_classes
        image = np.tile(np.linspace(40, 200, size)[:, None, None], (1, size, 3))
        image = image + rng.normal(0, 10 + 50 * label, size=image.shape)
        folder = Path(config.data_dir) / f"class_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        jpeg = tf.io.encode_jpeg(np.clip(image, 0, 255).astype("uint8"))
        tf.io.write_file(str(folder / f"frame_{index:05d}.jpg"), jpeg)


def decode(path: tf.Tensor, label: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return one frame (size, size, 3) in [0, 255] and its label."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.image.resize(image, (size, size)), label


def load_data(config: Config) -> tuple[tf.data.Dataset, tf.data.Dataset, tf.data.Dataset]:
    """Return (train, validation, test) batches, split by file from the seed."""
    if config.synthetic:
        make_synthetic(config)
    root = Path(config.data_dir)
    classes = sorted(folder for folder in root.glob("*") if folder.is_dir())
    if len(classes) != config.num_classes:
        raise FileNotFoundError(f"{root}: expected {config.num_classes} folders of images, one per class")
    files = [(str(path), label) for label, folder in enumerate(classes) for path in sorted(folder.iterdir())]
    order = np.random.default_rng(config.seed).permutation(len(files))
    paths = np.array([files[i][0] for i in order])
    labels = np.array([files[i][1] for i in order], dtype="int32")
    first, second = int(0.7 * len(files)), int(0.85 * len(files))
    splits = []
    for start, stop in ((0, first), (first, second), (second, len(files))):
        batches = tf.data.Dataset.from_tensor_slices((paths[start:stop], labels[start:stop]))
        if start == 0:
            batches = batches.shuffle(stop, seed=config.seed)
        batches = batches.map(
            lambda path, label: decode(path, label, config.image_size), num_parallel_calls=tf.data.AUTOTUNE
        )
        splits.append(batches.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))
    return splits[0], splits[1], splits[2]


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled classifier with a frozen base."""
    base = keras.applications.MobileNetV2(
        input_shape=(config.image_size, config.image_size, 3),
        include_top=False,
        weights=config.pretrained_weights,
    )
    base.trainable = False
    inputs = keras.layers.Input(shape=(config.image_size, config.image_size, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    # MobileNetV2 was trained on pixels in [-1, 1].
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0)(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(config.dropout)(x)
    outputs = keras.layers.Dense(config.num_classes, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    compile_model(model, config, config.learning_rate)
    return model


def compile_model(model: keras.Model, config: Config, learning_rate: float) -> None:
    """Compile again: what is trainable is only read at this point."""
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])


def release_base(model: keras.Model, config: Config) -> None:
    """Make the last layers of the base trainable, all but its batch normalisation."""
    base = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    base.trainable = True
    for layer in base.layers[: -config.fine_tune_layers]:
        layer.trainable = False
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    compile_model(model, config, config.learning_rate / 10)


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
    """Train the head, then fine-tune; return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_batches, validation_batches, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(train_batches, validation_data=validation_batches, epochs=config.epochs, verbose=2)
    if config.pretrained_weights is not None:  # a random base has nothing worth fine-tuning gently
        release_base(model, config)
        history = model.fit(
            train_batches,
            validation_data=validation_batches,
            epochs=config.fine_tune_epochs,
            callbacks=[keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
            verbose=2,
        )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and accuracy on the test frames."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    measures = model.evaluate(test_batches, return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (frames, num_classes) of the test frames and save them."""
    _, _, test_batches = load_data(config)
    model = keras.models.load_model(Path(config.output_dir) / "model.keras")
    probabilities = model.predict(test_batches, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
