# SPDX-License-Identifier: Apache-2.0
"""Translate a travel phrasebook with a recurrent encoder-decoder and Bahdanau's additive attention (PyTorch).

The decoder looks anew at the source sentence before every word that it writes. It is trained partly on the
true past, partly on its own (teacher forcing whose share falls), and sentences of like length share a
batch, so that little is computed on padding. Quality is corpus BLEU of up to four words.

Data: two text files in `data_dir`, `phrases.<source_language>` and `phrases.<target_language>`, UTF-8, one
sentence per line; the same line numbers belong together.
"""

# %% [imports]
import argparse
import dataclasses
import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Sampler


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    source_language: str = "en"
    target_language: str = "de"
    vocab_size: int = 8000
    sequence_length: int = 30
    embedding_dim: int = 128
    units: int = 192
    dropout: float = 0.2
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "bleu"
    learning_rate: float = 0.002
    first_teacher_forcing: float = 1.0
    last_teacher_forcing: float = 0.6
    batch_size: int = 32
    epochs: int = 20


PAD, UNK, BOS, EOS = 0, 1, 2, 3


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Phrasebook translation")
    for field in dataclasses.fields(Config):
        name = field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name}", type=type(field.default), default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write questions and statements whose verb moves to the end in the other language."""
    rng = np.random.default_rng(config.seed)
    verbs = {"see": "sehen", "buy": "kaufen", "find": "finden", "eat": "essen"}
    things = {"the bread": "das Brot", "a map": "eine Karte", "the fish": "den Fisch", "tea": "Tee"}
    times = {"today": "heute", "tomorrow": "morgen", "": ""}
    lines = []
    for _ in range(config.synthetic_samples):
        verb, thing, time = (str(rng.choice(list(table))) for table in (verbs, things, times))
        pair = (f"I want to {verb} {thing} {time}.", f"ich will {times[time]} {things[thing]} {verbs[verb]}.")
        if rng.random() < 0.4:
            pair = (f"Where can we {verb} {thing}?", f"wo können wir {things[thing]} {verbs[verb]}?")
        lines.append(pair)
    (folder := Path(config.data_dir)).mkdir(parents=True, exist_ok=True)
    for column, language in enumerate((config.source_language, config.target_language)):
        text = "".join(line[column] + "\n" for line in lines)
        (folder / f"phrases.{language}").write_text(text, encoding="utf-8")


def load_data(config: Config):
    """Return (train, validation, test), lists of pairs of word lists."""
    if config.synthetic:
        make_synthetic(config)
    columns = []
    for language in (config.source_language, config.target_language):
        path = Path(config.data_dir) / f"phrases.{language}"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a text file with one sentence per line")
        columns.append(path.read_text(encoding="utf-8").splitlines())
    grouped: dict[str, list] = {}
    for source, target in zip(*columns, strict=True):
        words = [re.findall(r"\w+|[^\w\s]", sentence.lower()) for sentence in (source, target)]
        if all(0 < len(sentence) < config.sequence_length for sentence in words):
            grouped.setdefault(" ".join(words[0]), []).append(tuple(words))
    # All translations of one sentence go to the same part, or the test would know its answers.
    sources = sorted(grouped)
    order = np.random.default_rng(config.seed).permutation(len(sources))
    tenth = max(1, len(sources) // 10)
    parts = np.split(order, [len(order) - 2 * tenth, len(order) - tenth])
    return tuple([pair for i in part for pair in grouped[sources[i]]] for part in parts)


def build_vocabulary(sentences: list[list[str]], size: int) -> list[str]:
    """Return the words by number: four special ones, then the commonest."""
    counts = Counter(word for sentence in sentences for word in sentence)
    return ["<pad>", "<unk>", "<s>", "</s>", *sorted(counts, key=lambda w: (-counts[w], w))][:size]


class SameLengthBatches(Sampler):
    """Draw batches of sentences of like length, in new random order every epoch."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths = np.array(lengths)
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        # Up to two words of noise, so that the same sentences do not always meet.
        order = np.argsort(self.lengths + self.rng.uniform(0, 2, len(self.lengths)))
        batches = [order[i : i + self.batch_size].tolist() for i in range(0, len(order), self.batch_size)]
        self.rng.shuffle(batches)
        return iter(batches)


def numbered(pairs, vocabularies: list[list[str]]) -> list[list[torch.Tensor]]:
    """Return word numbers of each pair, an end token after both sentences."""
    tables = [{word: number for number, word in enumerate(words)} for words in vocabularies]
    return [
        [torch.tensor([*(table.get(w, UNK) for w in s), EOS]) for s, table in zip(pair, tables, strict=True)]
        for pair in pairs
    ]


def pad_pairs(pairs) -> list[torch.Tensor]:
    """Return sources and targets of a batch, each (sentences, longest)."""
    return [nn.utils.rnn.pad_sequence(column, batch_first=True) for column in zip(*pairs, strict=True)]


# %% [model]
class Encoder(nn.Module):
    """Read a sentence in both directions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=PAD)
        self.dropout = nn.Dropout(config.dropout)
        self.rnn = nn.GRU(config.embedding_dim, config.units, batch_first=True, bidirectional=True)
        self.to_state = nn.Linear(2 * config.units, config.units)

    def forward(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return notes (sentences, length, 2 * units) and the decoder's first state (sentences, units)."""
        x = self.dropout(self.embedding(source))
        # Packed, so that the backward direction starts at the last word and not in the padding.
        lengths = (source != PAD).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        packed, (forwards, backwards) = self.rnn(packed)
        notes, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=source.shape[1])
        return notes, torch.tanh(self.to_state(torch.cat([forwards, backwards], dim=1)))


