# SPDX-License-Identifier: Apache-2.0
"""Write Russian names in Latin letters: translation letter by letter with an LSTM encoder-decoder.

The classical Keras way: one model is trained with the true letters fed to the decoder; afterwards its layers
are put together anew as two models, an encoder that gives states and a decoder that takes one letter and
the states and gives the next ones. Only these two are needed to transliterate.

Data: `data_dir/names.csv`, UTF-8, with the header `source,target`, one name in both scripts per row.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
from keras.layers import LSTM, Dense, Embedding, Input


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    source_alphabet: int = 48
    target_alphabet: int = 40
    source_length: int = 24
    target_length: int = 32
    embedding_dim: int = 32
    latent_dim: int = 128
    dropout: float = 0.1
    optimizer: str = "rmsprop"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "accuracy"
    learning_rate: float = 0.003
    batch_size: int = 32
    epochs: int = 40


# Letters 0, 1, 2: padding, unknown; the decoder starts with a tab and stops with a line break.
START, STOP = "\t", "\n"


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Transliteration of names")
    for field in dataclasses.fields(Config):
        name = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(name, action="store_true", default=field.default)
        else:
            parser.add_argument(name, type=field.type, default=field.default, metavar=field.name.upper())
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write invented names of two to four syllables; some letters need two Latin ones."""
    rng = np.random.default_rng(config.seed)
    consonants = dict(zip("бвгдзклмнпрст", "bvgdzklmnprst", strict=True)) | {"ж": "zh", "ч": "ch", "ш": "sh"}
    vowels = {"а": "a", "е": "e", "и": "i", "о": "o", "у": "u", "ю": "yu", "я": "ya"}
    letters = consonants | vowels
    rows = []
    for _ in range(config.synthetic_samples):
        syllables = rng.integers(2, 5)
        name = "".join(
            str(rng.choice(list(consonants))) + str(rng.choice(list(vowels))) for _ in range(syllables)
        )
        rows.append((name.title(), "".join(letters[letter] for letter in name).title()))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "names.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("source", "target"), *rows])


def load_data(config: Config) -> tuple[list[tuple[str, str]], ...]:
    """Return (train, validation, test), lists of (source name, target name) in small letters."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "names.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a CSV file with the columns source and target")
    with open(path, newline="", encoding="utf-8") as file:
        pairs = {
            (row["source"].strip().lower(), row["target"].strip().lower()) for row in csv.DictReader(file)
        }
    # As a set: a name that is listed twice must not be in two parts.
    names = [
        (source, target)
        for source, target in sorted(pairs)
        if 0 < len(source) <= config.source_length and 0 < len(target) < config.target_length
    ]
    np.random.default_rng(config.seed).shuffle(names)
    held_out = max(1, len(names) // 10)
    return names[2 * held_out :], names[:held_out], names[held_out : 2 * held_out]


def make_alphabet(names: list[str], size: int) -> dict[str, int]:
    """Return the numbers of letters from 2 on; 0 is padding, 1 an unknown letter."""
    letters = sorted(set("".join(names)))
    if len(letters) + 2 > size:
        raise ValueError(f"{len(letters)} letters do not fit into an alphabet of {size}")
    return {letter: number for number, letter in enumerate(letters, start=2)}


def to_numbers(names: list[str], alphabet: dict[str, int], length: int) -> np.ndarray:
    """Return letters as numbers (names, length), 0 after the end."""
    numbers = np.zeros((len(names), length), dtype="int32")
    for i, name in enumerate(names):
        for t, letter in enumerate(name[:length]):
            numbers[i, t] = alphabet.get(letter, 1)
    return numbers


def teaching_arrays(pairs, alphabets, config: Config):
    """Return ([encoder input, decoder input], decoder target); the target is one letter ahead."""
    encoder_input = to_numbers([source for source, _ in pairs], alphabets[0], config.source_length)
    decoder_input = to_numbers([START + target for _, target in pairs], alphabets[1], config.target_length)
    decoder_target = to_numbers([target + STOP for _, target in pairs], alphabets[1], config.target_length)
    return [encoder_input, decoder_input], decoder_target


# %% [model]
def build_model(config: Config) -> keras.Model:
    """Return the compiled training model; padding is masked, in the loss and in the metric too."""
    encoder_inputs = Input(shape=(config.source_length,), dtype="int32", name="source")
    x = Embedding(config.source_alphabet, config.embedding_dim, mask_zero=True, name="source_letters")(
        encoder_inputs
    )
    _, state_h, state_c = LSTM(config.latent_dim, return_state=True, dropout=config.dropout, name="encoder")(
        x
    )

    decoder_inputs = Input(shape=(config.target_length,), dtype="int32", name="target")
    y = Embedding(config.target_alphabet, config.embedding_dim, mask_zero=True, name="target_letters")(
        decoder_inputs
    )
    y, _, _ = LSTM(
        config.latent_dim,
        return_sequences=True,
        return_state=True,
        dropout=config.dropout,
        name="decoder",
    )(y, initial_state=[state_h, state_c])
    outputs = Dense(config.target_alphabet, activation="softmax", name="letter")(y)

    model = keras.Model([encoder_inputs, decoder_inputs], outputs)
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer,
            "config": {"learning_rate": config.learning_rate, "clipvalue": 1.0},
        }
    )
    model.compile(optimizer=optimizer, loss=config.loss, metrics=[config.metric])
    return model


def inference_models(model: keras.Model, config: Config) -> tuple[keras.Model, keras.Model]:
    """Return encoder and decoder with the layers, hence the weights, of the trained model."""
    source = model.get_layer("source").output
    _, *states = model.get_layer("encoder").output
    encoder = keras.Model(source, states)

    letter = keras.Input(shape=(1,), dtype="int32")
    state_h, state_c = (keras.Input(shape=(config.latent_dim,)) for _ in range(2))
    vector = model.get_layer("target_letters")(letter)
    y, new_h, new_c = model.get_layer("decoder")(vector, initial_state=[state_h, state_c])
    probabilities = model.get_layer("letter")(y)
    decoder = keras.Model([letter, state_h, state_c], [probabilities, new_h, new_c])
    return encoder, decoder


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
    """Fit with the true letters as the decoder's past; save encoder, decoder and alphabets."""
    keras.utils.set_random_seed(config.seed)
    pairs, held_out, _ = load_data(config)
    alphabets = (
        make_alphabet([source for source, _ in pairs], config.source_alphabet),
        make_alphabet([START + target + STOP for _, target in pairs], config.target_alphabet),
    )
    inputs, targets = teaching_arrays(pairs, alphabets, config)
    model = build_model(config)
    model.summary()
    history = model.fit(
        inputs,
        targets,
        batch_size=config.batch_size,
        epochs=config.epochs,
        validation_data=teaching_arrays(held_out, alphabets, config),
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True),
            keras.callbacks.CSVLogger(str(output_folder(config) / "log.csv")),
        ],
        verbose=2,
    )
    encoder, decoder = inference_models(model, config)
    encoder.save(output_folder(config) / "encoder.keras")
    decoder.save(output_folder(config) / "decoder.keras")
    (output_folder(config) / "alphabets.json").write_text(json.dumps(alphabets), encoding="utf-8")
    plot_history(history, config)
    return {name: float(values[-1]) for name, values in history.history.items()}


