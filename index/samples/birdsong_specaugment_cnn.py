# SPDX-License-Identifier: Apache-2.0
"""Say which birds sing in a field recording, several at once if need be, with a CNN and SpecAugment.

Log-mel spectrograms are made on the fly by `torch.stft` and a filterbank written out here. While training,
a random excerpt is taken of each recording, two excerpts are now and then laid over each other (the label
is then both lists of birds), and bands of time and of frequency are blanked out. The weights that are kept
are a running average. At the end a recording is cut into overlapping excerpts and the surest one decides
per bird.

Data: `data_dir/labels.csv` with the header `file,species` (several species parted by a semicolon, none for
recordings without birds) and the recordings in `data_dir/audio/`, WAV, 16 bit, one channel, 16 kHz.
"""

# %% [imports]
import argparse
import contextlib
import csv
import dataclasses
import json
import wave
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset


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
    clip_samples: int = 32000
    n_fft: int = 1024
    hop_length: int = 320
    num_mels: int = 64
    num_classes: int = 4
    mix_probability: float = 0.3
    optimizer: str = "adamw"
    loss: str = "binary_crossentropy"
    metric: str = "mean_average_precision"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 40
    ema_decay: float = 0.98


OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
LOSSES = {"binary_crossentropy": nn.BCEWithLogitsLoss, "mean_squared_error": nn.MSELoss}


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Bird song tagging")
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
    """Write recordings with wind and up to two birds, each species with chirps of its own pitch and slope."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = [["file", "species"]]
    time = np.arange(int(0.15 * config.sample_rate)) / config.sample_rate
    for number in range(config.synthetic_samples):
        samples = rng.normal(0, 300, int(config.clip_samples * rng.uniform(1.0, 1.6)))
        birds = {number % config.num_classes, int(rng.integers(3 * config.num_classes))}
        birds = sorted(bird for bird in birds if bird < config.num_classes)
        for bird in birds:
            low, slope = 900 + 1500 * bird / config.num_classes * 3, (-1) ** bird * 4000
            chirp = 5000 * np.hanning(len(time)) * np.sin(2 * np.pi * (low + 0.5 * slope * time) * time)
            for start in rng.integers(0, len(samples) - len(time), size=8):
                samples[start : start + len(time)] += chirp
        name = f"field_{number:04d}.wav"
        with wave.open(str(folder / "audio" / name), "wb") as file:
            file.setparams((1, 2, config.sample_rate, 0, "NONE", ""))
            file.writeframes(samples.clip(-32768, 32767).astype("<i2").tobytes())
        rows.append([name, ";".join(f"bird_{bird}" for bird in birds)])
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def read_wav(path: Path, sample_rate: int) -> np.ndarray:
    """Return the 16-bit samples of a mono recording."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, sample_rate):
            raise ValueError(f"{path}: expected one channel of 16 bit at {sample_rate} Hz")
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