class AdditiveAttention(nn.Module):
    """Weigh the notes by v . tanh(W state + U note), after Bahdanau, Cho and Bengio (2015)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.of_state = nn.Linear(config.units, config.units, bias=False)
        self.of_notes = nn.Linear(2 * config.units, config.units)
        self.score = nn.Linear(config.units, 1, bias=False)

    def forward(self, state, notes, is_padding):
        """Return the weighted mean of the notes (sentences, 2 * units)."""
        hidden = torch.tanh(self.of_state(state).unsqueeze(1) + self.of_notes(notes))
        scores = self.score(hidden).squeeze(2).masked_fill(is_padding, float("-inf"))
        return torch.bmm(F.softmax(scores, dim=1).unsqueeze(1), notes).squeeze(1)


class Decoder(nn.Module):
    """Score the next word, given the word before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=PAD)
        self.dropout = nn.Dropout(config.dropout)
        self.attention = AdditiveAttention(config)
        self.rnn = nn.GRUCell(config.embedding_dim + 2 * config.units, config.units)
        self.readout = nn.Linear(3 * config.units + config.embedding_dim, config.embedding_dim)
        self.output = nn.Linear(config.embedding_dim, config.vocab_size)

    def forward(self, word, state, notes, is_padding):
        """Return scores (sentences, vocab_size) and the next state (sentences, units)."""
        x = self.dropout(self.embedding(word))
        context = self.attention(state, notes, is_padding)
        state = self.rnn(torch.cat([x, context], dim=1), state)
        readout = torch.tanh(self.readout(torch.cat([state, context, x], dim=1)))
        return self.output(self.dropout(readout)), state


