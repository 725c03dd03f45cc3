# SPDX-License-Identifier: Apache-2.0
"""Sort papers of a citation network into fields with a graph convolutional network.

Every layer mixes a node's features with those of its neighbours through the normalised adjacency
matrix (with self-loops). All nodes are in the graph while training, but only the labels of training
nodes count in the loss (transductive learning). Dense matrices limit this to some ten thousand nodes.

Data: `data_dir/nodes.csv`, no header: node id, numbers of its features, class as a whole number from 0;
`data_dir/edges.csv`, no header: two node ids per line. Edges are read in both directions.
"""

# %% [imports]
import argparse
import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    num_features: int = 50
    num_classes: int = 3
    units: int = 32
    dropout: float = 0.5
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.01
    batch_size: int = 1
    epochs: int = 200


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Node classification")
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
    """Write papers that mostly cite their own field and use words that are a little more common in it."""
    rng = np.random.default_rng(config.seed)
    count = max(config.synthetic_samples, 5 * config.num_classes)
    labels = rng.permutation(np.arange(count) % config.num_classes)
    words = rng.random((count, config.num_features)) < 0.1
    words |= (np.arange(config.num_features) % config.num_classes == labels[:, None]) & (
        rng.random(words.shape) < 0.2
    )
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "nodes.csv", "w", newline="", encoding="utf-8") as file:
        rows = zip(words.astype(int).tolist(), labels.tolist(), strict=True)
        csv.writer(file).writerows(
            [f"paper_{i}", *features, label] for i, (features, label) in enumerate(rows)
        )
    with open(folder / "edges.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for paper in range(count):
            same = np.flatnonzero(labels == labels[paper])
            cited = [*rng.choice(same, size=2), rng.integers(count)]
            writer.writerows([f"paper_{paper}", f"paper_{other}"] for other in cited if other != paper)


def read_graph(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (nodes, num_features), normalised adjacency (nodes, nodes) and labels (nodes,)."""
    for name in ("nodes.csv", "edges.csv"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name}: expected nodes (id, features, class) and edges (id, id)"
            )
    with open(folder / "nodes.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    index = {row[0]: number for number, row in enumerate(rows)}
    features = np.array([row[1:-1] for row in rows], dtype="float32")
    features /= np.maximum(features.sum(axis=1, keepdims=True), 1e-6)
    adjacency = np.eye(len(rows), dtype="float32")
    with open(folder / "edges.csv", newline="", encoding="utf-8") as file:
        for left, right in csv.reader(file):
            if left in index and right in index:
                adjacency[index[left], index[right]] = adjacency[index[right], index[left]] = 1.0
    # D^-1/2 A D^-1/2: a node with many neighbours does not drown the others.
    scale = adjacency.sum(axis=1) ** -0.5
    return features, scale[:, None] * adjacency * scale[None, :], np.array([int(row[-1]) for row in rows])


def load_data(config: Config):
    """Return (train, validation, test): each ([features, adjacency], labels, weights) of the whole graph.

    All arrays have a first axis of 1, the graph; the weights are 1 for the nodes of the split.
    """
    if config.synthetic:
        make_synthetic(config)
    features, adjacency, labels = read_graph(Path(config.data_dir))
    if features.shape[1] != config.num_features:
        raise ValueError(f"{features.shape[1]} features per node, --num-features {config.num_features}")
    order = np.random.default_rng(config.seed).permutation(len(labels))
    splits = []
    for nodes in np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))]):
        weights = np.zeros((1, len(labels)), dtype="float32")
        weights[0, nodes] = 1.0
        splits.append(([features[None], adjacency[None]], labels[None], weights))
    return tuple(splits)


# %% [model]
class GraphConvolution(layers.Layer):
    """Replace each node's features by a learned mixture of its neighbourhood's."""

    def __init__(self, units: int, activation: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape) -> None:
        """Make the weights for inputs [features (graphs, nodes, channels), adjacency]."""
        self.kernel = self.add_weight(shape=(input_shape[0][-1], self.units), initializer="glorot_uniform")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        """Return the new features (graphs, nodes, units)."""
        features, adjacency = inputs
        # Shrinking the features first makes the large product the cheaper one.
        mixed = ops.matmul(adjacency, ops.matmul(features, self.kernel))
        return self.activation(mixed + self.bias)

    def get_config(self) -> dict[str, object]:
        """Return what the layer is made from."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


def build_model(config: Config) -> keras.Model:
    """Return the compiled network: class probabilities for every node of a graph of any size."""
    features = layers.Input(shape=(None, config.num_features), name="features")
    adjacency = layers.Input(shape=(None, None), name="adjacency")
    x = layers.Dropout(config.dropout)(features)
    x = GraphConvolution(config.units, activation="relu")([x, adjacency])
    x = layers.Dropout(config.dropout)(x)
    x = GraphConvolution(config.units, activation="relu")([x, adjacency])
    x = layers.Dropout(config.dropout)(x)
    outputs = layers.Dense(config.num_classes, activation="softmax")(x)
    model = keras.Model([features, adjacency], outputs)
    settings = {"learning_rate": config.learning_rate, "weight_decay": 5e-4}
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
    model.compile(optimizer=optimizer, loss=config.loss, weighted_metrics=[config.metric])
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
    """Fit on the whole graph, one step an epoch; keep the weights of the best epoch."""
    keras.utils.set_random_seed(config.seed)
    (inputs, labels, weights), validation, _ = load_data(config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        inputs,
        labels,
        sample_weight=weights,
        validation_data=validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(monitor="val_loss", patience=30, restore_best_weights=True)],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def load_trained(config: Config) -> keras.Model:
    """Return the model that `train` saved."""
    path = Path(config.output_dir) / "model.keras"
    return keras.models.load_model(path, custom_objects={"GraphConvolution": GraphConvolution})


def evaluate(config: Config) -> dict[str, float]:
    """Measure loss and accuracy on the test nodes."""
    _, _, (inputs, labels, weights) = load_data(config)
    model = load_trained(config)
    measures = model.evaluate(inputs, labels, sample_weight=weights, return_dict=True, verbose=0)
    return {name: float(value) for name, value in measures.items()}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return class probabilities (nodes, num_classes) of the test nodes and save them."""
    _, _, (inputs, _, weights) = load_data(config)
    probabilities = load_trained(config).predict(inputs, verbose=0)[weights > 0]
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