class Recordings(Dataset):
    """Hold recordings of any length and their species as rows of zeros and ones."""

    def __init__(self, waves: list[np.ndarray], targets: np.ndarray, config: Config, augment: bool) -> None:
        self.waves, self.targets, self.config, self.augment = (
            waves,
            torch.from_numpy(targets),
            config,
            augment,
        )

    def __len__(self) -> int:
        return len(self.waves)

    def excerpt(self, index: int, start: int) -> torch.Tensor:
        """Return `clip_samples` samples in [-1, 1] from a place on; silence where there are no more."""
        piece = self.waves[index][start : start + self.config.clip_samples].astype("float32") / 32768.0
        return torch.from_numpy(np.pad(piece, (0, self.config.clip_samples - len(piece))))

    def random_excerpt(self, index: int) -> torch.Tensor:
        """Return an excerpt from anywhere in a recording, at a random volume."""
        latest = max(0, len(self.waves[index]) - self.config.clip_samples)
        clip = self.excerpt(index, int(torch.randint(latest + 1, ())))
        return clip * (0.5 + torch.rand(()))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return excerpts and target: one random excerpt (samples,), or all of them (excerpts, samples)."""
        if not self.augment:
            last = max(1, len(self.waves[index]) - self.config.clip_samples // 2)
            starts = range(0, last, self.config.clip_samples // 2)
            return torch.stack([self.excerpt(index, start) for start in starts]), self.targets[index]
        clip, target = self.random_excerpt(index), self.targets[index]
        if torch.rand(()) < self.config.mix_probability:
            other = int(torch.randint(len(self), ()))
            clip = clip + self.random_excerpt(other)
            target = torch.maximum(target, self.targets[other])
        return clip, target


def load_data(config: Config) -> tuple[Recordings, Recordings, Recordings]:
    """Return (train, validation, test) recordings, 70/15/15 percent."""
    if config.synthetic:
        make_synthetic(config)
    folder = Path(config.data_dir)
    if not (folder / "labels.csv").is_file():
        raise FileNotFoundError(f"{folder}: expected labels.csv (file,species) and audio/ with WAV files")
    with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
        rows = [(row["file"], set(filter(None, row["species"].split(";")))) for row in csv.DictReader(file)]
    species = sorted(set().union(*(birds for _, birds in rows)))
    if len(species) != config.num_classes:
        raise ValueError(f"{len(species)} species in labels.csv, --num-classes is {config.num_classes}")
    waves = [read_wav(folder / "audio" / name, config.sample_rate) for name, _ in rows]
    targets = np.array([[name in birds for name in species] for _, birds in rows], dtype="float32")
    order = np.random.default_rng(config.seed).permutation(len(rows))
    parts = np.split(order, [int(0.7 * len(rows)), int(0.85 * len(rows))])
    return tuple(
        Recordings([waves[i] for i in part], targets[part], config, augment=place == 0)
        for place, part in enumerate(parts)
    )


# %% [model]
def mel_filterbank(num_mels: int, n_fft: int, sample_rate: int) -> np.ndarray:
    """Return triangles (n_fft // 2 + 1, num_mels), evenly spaced in pitch as it is heard (HTK's formula)."""
    top = 2595.0 * np.log10(1.0 + sample_rate / 2 / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(0.0, top, num_mels + 2) / 2595.0) - 1.0)
    frequencies = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)[:, None]
    rising = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype("float32")