class Translator(nn.Module):
    """Join encoder and decoder; give scores for every word of the target."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def forward(self, source, target, teacher_forcing: float = 1.0) -> torch.Tensor:
        """Return scores (sentences, steps, vocab_size); without teacher forcing, only its width counts."""
        notes, state = self.encoder(source)
        is_padding = source == PAD
        word = torch.full_like(source[:, 0], BOS)
        scores = []
        for true_word in target.unbind(dim=1):
            step_scores, state = self.decoder(word, state, notes, is_padding)
            if not self.training:  # never write a special word but the end
                step_scores[:, [PAD, UNK, BOS]] = -torch.inf
            scores.append(step_scores)
            word = true_word if torch.rand(()).item() < teacher_forcing else step_scores.argmax(dim=1)
        return torch.stack(scores, dim=1)


def build_model(config: Config) -> nn.Module:
    """Return the untrained translator."""
    return Translator(config)


# %% [train]
@torch.no_grad()
def translate(model: nn.Module, pairs, vocabularies, config: Config, device):
    """Return greedy translations as numbers (sentences, sequence_length), PAD after the end, and as words."""
    model.eval()
    items, rows = numbered(pairs, vocabularies), []
    for source, _ in DataLoader(items, config.batch_size, collate_fn=pad_pairs, num_workers=0):
        nothing = torch.full((len(source), config.sequence_length), PAD)
        scores = model(source.to(device), nothing.to(device), teacher_forcing=0.0)
        # The output layer may be wider than the vocabulary.
        best = scores[:, :, : len(vocabularies[1])].argmax(dim=2)
        rows.append(best.masked_fill((best == EOS).cumsum(dim=1) > 0, PAD).cpu())
    ids = torch.cat(rows).numpy()
    return ids, [[vocabularies[1][number] for number in line if number != PAD] for line in ids]


def corpus_bleu(written: list[list[str]], wanted: list[list[str]], longest: int = 4) -> float:
    """Return BLEU; runs of two and more words get one hit and one try extra, for small test sets."""
    logs = 0.0
    for size in range(1, longest + 1):
        hits = tries = 0 if size == 1 else 1
        for ours, gold in zip(written, wanted, strict=True):
            found, given = (Counter(zip(*(s[i:] for i in range(size)), strict=False)) for s in (ours, gold))
            hits += sum((found & given).values())
            tries += sum(found.values())
        logs += math.log(max(hits, 1e-9) / max(tries, 1)) / longest
    length, reference = sum(map(len, written)), sum(map(len, wanted))
    return math.exp(logs + min(0.0, 1 - reference / max(length, 1)))


OPTIMIZERS = {"adam": torch.optim.Adam, "adadelta": torch.optim.Adadelta, "rmsprop": torch.optim.RMSprop}
LOSSES = {"sparse_categorical_crossentropy": nn.CrossEntropyLoss}
METRICS = {"bleu": corpus_bleu}


def train(config: Config) -> dict[str, float]:
    """Fit with falling teacher forcing; keep the weights with the best BLEU on validation sentences."""
    if config.optimizer not in OPTIMIZERS or config.loss not in LOSSES or config.metric not in METRICS:
        raise ValueError(f"known are {[*OPTIMIZERS]}, {[*LOSSES]} and {[*METRICS]}")
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    criterion, measure = LOSSES[config.loss](ignore_index=PAD), METRICS[config.metric]
    seen, held_out, _ = load_data(config)
    vocabularies = [build_vocabulary([pair[side] for pair in seen], config.vocab_size) for side in (0, 1)]
    sampler = SameLengthBatches([len(source) for source, _ in seen], config.batch_size, config.seed)
    items = numbered(seen, vocabularies)
    batches = DataLoader(items, batch_sampler=sampler, collate_fn=pad_pairs, num_workers=0)
    model = build_model(config).to(device)
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabularies.json").write_text(json.dumps(vocabularies, ensure_ascii=False), encoding="utf-8")
    best = -1.0
    for epoch in range(config.epochs):
        progress = epoch / max(config.epochs - 1, 1)
        forcing = config.first_teacher_forcing * (1 - progress) + config.last_teacher_forcing * progress
        model.train()
        total = words = 0
        for source, target in batches:
            source, target = source.to(device), target.to(device)
            scores = model(source, target, teacher_forcing=forcing)
            loss = criterion(scores.flatten(0, 1), target.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            count = int((target != PAD).sum())
            total, words = total + loss.item() * count, words + count
        _, written = translate(model, held_out, vocabularies, config, device)
        reached = measure(written, [target for _, target in held_out])
        print(f"epoch {epoch + 1}: loss {total / words:.3f}, {config.metric} {reached:.3f}", flush=True)
        if reached > best:
            best = reached
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": total / words, f"validation_{config.metric}": best}


# %% [evaluate]
def translate_test(config: Config):
    """Return the saved model's translations of the test sentences, as numbers and words, and the pairs."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    output = Path(config.output_dir)
    vocabularies = json.loads((output / "vocabularies.json").read_text(encoding="utf-8"))
    model = build_model(config).to(device)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location=device))
    _, _, pairs = load_data(config)
    return *translate(model, pairs, vocabularies, config, device), pairs


def evaluate(config: Config) -> dict[str, float]:
    """Measure BLEU and the share of sentences that are translated word for word as given."""
    _, written, pairs = translate_test(config)
    wanted = [target for _, target in pairs]
    same = sum(ours == gold for ours, gold in zip(written, wanted, strict=True))
    return {"bleu": corpus_bleu(written, wanted), "exact_match": same / len(wanted)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return translations as numbers (sentences, sequence_length); write them as text, line by line."""
    ids, written, _ = translate_test(config)
    output = Path(config.output_dir)
    text = "".join(" ".join(words) + "\n" for words in written)
    (output / f"translated.{config.target_language}").write_text(text, encoding="utf-8")
    np.save(output / "predictions.npy", ids)
    return ids


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
