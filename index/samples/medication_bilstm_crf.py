# SPDX-License-Identifier: Apache-2.0
"""Find drugs, doses and conditions in clinical notes with a BiLSTM and a linear-chain CRF (PyTorch).

The recurrent network scores the tags of each word; the CRF adds which tag follows which, is trained on the
probability of whole sequences and never writes an I- tag that continues nothing. The best sequence is found
with the Viterbi algorithm. Scores are precision, recall and F1 of entities, each kind by itself as well.

Data: `data_dir/{train,valid,test}.txt`, UTF-8, CoNLL columns: the word first, its BIO tag last, an empty line
after every sentence.
"""

# %% [imports]
import argparse
import dataclasses
import json
import random
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn


# %% [config]
@dataclasses.dataclass
class Config:
    """Every setting of the run; each can be given on the command line."""

    data_dir: str = "data"
    output_dir: str = "outputs"
    synthetic: bool = False
    synthetic_samples: int = 64
    seed: int = 42
    vocab_size: int = 15000
    sequence_length: int = 64
    num_tags: int = 7
    embedding_dim: int = 100
    shape_dim: int = 20
    units: int = 100
    dropout: float = 0.5
    word_dropout: float = 0.05
    optimizer: str = "sgd"
    loss: str = "nll_loss"
    metric: str = "f1_score"
    learning_rate: float = 0.05
    decay: float = 0.05
    batch_size: int = 16
    epochs: int = 30


PAD, UNKNOWN = 0, 1
SHAPES = ("none", "lower", "Capital", "UPPER", "digits", "mixed", "mark")


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Entities in clinical notes")
    for field in dataclasses.fields(Config):
        flag = "--" + field.name.replace("_", "-")
        kind = {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument(flag, default=field.default, **kind)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write notes on invented patients; drugs and conditions may have two words."""
    rng = random.Random(config.seed)
    names = {
        "DRUG": ("Metoprolol", "Aspirin", "Insulin glargine", "Warfarin", "Folic acid"),
        "DOSE": ("5 mg", "20 mg", "100 units", "2 tablets"),
        "COND": ("chest pain", "anemia", "atrial fibrillation", "fever"),
    }
    notes = ("Patient was given DRUG DOSE for COND .", "Denies COND .", "Started on DRUG ; reports COND .")

    def sentence() -> str:
        text = ""
        for slot in rng.choice(notes).split():
            for place, word in enumerate(rng.choice(names.get(slot, (slot,))).split()):
                text += f"{word}\tNN\t" + (f"{'I' if place else 'B'}-{slot}\n" if slot in names else "O\n")
        return text

    (folder := Path(config.data_dir)).mkdir(parents=True, exist_ok=True)
    held_out = max(2, config.synthetic_samples // 6)
    sizes = (config.synthetic_samples - 2 * held_out, held_out, held_out)
    for name, size in zip(("train", "valid", "test"), sizes, strict=True):
        text = "\n".join(sentence() for _ in range(size))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def read_columns(path: Path, longest: int) -> list[tuple[list[str], list[str]]]:
    """Return words and tags of each sentence of a file; sentences that are too long are cut."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a word and its BIO tag per line, empty lines between")
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split() for line in block.splitlines() if not line.startswith("-DOCSTART-")]
        if rows := [row for row in rows if row][:longest]:
            sentences.append(([row[0] for row in rows], [row[-1] for row in rows]))
    return sentences


def load_data(config: Config):
    """Return (train, validation, test), lists of (words, tags)."""
    if config.synthetic:
        make_synthetic(config)
    paths = [Path(config.data_dir) / f"{name}.txt" for name in ("train", "valid", "test")]
    return tuple(read_columns(path, config.sequence_length) for path in paths)


def shape_of(word: str) -> int:
    """Return which of SHAPES a word has: the case is lost in the vocabulary, but tells names."""
    tests = {"digits": word.isdigit(), "mark": not any(letter.isalnum() for letter in word)}
    tests |= {"lower": word.islower(), "UPPER": word.isupper(), "Capital": word.istitle()}
    return SHAPES.index(next((name for name, holds in tests.items() if holds), "mixed"))


def collate(sentences, words: dict[str, int], tags: list[str]):
    """Return word numbers, shapes and tag numbers, each (sentences, longest), padded with 0."""
    table = {tag: number for number, tag in enumerate(tags)}
    columns = [[[words.get(word.lower(), UNKNOWN) for word in sentence] for sentence, _ in sentences]]
    columns.append([[shape_of(word) for word in sentence] for sentence, _ in sentences])
    columns.append([[table.get(tag, 0) for tag in gold] for _, gold in sentences])
    return [nn.utils.rnn.pad_sequence([*map(torch.tensor, c)], batch_first=True) for c in columns]