def output_folder(config: Config) -> Path:
    """Return the folder of results; make it where it is missing."""
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# %% [evaluate]
def transliterate(config: Config, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return the likeliest letters one after the other, as numbers (names, target_length) and as texts."""
    folder = Path(config.output_dir)
    source_alphabet, target_alphabet = json.loads((folder / "alphabets.json").read_text(encoding="utf-8"))
    encoder = keras.models.load_model(folder / "encoder.keras", compile=False)
    decoder = keras.models.load_model(folder / "decoder.keras", compile=False)
    states = encoder.predict(to_numbers(names, source_alphabet, config.source_length), verbose=0)
    numbers = np.zeros((len(names), config.target_length), dtype="int32")
    letter = np.full((len(names), 1), target_alphabet[START], dtype="int32")
    is_writing = np.ones(len(names), dtype=bool)
    for place in range(config.target_length):
        probabilities, *states = decoder.predict_on_batch([letter, *states])
        # Padding and unknown letters are never written, nor the numbers that no letter has.
        best = probabilities[:, -1, 2 : len(target_alphabet) + 2].argmax(axis=1) + 2
        is_writing &= best != target_alphabet[STOP]
        numbers[is_writing, place] = best[is_writing]
        if not is_writing.any():
            break
        letter = best[:, None].astype("int32")
    letters = {number: letter for letter, number in target_alphabet.items()}
    return numbers, ["".join(letters.get(int(number), "") for number in row) for row in numbers]


def edit_distance(ours: str, gold: str) -> int:
    """Return how many letters must be put in, taken out or changed."""
    row = list(range(len(gold) + 1))
    for i, a in enumerate(ours, start=1):
        corner, row[0] = row[0], i
        for j, b in enumerate(gold, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
    return row[-1]


def evaluate(config: Config) -> dict[str, float]:
    """Measure the share of test names written without a fault, and the error rate of letters."""
    _, _, pairs = load_data(config)
    _, written = transliterate(config, [source for source, _ in pairs])
    wanted = [target for _, target in pairs]
    wrong = sum(edit_distance(ours, gold) for ours, gold in zip(written, wanted, strict=True))
    return {
        "exact_match": float(np.mean([ours == gold for ours, gold in zip(written, wanted, strict=True)])),
        "character_error_rate": wrong / sum(map(len, wanted)),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the letters of the test names as numbers (names, target_length); write both scripts as CSV."""
    _, _, pairs = load_data(config)
    numbers, written = transliterate(config, [source for source, _ in pairs])
    with open(Path(config.output_dir) / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["source", "written"])
        writer.writeheader()
        for (source, _), name in zip(pairs, written, strict=True):
            writer.writerow({"source": source, "written": name.title()})
    return numbers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
