# SPDX-License-Identifier: Apache-2.0
"""Write down spoken number strings with bidirectional GRUs over stacked log-mel frames, trained by CTC.

Recordings of different length go through the network together: batches are made of neighbours in length,
padded, and packed, so that no GRU ever reads padding. Three frames at a time are stacked, which shortens
the sequences for both the recurrence and the loss. The characters come from the training transcripts; the
answer is decoded greedily and scored by word and by character error rate. Speech is sped up and slowed
down while training.

Data: three tables `data_dir/train.tsv`, `dev.tsv` and `test.tsv` with the header `path<TAB>sentence`, the
paths relative to `data_dir/clips/`: WAV files, 16 bit, one channel, 16 kHz.
"""

# %% [imports]
import argparse
import csv
import dataclasses
import json
import wave
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    sample_rate: int = 16000
    num_mels: int = 40
    stacked_frames: int = 3
    max_seconds: float = 12.0
    vocab_size: int = 40
    units: int = 96
    num_layers: int = 2
    optimizer: str = "adamw"
    loss: str = "ctc"
    metric: str = "word_error_rate"
    learning_rate: float = 0.002
    batch_size: int = 16
    epochs: int = 40
    speed_change: float = 0.1


BLANK = 0


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Speech recognition with CTC in PyTorch")
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
    """Write strings of one to three number words; every letter is a chord of two tones, at a varying pace."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    sentences = [" ".join(rng.choice(words, rng.integers(1, 4))) for _ in range(config.synthetic_samples)]
    tables: dict[str, list[list[str]]] = {"train": [], "dev": [], "test": []}
    for number, sentence in enumerate(sentences):
        pieces = []
        for letter in sentence:
            time = np.arange(int(config.sample_rate * rng.uniform(0.1, 0.14))) / config.sample_rate
            place = ord(letter) - ord("a")
            tones = [300 + 110 * (place % 6), 1500 + 500 * (place // 6)]
            chord = sum(np.sin(2 * np.pi * tone * time) for tone in tones)
            pieces.append(0.2 * chord * np.hanning(len(time)) if letter != " " else np.zeros_like(time))
        samples = np.concatenate(pieces)
        samples = (32767 * (samples + rng.normal(0, 0.005, len(samples)))).clip(-32768, 32767)
        with wave.open(str(folder / "clips" / f"speech_{number:05d}.wav"), "wb") as file:
            file.setparams((1, 2, config.sample_rate, 0, "NONE", "not compressed"))
            file.writeframes(samples.astype("<i2").tobytes())
        table = {6: "dev", 7: "test"}.get(number % 8, "train")
        tables[table].append([f"speech_{number:05d}.wav", sentence])
    for name, rows in tables.items():
        with open(folder / f"{name}.tsv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t").writerows([["path", "sentence"], *rows])


def read_table(path: Path) -> list[tuple[str, str]]:
    """Return (file name, sentence in lower case) of a table."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a tab separated table with the columns path and sentence")
    with open(path, newline="", encoding="utf-8") as file:
        return [
            (row["path"], row["sentence"].lower().strip()) for row in csv.DictReader(file, delimiter="\t")
        ]


def mel_weights(num_mels: int, bins: int, sample_rate: int) -> np.ndarray:
    """Return the matrix (bins, num_mels) of overlapping triangles on the mel scale."""
    mels = np.linspace(0, 1127 * np.log1p(sample_rate / 2 / 700), num_mels + 2)
    places = 700 * np.expm1(mels / 1127) / (sample_rate / 2) * (bins - 1)
    grid = np.arange(bins)
    return np.stack([np.interp(grid, places[i : i + 3], [0, 1, 0]) for i in range(num_mels)], axis=1)


