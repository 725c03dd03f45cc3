# SPDX-License-Identifier: Apache-2.0
"""Spell out spoken house commands letter by letter: listen, attend and spell.

The listener is a convolution and a pyramid of bidirectional LSTMs that halves time twice; the speller is a
language model over letters that looks back at the listener's states through attention, so that, unlike
with CTC, each letter depends on those before it. Speech runs forward: a penalty on attention far from the
diagonal (guided attention) shows the network that, which saves most of the epochs such models need.
Trained by a loop of its own with a gradient tape.

Data: one folder per speaker with WAV files, 16 bit, one channel, 8 kHz, and a `transcripts.txt` in which
each line is the name of a recording without `.wav`, a space, and what is said:
`data_dir/anna/transcripts.txt`.
"""

# %% [imports]
import argparse
import dataclasses
import wave
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
    sample_rate: int = 8000
    max_frames: int = 120
    num_mels: int = 40
    max_characters: int = 20
    vocab_size: int = 30
    embedding_dim: int = 32
    units: int = 64
    guidance: float = 2.0
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "character_error_rate"
    learning_rate: float = 0.002
    batch_size: int = 32
    epochs: int = 60


LETTERS = " abcdefghijklmnopqrstuvwxyz"
PADDING, START, END, FIRST_LETTER = 0, 1, 2, 3


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Listen, attend and spell")
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
    """Write commands by six voices; a letter is a buzz whose pitch and overtone tell which one it is."""
    rng = np.random.default_rng(config.seed)
    verbs, things = ["open", "close", "dim", "stop"], ["lamp", "door", "fan", "music"]
    lines: dict[Path, list[str]] = {}
    for number in range(config.synthetic_samples):
        text = f"{verbs[rng.integers(4)]} {things[rng.integers(4)]}"
        folder = Path(config.data_dir) / f"voice_{number % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        sound = [np.zeros(int(0.1 * config.sample_rate))]
        for letter in text:
            time = np.arange(int(rng.uniform(0.1, 0.15) * config.sample_rate)) / config.sample_rate
            pitch = (250 + 50 * LETTERS.index(letter)) * (0.98 + 0.01 * (number % 6))
            sound.append(np.sin(2 * np.pi * pitch * time) + 0.5 * np.sin(4 * np.pi * pitch * time))
        samples = 8000 * np.concatenate(sound)
        samples += rng.normal(0, 200, len(samples))
        with wave.open(str(folder / f"command{number:04d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(config.sample_rate)
            file.writeframes(samples.astype("<i2").tobytes())
        lines.setdefault(folder, []).append(f"command{number:04d} {text}\n")
    for folder, texts in lines.items():
        (folder / "transcripts.txt").write_text("".join(texts), encoding="utf-8")


def log_mels(path: Path, config: Config) -> np.ndarray:
    """Return log-mel frames (frames, num_mels), one every 20 ms, at most `max_frames`."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, config.sample_rate):
            raise ValueError(f"{path}: expected one channel of 16 bit at {config.sample_rate} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype("float32") / 32768
    step = config.sample_rate // 50
    spectra = tf.abs(tf.signal.stft(samples, 2 * step, step, fft_length=512, pad_end=True))
    matrix = tf.signal.linear_to_mel_weight_matrix(config.num_mels, 257, config.sample_rate, 80.0, 3800.0)
    logs = np.log(tf.matmul(spectra, matrix).numpy() + 1e-3)[: config.max_frames]
    return (logs - logs.mean()) / (logs.std() + 1e-6)


def spell_ids(text: str, config: Config) -> list[int]:
    """Return start, letters and end as numbers, padded to `max_characters` + 1."""
    kept = [LETTERS.index(letter) + FIRST_LETTER for letter in text.lower() if letter in LETTERS]
    ids = [START, *kept[: config.max_characters - 1], END]
    return ids + [PADDING] * (config.max_characters + 1 - len(ids))


def read_speaker(folder: Path, config: Config) -> list[tuple[np.ndarray, int, list[int]]]:
    """Return (padded frames, number of true frames, letters' numbers) of all commands of a speaker."""
    commands = []
    for line in (folder / "transcripts.txt").read_text(encoding="utf-8").splitlines():
        name, _, text = line.partition(" ")
        frames = log_mels(folder / f"{name}.wav", config)
        padding = [(0, config.max_frames - len(frames)), (0, 0)]
        commands.append((np.pad(frames, padding), len(frames), spell_ids(text, config)))
    return commands


def load_data(config: Config):
    """Return (train, validation, test) as (frames, lengths, letters); no speaker is in two of them."""
    if config.synthetic:
        make_synthetic(config)
    folders = sorted(path.parent for path in Path(config.data_dir).glob("*/transcripts.txt"))
    if len(folders) < 3:
        raise FileNotFoundError(
            f"{config.data_dir}: expected folders of three speakers or more, each with a transcripts.txt"
        )
    order = np.random.default_rng(config.seed).permutation(len(folders))
    held_out = max(1, len(folders) // 8)
    splits = []
    for chosen in np.split(order, [len(order) - 2 * held_out, len(order) - held_out]):
        commands = [command for i in chosen for command in read_speaker(folders[i], config)]
        frames, lengths, letters = zip(*commands, strict=True)
        splits.append((np.stack(frames), np.array(lengths, "int32"), np.array(letters, "int32")))
    return tuple(splits)


# %% [model]
class ListenAttendSpell(keras.Model):
    """Map frames, their number, and the letters so far to the next letter at every place."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.listen1 = layers.Conv1D(config.units, 5, padding="same", activation="relu")
        self.listen2 = layers.Bidirectional(layers.LSTM(config.units, return_sequences=True))
        self.listen3 = layers.Bidirectional(layers.LSTM(config.units, return_sequences=True))
        self.keys = layers.Dense(2 * config.units)
        self.embedding = layers.Embedding(config.vocab_size, config.embedding_dim)
        self.spell1 = layers.LSTM(2 * config.units, return_sequences=True)
        self.attention = layers.Attention(use_scale=True)
        self.joined = layers.Concatenate()
        self.spell2 = layers.Dense(2 * config.units, activation="tanh")
        self.dropout = layers.Dropout(0.2)
        self.letters = layers.Dense(config.vocab_size, activation="softmax")

    def listen(self, frames, lengths):
        """Return states (batch, max_frames / 4, 2 * units) and the mask of those that are no padding."""
        mask = ops.arange(frames.shape[1])[None, :] < lengths[:, None]
        x = self.listen1(frames)
        for layer in (self.listen2, self.listen3):
            x = ops.reshape(x, (-1, x.shape[1] // 2, 2 * x.shape[2]))  # two neighbours become one step
            mask = mask[:, ::2]
            x = layer(x, mask=mask)
        return self.keys(x), mask

    def spell(self, states, mask, letters, training=False):
        """Return letter probabilities (batch, places, vocab_size) and attention (batch, places, states)."""
        x = self.spell1(self.embedding(letters))
        context, scores = self.attention([x, states], mask=[None, mask], return_attention_scores=True)
        x = self.spell2(self.joined([x, context]))
        return self.letters(self.dropout(x, training=training)), scores

    def call(self, inputs, training=False):
        """Return what `spell` does for [frames, lengths, letters]."""
        frames, lengths, letters = inputs
        states, mask = self.listen(frames, lengths)
        return self.spell(states, mask, letters, training=training)


def build_model(config: Config) -> keras.Model:
    """Return the network with its weights made, not compiled: `train` has a loop of its own."""
    model = ListenAttendSpell(config)
    # The weights do not depend on how many frames and letters there are: few of them are quick.
    model([tf.zeros((1, 8, config.num_mels)), tf.constant([8]), tf.constant([[START, END]])])
    return model


# %% [train]
def off_diagonal(lengths: tf.Tensor, letters: tf.Tensor, places: int, states: int) -> tf.Tensor:
    """Return a weight near 0 where place and state are equally far through the command, near 1 elsewhere."""
    spoken = tf.cast(lengths, tf.float32)[:, None, None] / 4.0
    written = tf.reduce_sum(tf.cast(letters != PADDING, tf.float32), axis=1)[:, None, None]
    here = tf.range(places, dtype=tf.float32)[None, :, None] / written
    there = tf.range(states, dtype=tf.float32)[None, None, :] / spoken
    return 1.0 - tf.exp(-tf.square(here - there) / (2 * 0.2**2))


def make_loss(model: keras.Model, config: Config):
    """Return a function of a batch: cross-entropy over true letters plus the price of wandering attention."""
    cross_entropy = keras.losses.get(config.loss)

    def batch_loss(frames, lengths, letters, training):
        given, wanted = letters[:, :-1], letters[:, 1:]
        probabilities, scores = model([frames, lengths, given], training=training)
        real = tf.cast(wanted != PADDING, tf.float32)
        entropy = tf.reduce_sum(cross_entropy(wanted, probabilities) * real) / tf.reduce_sum(real)
        astray = off_diagonal(lengths, wanted, scores.shape[1], scores.shape[2]) * scores
        price = tf.reduce_sum(tf.reduce_sum(astray, axis=2) * real) / tf.reduce_sum(real)
        return entropy, price

    return batch_loss


def train(config: Config) -> dict[str, float]:
    """Fit by teacher forcing, keep the weights of the lowest validation loss and return the last losses."""
    keras.utils.set_random_seed(config.seed)
    train_set, validation_set, _ = load_data(config)
    batches = tf.data.Dataset.from_tensor_slices(train_set).shuffle(2048, seed=config.seed)
    batches = batches.batch(config.batch_size).prefetch(1)
    model = build_model(config)
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer,
            "config": {"learning_rate": config.learning_rate, "global_clipnorm": 1.0},
        }
    )
    optimizer.build(model.trainable_variables)
    batch_loss = make_loss(model, config)

    @tf.function(reduce_retracing=True)
    def validate(frames, lengths, letters):
        return batch_loss(frames, lengths, letters, training=False)[0]

    @tf.function(reduce_retracing=True)
    def step(frames, lengths, letters):
        with tf.GradientTape() as tape:
            entropy, price = batch_loss(frames, lengths, letters, training=True)
            total = entropy + config.guidance * price
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return entropy

    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    best = np.inf
    for epoch in range(config.epochs):
        loss = float(np.mean([step(*batch).numpy() for batch in batches]))
        val_loss = float(validate(*map(tf.constant, validation_set)))
        print(f"epoch {epoch + 1} of {config.epochs} - loss: {loss:.4f} - val_loss: {val_loss:.4f}")
        if val_loss < best:
            best = val_loss
            model.save_weights(output / "speller.weights.h5")
    return {"loss": loss, "val_loss": val_loss, "best_val_loss": float(best)}


# %% [evaluate]
def to_text(ids) -> str:
    """Return the letters of a row of numbers up to its end."""
    letters = []
    for number in ids:
        if number == END:
            break
        if number >= FIRST_LETTER:
            letters.append(LETTERS[number - FIRST_LETTER])
    return "".join(letters)


def greedy_spelling(config: Config, frames: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return numbers (commands, max_characters): at each place the likeliest letter after those before."""
    model = build_model(config)
    model.load_weights(Path(config.output_dir) / "speller.weights.h5")
    states, mask = tf.function(model.listen)(tf.constant(frames), tf.constant(lengths))
    spell = tf.function(model.spell)
    written = np.full((len(frames), config.max_characters + 1), PADDING, dtype="int32")
    written[:, 0] = START
    for place in range(config.max_characters):
        # LSTMs run forward only, so what stands behind `place` cannot change the answer there.
        probabilities, _ = spell(states, mask, tf.constant(written[:, :-1]))
        written[:, place + 1] = probabilities[:, place].numpy().argmax(axis=-1)
        if (written == END).any(axis=1).all():
            break
    return written[:, 1:]


def character_errors(answer: str, truth: str) -> int:
    """Return the Levenshtein distance of two texts."""
    previous = list(range(len(truth) + 1))
    for i, letter in enumerate(answer, 1):
        current = [i]
        for j, other in enumerate(truth, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (letter != other)))
        previous = current
    return previous[-1]


def evaluate(config: Config) -> dict[str, float]:
    """Measure the character error rate and the share of commands spelled without any error."""
    _, _, (frames, lengths, letters) = load_data(config)
    answers = [to_text(row) for row in greedy_spelling(config, frames, lengths)]
    truths = [to_text(row) for row in letters]
    errors = [character_errors(a, t) for a, t in zip(answers, truths, strict=True)]
    return {
        "character_error_rate": sum(errors) / max(1, sum(map(len, truths))),
        "exact_match": float(np.mean([error == 0 for error in errors])),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return letters' numbers (commands, max_characters) for the test commands; save them and the texts."""
    _, _, (frames, lengths, _) = load_data(config)
    numbers = greedy_spelling(config, frames, lengths)
    output = Path(config.output_dir)
    np.save(output / "predictions.npy", numbers)
    (output / "predictions.txt").write_text("\n".join(map(to_text, numbers)) + "\n", encoding="utf-8")
    return numbers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