# %% [model]
class CRF(nn.Module):
    """Score sequences of tags: a weight for every pair of neighbours, for the first and for the last tag."""

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        self.follow = nn.Parameter(0.1 * torch.randn(num_tags, num_tags))  # from (row) to (column)
        self.first = nn.Parameter(0.1 * torch.randn(num_tags))
        self.last = nn.Parameter(0.1 * torch.randn(num_tags))

    def forbid(self, tags: list[str]) -> None:
        """Make it impossible that an I- tag follows anything but the same kind."""
        with torch.no_grad():
            for after, tag in enumerate(tags):
                if tag.startswith("I-"):
                    self.first[after] = -1e4
                    others = [i for i, other in enumerate(tags) if other not in (f"B-{tag[2:]}", tag)]
                    self.follow[others, after] = -1e4

    def log_partition(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the log of the summed weights of all sequences (sentences,): the forward algorithm."""
        alpha = self.first + scores[:, 0]
        for place in range(1, scores.shape[1]):
            longer = (alpha.unsqueeze(2) + self.follow).logsumexp(dim=1) + scores[:, place]
            alpha = torch.where(mask[:, place, None], longer, alpha)
        return (alpha + self.last).logsumexp(dim=1)

    def path_score(self, scores, tags, mask) -> torch.Tensor:
        """Return the log weight of the given sequences (sentences,)."""
        here = scores.gather(2, tags.unsqueeze(2)).squeeze(2) * mask
        here[:, 1:] += self.follow[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]
        ends = tags.gather(1, mask.sum(dim=1, keepdim=True) - 1).squeeze(1)
        return self.first[tags[:, 0]] + here.sum(dim=1) + self.last[ends]

    def viterbi(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the best sequences (sentences, length); 0 where there is no word."""
        best, back = self.first + scores[:, 0], []
        stay = torch.arange(scores.shape[2], device=scores.device).expand_as(best)
        for place in range(1, scores.shape[1]):
            value, before = (best.unsqueeze(2) + self.follow).max(dim=1)
            is_word = mask[:, place, None]
            best = torch.where(is_word, value + scores[:, place], best)
            back.append(torch.where(is_word, before, stay))  # in the padding a path stays where it is
        path = [(best + self.last).argmax(dim=1, keepdim=True)]
        for before in reversed(back):
            path.append(before.gather(1, path[-1]))
        return torch.cat(path[::-1], dim=1) * mask

    def marginals(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the tag probabilities of each word, which are the gradient of the log partition."""
        with torch.enable_grad():
            scores = scores.detach().requires_grad_()
            return torch.autograd.grad(self.log_partition(scores, mask).sum(), scores)[0]


class BiLSTMCRF(nn.Module):
    """Score every tag of every word with a bidirectional LSTM, and sequences of them with a CRF."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.word_dropout = config.word_dropout
        self.words = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=PAD)
        self.shapes = nn.Embedding(len(SHAPES), config.shape_dim, padding_idx=0)
        self.dropout = nn.Dropout(config.dropout)
        size = config.embedding_dim + config.shape_dim
        self.lstm = nn.LSTM(size, config.units, batch_first=True, bidirectional=True)
        self.scores = nn.Linear(2 * config.units, config.num_tags)
        self.crf = CRF(config.num_tags)

    def forward(self, words: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
        """Return scores of the tags (sentences, length, num_tags)."""
        lengths = (words != PAD).sum(dim=1).cpu()
        if self.training:  # now and then a word is unknown, so that the unknown one is learnt
            hidden = (torch.rand(words.shape, device=words.device) < self.word_dropout) & (words != PAD)
            words = words.masked_fill(hidden, UNKNOWN)
        x = self.dropout(torch.cat([self.words(words), self.shapes(shapes)], dim=2))
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        packed, _ = self.lstm(packed)
        x, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=words.shape[1])
        return self.scores(self.dropout(x))


def build_model(config: Config) -> nn.Module:
    """Return the untrained tagger."""
    return BiLSTMCRF(config)


# %% [train]
def nll_loss(model: nn.Module, words, shapes, tags) -> torch.Tensor:
    """Return the mean negative log-likelihood of the true tag sequences."""
    mask = words != PAD
    scores = model(words, shapes)
    return (model.crf.log_partition(scores, mask) - model.crf.path_score(scores, tags, mask)).mean()


OPTIMIZERS = {"sgd": partial(torch.optim.SGD, momentum=0.9), "adam": torch.optim.Adam}
LOSSES = {"nll_loss": nll_loss}
MEASURES = ("precision", "recall", "f1_score")


def entities_of(tags: list[str]) -> set[tuple[str, int, int]]:
    """Return (kind, first, last) of all entities; an I- that continues nothing opens one, as in conlleval."""
    found, start = set(), None
    for place, tag in enumerate([*tags, "O"]):
        goes_on = start is not None and tag == f"I-{tags[start][2:]}"
        if start is not None and not goes_on:
            found.add((tags[start][2:], start, place - 1))
            start = None
        if tag != "O" and not goes_on:
            start = place
    return found


def score_entities(gold: list[list[str]], written: list[list[str]]) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 by kind and, as `all`, of all kinds together."""
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3))
    for true, ours in zip(gold, written, strict=True):
        true_entities, our_entities = entities_of(true), entities_of(ours)
        for column, found in enumerate((true_entities & our_entities, our_entities, true_entities)):
            for kind in [*(kind for kind, _, _ in found), *["all"] * len(found)]:
                counts[kind][column] += 1
    report = {}
    for kind, (hits, named, wanted) in {"all": counts["all"], **counts}.items():
        scores = (hits / max(named, 1), hits / max(wanted, 1), 2 * hits / max(named + wanted, 1))
        report[kind] = dict(zip(MEASURES, map(float, scores), strict=True))
    return report


@torch.no_grad()
def tag_sentences(model: nn.Module, sentences, words, tags, config: Config):
    """Return the best tags of every sentence, and tag probabilities (sentences, longest, num_tags)."""
    model.eval()
    device, written = next(model.parameters()).device, []
    probabilities = np.zeros((len(sentences), config.sequence_length, config.num_tags), dtype="float32")
    for start in range(0, len(sentences), config.batch_size):
        chosen = sentences[start : start + config.batch_size]
        ids, shapes, _ = (column.to(device) for column in collate(chosen, words, tags))
        scores, mask = model(ids, shapes), ids != PAD
        paths = model.crf.viterbi(scores, mask).cpu().tolist()
        probabilities[start : start + len(ids), : ids.shape[1]] = model.crf.marginals(scores, mask).cpu()
        for path, (sentence, _) in zip(paths, chosen, strict=True):
            written.append([tags[number] for number in path[: len(sentence)]])
    return written, probabilities


def train(config: Config) -> dict[str, float]:
    """Fit with momentum and a rate that falls every epoch; keep the weights with the best validation F1."""
    torch.manual_seed(config.seed)
    if config.optimizer not in OPTIMIZERS or config.loss not in LOSSES or config.metric not in MEASURES:
        raise ValueError(f"known are {[*OPTIMIZERS]}, {[*LOSSES]} and {[*MEASURES]}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seen, held_out, _ = load_data(config)
    kinds = sorted({tag[2:] for _, gold in seen for tag in gold} - {""})
    tags = ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]
    if len(tags) != config.num_tags:
        raise ValueError(f"the training notes need num_tags = {len(tags)}, for {kinds}")
    common = Counter(w.lower() for sentence, _ in seen for w in sentence).most_common(config.vocab_size - 2)
    words = {word: number for number, (word, _) in enumerate(common, start=2)}
    (output := Path(config.output_dir)).mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.json").write_text(json.dumps({"words": words, "tags": tags}), encoding="utf-8")

    model = build_model(config).to(device)
    model.crf.forbid(tags)
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + config.decay * epoch))
    rng, best = random.Random(config.seed), -1.0
    for epoch in range(config.epochs):
        model.train()
        losses, order = [], rng.sample(seen, len(seen))
        for start in range(0, len(seen), config.batch_size):
            batch = collate(order[start : start + config.batch_size], words, tags)
            loss = LOSSES[config.loss](model, *(column.to(device) for column in batch))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        written, _ = tag_sentences(model, held_out, words, tags, config)
        reached = score_entities([gold for _, gold in held_out], written)["all"][config.metric]
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {config.metric} {reached:.3f}", flush=True)
        if reached > best:
            torch.save(model.state_dict(), output / "model.pt")
        best = max(best, reached)
    return {"loss": float(np.mean(losses)), f"validation_{config.metric}": best}


# %% [evaluate]
def tag_test(config: Config):
    """Return the test sentences, the tags that the saved model gives them, and their probabilities."""
    output, (_, _, sentences) = Path(config.output_dir), load_data(config)
    saved = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = build_model(config)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location="cpu"))
    return sentences, *tag_sentences(model, sentences, saved["words"], saved["tags"], config)


def evaluate(config: Config) -> dict[str, float]:
    """Measure precision, recall and F1 of entities on the test notes; write them by kind as JSON."""
    sentences, written, _ = tag_test(config)
    report = score_entities([gold for _, gold in sentences], written)
    (Path(config.output_dir) / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report["all"]


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return tag probabilities (sentences, sequence_length, num_tags), 0 without a word; write the tags."""
    sentences, written, probabilities = tag_test(config)
    with open(Path(config.output_dir) / "tagged.txt", "w", encoding="utf-8") as file:
        for (words, _), ours in zip(sentences, written, strict=True):
            file.writelines([f"{word}\t{tag}\n" for word, tag in zip(words, ours, strict=True)] + ["\n"])
    np.save(Path(config.output_dir) / "predictions.npy", probabilities)
    return probabilities


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