class Utterances(Dataset):
    """Turn recordings into stacked log-mel frames (frames, stacked * mels) and letters' numbers."""

    def __init__(self, rows: list[tuple[str, str]], alphabet: str, config: Config, augment: bool) -> None:
        self.rows, self.alphabet, self.config, self.augment = rows, alphabet, config, augment
        self.waves = [self.read(Path(config.data_dir) / "clips" / name) for name, _ in rows]
        self.width, self.step, self.fft = int(0.025 * config.sample_rate), int(0.01 * config.sample_rate), 512
        self.mels = mel_weights(config.num_mels, self.fft // 2 + 1, config.sample_rate).astype("float32")

    def read(self, path: Path) -> np.ndarray:
        """Return the samples of a recording in [-1, 1]."""
        with wave.open(str(path), "rb") as file:
            if file.getparams()[:3] != (1, 2, self.config.sample_rate):
                raise ValueError(f"{path}: expected one channel, 16 bit, {self.config.sample_rate} Hz")
            frames = file.readframes(int(self.config.max_seconds * self.config.sample_rate))
        return np.frombuffer(frames, dtype="<i2").astype("float32") / 32768

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        samples = self.waves[index]
        if self.augment:
            factor = 1 + self.config.speed_change * float(2 * torch.rand(()) - 1)
            places = np.arange(0, len(samples) - 1, factor)
            samples = np.interp(places, np.arange(len(samples)), samples).astype("float32")
        samples = np.pad(samples, (0, max(0, self.width * 4 - len(samples))))
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.width)[:: self.step]
        power = np.abs(np.fft.rfft(frames * np.hamming(self.width), self.fft)) ** 2
        logs = np.log(power.astype("float32") @ self.mels + 1e-6)
        logs = (logs - logs.mean(axis=0)) / (logs.std(axis=0) + 1e-3)
        whole = len(logs) // self.config.stacked_frames
        stacked = logs[: whole * self.config.stacked_frames].reshape(whole, -1)
        # A letter that training never had cannot be answered, but it counts when errors are counted.
        letters = [self.alphabet.index(c) + 1 for c in self.rows[index][1] if c in self.alphabet]
        return torch.from_numpy(stacked), torch.tensor(letters, dtype=torch.long)


class BucketSampler(Sampler):
    """Yield batches of recordings of similar length, the batches in random order."""

    def __init__(self, waves: list[np.ndarray], batch_size: int) -> None:
        self.order, self.batch_size = (
            np.argsort([len(wave_) for wave_ in waves], kind="stable").tolist(),
            batch_size,
        )

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self):
        for batch in torch.randperm(len(self)).tolist():
            yield self.order[batch * self.batch_size : (batch + 1) * self.batch_size]


def collate(items: list[tuple[torch.Tensor, torch.Tensor]]):
    """Return padded frames, their lengths, the letters of all items in a row, and their counts."""
    frames, letters = zip(*items, strict=True)
    lengths = torch.tensor([len(frame) for frame in frames])
    return (
        pad_sequence(list(frames), batch_first=True),
        lengths,
        torch.cat(letters),
        torch.tensor(list(map(len, letters))),
    )


def load_data(config: Config) -> tuple[Utterances, Utterances, Utterances]:
    """Return the utterances of train, dev and test; the alphabet is that of the training sentences."""
    if config.synthetic:
        make_synthetic(config)
    tables = [read_table(Path(config.data_dir) / f"{name}.tsv") for name in ("train", "dev", "test")]
    alphabet = "".join(sorted(set("".join(sentence for _, sentence in tables[0]))))
    if len(alphabet) + 1 > config.vocab_size:
        raise ValueError(f"{len(alphabet)} characters and the blank exceed --vocab-size {config.vocab_size}")
    return tuple(Utterances(rows, alphabet, config, place == 0) for place, rows in enumerate(tables))


# %% [model]
class SpeechGru(nn.Module):
    """Give every stacked frame a distribution over the blank and the characters."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inputs = config.stacked_frames * config.num_mels
        self.project = nn.Linear(inputs, config.units)
        self.norm = nn.LayerNorm(config.units)
        self.gru = nn.GRU(
            config.units, config.units, config.num_layers, batch_first=True, bidirectional=True, dropout=0.2
        )
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(2 * config.units, config.vocab_size)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return log probabilities (batch, time, vocab_size); those behind an item's length mean nothing."""
        x = torch.relu(self.norm(self.project(frames)))
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.output(self.dropout(x)).log_softmax(dim=-1)


def build_model(config: Config) -> nn.Module:
    """Return the untrained recogniser."""
    return SpeechGru(config)