class LogMel(nn.Module):
    """Turn waveforms (clips, samples) into images (clips, 1, num_mels, frames)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.n_fft, self.hop_length = config.n_fft, config.hop_length
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        bank = mel_filterbank(config.num_mels, config.n_fft, config.sample_rate)
        self.register_buffer("bank", torch.from_numpy(bank), persistent=False)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return log powers, for each clip relative to its own mean: the recorder's gain does not matter."""
        bins = torch.stft(clips, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        logs = torch.log(torch.einsum("bft,fm->bmt", bins.abs() ** 2, self.bank) + 1e-6)
        return ((logs - logs.mean(dim=(1, 2), keepdim=True)) / 4.0).unsqueeze(1)


class SpecAugment(nn.Module):
    """Blank out two bands of frequency and two of time, while training only."""

    def __init__(self, max_mels: int, max_frames: int) -> None:
        super().__init__()
        self.limits = ((2, max_mels), (3, max_frames))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return images with bands of zeros, which is their mean."""
        if not self.training:
            return x
        for axis, limit in self.limits:
            places = torch.arange(x.shape[axis], device=x.device)
            for _ in range(2):
                width = torch.randint(0, limit + 1, (len(x), 1), device=x.device)
                start = (torch.rand(len(x), 1, device=x.device) * (x.shape[axis] - width)).long()
                kept = (places < start) | (places >= start + width)
                x = x * (kept[:, None, :, None] if axis == 2 else kept[:, None, None, :])
        return x


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return two convolutions at one resolution and a pooling that halves it."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.AvgPool2d(2),
    )


def build_model(config: Config) -> nn.Module:
    """Return the untrained tagger: waveforms in, one logit per species out."""
    return nn.Sequential(
        LogMel(config),
        SpecAugment(max_mels=8, max_frames=20),
        conv_block(1, 16),
        conv_block(16, 32),
        conv_block(32, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64, config.num_classes),
    )


# %% [train]
def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean over species of the precision at each true recording; others are left out."""
    values = []
    for column, truth in zip(scores.T, targets.T, strict=True):
        if truth.any():
            hits = truth[np.argsort(-column, kind="stable")]
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            values.append(float(precision[hits > 0].mean()))
    return float(np.mean(values)) if values else 0.0


def micro_f1_score(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return the F1 of all decisions together, at a threshold of one half."""
    found = scores > 0.5
    return float(2 * (found & (targets > 0)).sum() / max(found.sum() + targets.sum(), 1.0))


METRICS = {"mean_average_precision": mean_average_precision, "micro_f1_score": micro_f1_score}


@torch.no_grad()
def score_recordings(model: nn.Module, recordings: Recordings) -> np.ndarray:
    """Return probabilities (recordings, num_classes): per species those of the surest excerpt."""
    model.eval()
    device = next(model.parameters()).device
    loader = DataLoader(recordings, batch_size=None)  # one recording a step: their numbers of excerpts differ
    return np.stack([model(clips.to(device)).sigmoid().amax(dim=0).cpu().numpy() for clips, _ in loader])


def running_average(decay: float):
    """Return an average that forgets the first, bad weights quickly: its memory grows with the steps."""
    return lambda mean, new, count: mean + (new - mean) * max(1.0 - decay, 9.0 / (10.0 + float(count)))


def train(config: Config) -> dict[str, float]:
    """Fit and save the running average of the weights; return the last loss and validation measure."""
    torch.manual_seed(config.seed)
    chosen = ((config.optimizer, OPTIMIZERS), (config.loss, LOSSES), (config.metric, METRICS))
    for name, known in chosen:
        if name not in known:
            raise ValueError(f"unknown name {name!r}; known: {', '.join(sorted(known))}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_set, validation_set, _ = load_data(config)
    loader = DataLoader(train_set, batch_size=config.batch_size, shuffle=True, num_workers=0)
    model = build_model(config).to(device)
    # use_buffers: the statistics of batch normalisation are averaged with the weights they belong to.
    average = AveragedModel(model, avg_fn=running_average(config.ema_decay), use_buffers=True)
    criterion = LOSSES[config.loss]()
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    halves = torch.autocast("cuda") if device.type == "cuda" else contextlib.nullcontext()
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for clips, targets in loader:
            with halves:
                loss = criterion(model(clips.to(device)), targets.to(device))
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            average.update_parameters(model)
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}")
    scores = score_recordings(average, validation_set)
    measure = METRICS[config.metric](scores, validation_set.targets.numpy())
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    torch.save(average.module.state_dict(), output / "model.pt")
    return {"loss": float(np.mean(losses)), f"val_{config.metric}": measure}


# %% [evaluate]
def tag_test_recordings(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and targets (recordings, num_classes) of the test recordings."""
    _, _, test_set = load_data(config)
    model = build_model(config)
    path = Path(config.output_dir) / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return score_recordings(model, test_set), test_set.targets.numpy()


def evaluate(config: Config) -> dict[str, float]:
    """Measure the ranking of recordings and the decisions on the test recordings."""
    answers = tag_test_recordings(config)
    measures = {name: metric(*answers) for name, metric in METRICS.items()}
    (Path(config.output_dir) / "metrics.json").write_text(json.dumps(measures), encoding="utf-8")
    return measures


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the probability of each species (recordings, num_classes) in the test recordings; save them."""
    scores, _ = tag_test_recordings(config)
    np.save(Path(config.output_dir) / "predictions.npy", scores)
    return scores


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
