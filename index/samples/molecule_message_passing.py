# SPDX-License-Identifier: Apache-2.0
"""Estimate the solubility of molecules from their atoms and bonds by message passing.

In every round each bond tells its two atoms about the other end; what is said depends on the kind of the
bond. A GRU cell decides what an atom keeps of it, with the same weights in every round. An attentive
readout sums up the atoms. Molecules have different sizes: they are padded to the longest of their batch,
and neither atoms that are padding nor their messages count anywhere. Batches are made of molecules of
similar size.

Data: `data_dir/molecules.jsonl`, one JSON object per line: `{"name": "ethanol", "atoms": ["C", "C", "O"],
"bonds": [[0, 1, "single"], [1, 2, "single"]], "solubility": 1.1}`. Hydrogen may be left out. The order of
the molecules means nothing; kinds of bond are single, double, triple and aromatic.
"""

# %% [imports]
import argparse
import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
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
    num_elements: int = 10
    num_bond_kinds: int = 4
    units: int = 48
    rounds: int = 3
    optimizer: str = "adam"
    loss: str = "mean_squared_error"
    metric: str = "mean_absolute_error"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 60


# Number 0 is padding, number 1 any element that is not listed.
ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br")
BONDS = ("single", "double", "triple", "aromatic")


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Molecular property by message passing")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", default=field.default)
        else:
            kind = field.type if callable(field.type) else str
            parser.add_argument(option, type=kind, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


@dataclasses.dataclass
class Molecule:
    """Hold a molecule as numbers: elements (atoms,), bonds (bonds, 3) as (atom, atom, kind)."""

    name: str
    elements: np.ndarray
    bonds: np.ndarray
    solubility: float


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write random chains with branches; oxygen next to carbon dissolves, double bonds do not."""
    rng = np.random.default_rng(config.seed)
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(config.data_dir) / "molecules.jsonl", "w", encoding="utf-8") as file:
        for number in range(config.synthetic_samples):
            size = int(rng.integers(4, 16))
            atoms = rng.choice(["C", "O", "N", "Cl"], size=size, p=[0.6, 0.2, 0.1, 0.1]).tolist()
            bonds, solubility = [], 1.0
            for atom in range(1, size):
                partner = int(rng.integers(max(0, atom - 3), atom))
                kind = "double" if rng.random() < 0.2 else "single"
                bonds.append([partner, atom, kind])
                ends = {atoms[partner], atoms[atom]}
                solubility += 0.5 * (ends == {"C", "O"}) - 0.4 * (kind == "double")
            solubility += float(-0.3 * atoms.count("Cl") + rng.normal(0, 0.1))
            row = {"name": f"m{number}", "atoms": atoms, "bonds": bonds, "solubility": round(solubility, 3)}
            file.write(json.dumps(row) + "\n")


def read_molecules(path: Path) -> list[Molecule]:
    """Return the molecules of a file, with the line's number in the message where one is not as expected."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected one JSON object per line: name, atoms, bonds, solubility")
    molecules = []
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        elements = [ELEMENTS.index(atom) + 2 if atom in ELEMENTS else 1 for atom in row["atoms"]]
        try:
            bonds = [(left, right, BONDS.index(kind)) for left, right, kind in row["bonds"]]
        except ValueError as exc:
            raise ValueError(
                f"{path}, line {place}: a bond is [atom, atom, kind], kinds {', '.join(BONDS)}"
            ) from exc
        table = np.array(bonds, dtype="int32").reshape(-1, 3)
        if not elements or (len(table) and not 0 <= table[:, :2].min() <= table[:, :2].max() < len(elements)):
            raise ValueError(f"{path}, line {place}: a bond leads to an atom that is not there")
        molecules.append(Molecule(row["name"], np.array(elements, "int32"), table, float(row["solubility"])))
    return molecules


def load_data(config: Config) -> tuple[list[Molecule], list[Molecule], list[Molecule]]:
    """Return (train, validation, test) molecules, 80/10/10; the same molecule in two lines stays together."""
    if config.synthetic:
        make_synthetic(config)
    molecules = read_molecules(Path(config.data_dir) / "molecules.jsonl")
    names = sorted({molecule.name for molecule in molecules})
    order = np.random.default_rng(config.seed).permutation(len(names))
    held_out = max(1, len(names) // 10)
    place = {
        names[i]: 2 if rank < held_out else 1 if rank < 2 * held_out else 0 for rank, i in enumerate(order)
    }
    return tuple([m for m in molecules if place[m.name] == part] for part in range(3))


def as_arrays(batch: list[Molecule], config: Config) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return padded elements (molecules, atoms), adjacency (molecules, kinds, atoms, atoms) and targets."""
    longest = max(len(molecule.elements) for molecule in batch)
    elements = np.zeros((len(batch), longest), dtype="int32")
    adjacency = np.zeros((len(batch), config.num_bond_kinds, longest, longest), dtype="float32")
    for row, molecule in enumerate(batch):
        elements[row, : len(molecule.elements)] = molecule.elements
        left, right, kind = molecule.bonds.T
        adjacency[row, kind, left, right] = adjacency[row, kind, right, left] = 1.0
    targets = np.array([[molecule.solubility] for molecule in batch], dtype="float32")
    return {"elements": elements, "adjacency": adjacency}, targets


def batches_of(molecules: list[Molecule], config: Config, seed: int | None = None) -> tf.data.Dataset:
    """Return padded batches: with a seed shuffled ones of like sizes, else in the given order."""

    def generate():
        order = np.arange(len(molecules))
        if seed is not None:
            sizes = np.array([len(molecule.elements) for molecule in molecules])
            order = np.argsort(sizes + rng.uniform(0, 3, len(sizes)))
        groups = [order[i : i + config.batch_size] for i in range(0, len(order), config.batch_size)]
        for group in rng.permutation(len(groups)) if seed is not None else range(len(groups)):
            yield as_arrays([molecules[i] for i in groups[group]], config)

    rng = np.random.default_rng(seed)
    inputs = {
        "elements": tf.TensorSpec((None, None), tf.int32),
        "adjacency": tf.TensorSpec((None, config.num_bond_kinds, None, None), tf.float32),
    }
    rows = tf.data.Dataset.from_generator(
        generate, output_signature=(inputs, tf.TensorSpec((None, 1), tf.float32))
    )
    count = -(-len(molecules) // config.batch_size)
    return rows.apply(tf.data.experimental.assert_cardinality(count)).prefetch(tf.data.AUTOTUNE)


# %% [model]
class MessagePassing(layers.Layer):
    """Let atoms exchange messages along their bonds for some rounds."""

    def __init__(self, units: int, rounds: int, num_bond_kinds: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units, self.rounds, self.num_bond_kinds = units, rounds, num_bond_kinds
        self.message = layers.Dense(num_bond_kinds * units)
        self.update = layers.GRUCell(units)

    def build(self, input_shape) -> None:
        """Make the weights, the same ones for all rounds."""
        self.message.build((None, None, self.units))
        self.update.build((None, self.units))

    def call(self, states, adjacency):
        """Return states (molecules, atoms, units) after all rounds, from states of that shape."""
        count = ops.shape(states)[1]
        for _ in range(self.rounds):
            spoken = ops.reshape(self.message(states), (-1, count, self.num_bond_kinds, self.units))
            heard = ops.einsum("bkij,bjku->biu", adjacency, spoken)
            flat, _ = self.update(
                ops.reshape(heard, (-1, self.units)), [ops.reshape(states, (-1, self.units))]
            )
            states = ops.reshape(flat, (-1, count, self.units))
        return states

    def get_config(self) -> dict:
        """Return what rebuilds the layer."""
        sizes = {"units": self.units, "rounds": self.rounds, "num_bond_kinds": self.num_bond_kinds}
        return {**super().get_config(), **sizes}


class AttentiveSum(layers.Layer):
    """Sum up true atoms, each weighed between 0 and 1 by what it is."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.weight = layers.Dense(1, activation="sigmoid")

    def build(self, input_shape) -> None:
        """Make the weights."""
        self.weight.build(input_shape)

    def call(self, states, elements):
        """Return (molecules, units); atoms with the element 0 are padding."""
        real = ops.cast(ops.expand_dims(elements > 0, -1), states.dtype)
        return ops.sum(self.weight(states) * states * real, axis=1)


def build_model(config: Config) -> keras.Model:
    """Return the compiled network: {elements, adjacency} in, standardised solubility out."""
    elements = keras.Input(shape=(None,), dtype="int32", name="elements")
    adjacency = keras.Input(shape=(config.num_bond_kinds, None, None), name="adjacency")
    states = layers.Embedding(config.num_elements, config.units)(elements)
    states = MessagePassing(config.units, config.rounds, config.num_bond_kinds)(states, adjacency)
    states = layers.Dense(config.units, activation="relu")(states)
    x = AttentiveSum()(states, elements)
    x = layers.Dense(config.units, activation="relu")(x)
    x = layers.Dropout(0.1)(x)
    outputs = layers.Dense(1)(x)
    model = keras.Model({"elements": elements, "adjacency": adjacency}, outputs)
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate, "clipnorm": 1.0}}
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
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
    """Fit to standardised targets, keep the best weights, and return the last value of every measure."""
    keras.utils.set_random_seed(config.seed)
    train_set, validation_set, _ = load_data(config)
    targets = np.array([molecule.solubility for molecule in train_set])
    scale = {"mean": float(targets.mean()), "std": float(targets.std()) + 1e-6}

    def standardise(inputs, truth):
        return inputs, (truth - scale["mean"]) / scale["std"]

    model = build_model(config)
    model.summary()
    history = model.fit(
        batches_of(train_set, config, seed=config.seed).map(standardise),
        validation_data=batches_of(validation_set, config).map(standardise),
        epochs=config.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=12, restore_best_weights=True, start_from_epoch=10),
            keras.callbacks.ReduceLROnPlateau(patience=5, factor=0.5),
        ],
        verbose=2,
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "model.keras")
    (output / "scale.json").write_text(json.dumps(scale), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


# %% [evaluate]
def estimate(config: Config, molecules: list[Molecule]) -> np.ndarray:
    """Return solubilities (molecules, 1) in the unit of the data by the saved model."""
    output = Path(config.output_dir)
    scale = json.loads((output / "scale.json").read_text(encoding="utf-8"))
    own_layers = {"MessagePassing": MessagePassing, "AttentiveSum": AttentiveSum}
    model = keras.models.load_model(output / "model.keras", custom_objects=own_layers)
    return model.predict(batches_of(molecules, config), verbose=0) * scale["std"] + scale["mean"]


def evaluate(config: Config) -> dict[str, float]:
    """Measure errors on the test molecules, and those of always answering the mean of training."""
    train_set, _, test_set = load_data(config)
    truth = np.array([[molecule.solubility] for molecule in test_set])
    errors = estimate(config, test_set) - truth
    mean = np.mean([molecule.solubility for molecule in train_set])
    return {
        "mean_absolute_error": float(np.abs(errors).mean()),
        "root_mean_squared_error": float(np.sqrt((errors**2).mean())),
        "mean_baseline_error": float(np.abs(mean - truth).mean()),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the solubilities (molecules, 1) of the test molecules; write them beside the names."""
    _, _, test_set = load_data(config)
    answers = estimate(config, test_set)
    lines = [f"{m.name},{answer:.4f}" for m, answer in zip(test_set, answers[:, 0], strict=True)]
    path = Path(config.output_dir) / "predictions.csv"
    path.write_text("\n".join(["name,solubility", *lines]) + "\n", encoding="utf-8")
    return answers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