# %% [train]
def make_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of the configuration."""
    known = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    if config.optimizer not in known:
        raise ValueError(f"unknown optimizer {config.optimizer!r}; known: {', '.join(sorted(known))}")
    return known[config.optimizer](model.parameters(), lr=config.learning_rate)


def mean_ctc(model: nn.Module, batch, criterion: nn.CTCLoss) -> torch.Tensor:
    """Return the loss of a batch; CTC wants time first."""
    device = next(model.parameters()).device
    frames, lengths, letters, counts = batch
    log_probs = model(frames.to(device), lengths)
    return criterion(log_probs.transpose(0, 1), letters.to(device), lengths, counts)


def train(config: Config) -> dict[str, float]:
    """Fit with one cycle of the learning rate, keep the best weights and return the last losses."""
    torch.manual_seed(config.seed)
    if config.loss != "ctc":
        raise ValueError(f"unknown loss {config.loss!r}; known: ctc")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_set, dev_set, _ = load_data(config)
    train_loader = DataLoader(
        train_set,
        batch_sampler=BucketSampler(train_set.waves, batch_size=config.batch_size),
        collate_fn=collate,
        num_workers=0,
    )
    dev_loader = DataLoader(dev_set, batch_size=config.batch_size, collate_fn=collate)
    model = build_model(config).to(device)
    # zero_infinity: an utterance faster than one letter per stacked frame has no alignment at all.
    criterion = nn.CTCLoss(blank=BLANK, zero_infinity=True)
    optimizer = make_optimizer(config, model)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.learning_rate, epochs=config.epochs, steps_per_epoch=len(train_loader)
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "alphabet.json").write_text(json.dumps(train_set.alphabet), encoding="utf-8")
    best = float("inf")
    for epoch in range(config.epochs):
        model.train()
        total = 0.0
        for batch in train_loader:
            optimizer.zero_grad()
            loss = mean_ctc(model, batch, criterion)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            dev_loss = float(np.mean([mean_ctc(model, batch, criterion).item() for batch in dev_loader]))
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.3f}, dev loss {dev_loss:.3f}", flush=True)
        if dev_loss < best:
            best = dev_loss
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": total / len(train_loader), "val_loss": dev_loss}


# %% [evaluate]
def edit_distance(left, right) -> int:
    """Return the fewest insertions, deletions and replacements that turn one sequence into the other."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        corner, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            corner, row[j] = row[j], min(corner + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@torch.no_grad()
def transcribe(config: Config, utterances: Utterances) -> list[str]:
    """Return the greedy transcripts of the saved model: repeats collapsed, blanks dropped."""
    output = Path(config.output_dir)
    alphabet = json.loads((output / "alphabet.json").read_text(encoding="utf-8"))
    model = build_model(config)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location="cpu"))
    model.eval()
    texts = []
    for frames, lengths, _, _ in DataLoader(utterances, batch_size=config.batch_size, collate_fn=collate):
        for path, length in zip(model(frames, lengths).argmax(dim=-1), lengths.tolist(), strict=True):
            kept = torch.unique_consecutive(path[:length]).tolist()
            # The output layer may be wider than the alphabet: those places stay empty.
            texts.append("".join(alphabet[k - 1] for k in kept if 0 < k <= len(alphabet)))
    return texts


def evaluate(config: Config) -> dict[str, float]:
    """Measure word and character error rate: all errors of the test sentences over their whole length."""
    _, _, test_set = load_data(config)
    truths = [sentence for _, sentence in test_set.rows]
    pairs = list(zip(transcribe(config, test_set), truths, strict=True))
    words = sum(edit_distance(answer.split(), truth.split()) for answer, truth in pairs)
    characters = sum(edit_distance(answer, truth) for answer, truth in pairs)
    return {
        "word_error_rate": words / max(1, sum(len(truth.split()) for truth in truths)),
        "character_error_rate": characters / max(1, sum(map(len, truths))),
    }


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the transcripts (utterances,) of the test recordings; save them beside the file names."""
    _, _, test_set = load_data(config)
    texts = transcribe(config, test_set)
    with open(Path(config.output_dir) / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        names = [name for name, _ in test_set.rows]
        csv.writer(file).writerows([["path", "transcript"], *zip(names, texts, strict=True)])
    return np.array(texts)


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
