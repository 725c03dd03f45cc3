# SPDX-License-Identifier: Apache-2.0
"""Suggest the subject line of an e-mail: a GRU encoder-decoder that can copy words (PyTorch).

At every step the decoder attends to the e-mail and mixes two ways of naming the next word: from the
vocabulary, or by copying the word that it looks at. Names, products and order numbers that are in no
vocabulary thus get into the subject. Subjects are scored with ROUGE-L.

Data: `data_dir/emails.jsonl`, UTF-8, one JSON object per line with the texts `body` and `subject`.
"""

# %% [imports]
import argparse
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
    vocab_size: int = 12000
    sequence_length: int = 150
    subject_length: int = 12
    embedding_dim: int = 128
    units: int = 128
    dropout: float = 0.2
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "rouge"
    learning_rate: float = 0.001
    batch_size: int = 32
    epochs: int = 15
    patience: int = 3


PAD, UNKNOWN, START, END = range(4)


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Subject lines for e-mails")
    for field in dataclasses.fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=field.type, default=field.default)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
class Email(NamedTuple):
    """Hold the words of an e-mail and of its subject."""

    body: list[str]
    subject: list[str]


def make_synthetic(config: Config) -> None:
    """Write e-mails about an order whose made-up number has to be copied into the subject."""
    rng = np.random.default_rng(config.seed)
    troubles = {
        "late": "is late and I need it soon",
        "broken": "arrived broken",
        "wrong": "is the wrong size",
    }
    items = ("lamp", "jacket", "phone", "desk")
    lines = []
    for _ in range(config.synthetic_samples):
        kind, item, order = rng.choice(list(troubles)), rng.choice(items), f"nr{rng.integers(1000, 9999)}"
        body = f"Hello, my {item} from order {order} {troubles[kind]}. Please tell me what to do. Regards"
        lines.append(json.dumps({"body": body, "subject": f"{kind} {item} in {order}"}))
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emails.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_data(config: Config) -> tuple[list[Email], list[Email], list[Email]]:
    """Return the e-mails of (train, validation, test); long bodies lose their end, not their beginning."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "emails.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected one JSON object with body and subject per line")
    emails = []
    with open(path, encoding="utf-8") as file:
        for line in filter(str.strip, file):
            record = json.loads(line)
            body, subject = (re.findall(r"\w+|[^\w\s]", record[key].lower()) for key in ("body", "subject"))
            if body and subject:
                # The last place of a subject is kept for its end token.
                emails.append(Email(body[: config.sequence_length], subject[: config.subject_length - 1]))
    np.random.default_rng(config.seed).shuffle(emails)
    tenth = max(1, len(emails) // 10)
    return emails[2 * tenth :], emails[:tenth], emails[tenth : 2 * tenth]


def learn_vocabulary(emails: list[Email], size: int) -> dict[str, int]:
    """Return the numbers of the commonest words; words seen only once stay out, to be copied."""
    counts = Counter(word for email in emails for word in (*email.body, *email.subject))
    common = sorted((word for word in counts if counts[word] > 1), key=lambda word: (-counts[word], word))
    words = ["<pad>", "<unknown>", "<start>", "<end>", *common]
    return {word: number for number, word in enumerate(words[:size])}


class Batch(NamedTuple):
    """Hold the tensors of some e-mails.

    `copied` numbers the words of the bodies like `source`, but gives those that are not in the
    vocabulary numbers from `vocab_size` on, which `strangers` lists for each e-mail.
    """

    source: torch.Tensor
    copied: torch.Tensor
    read: torch.Tensor
    write: torch.Tensor
    strangers: list[list[str]]


def make_batch(emails: list[Email], vocabulary: dict[str, int], config: Config) -> Batch:
    """Number and pad some e-mails."""
    columns: tuple[list, ...] = ([], [], [], [])
    strangers = []
    for body, subject in emails:
        new = list(dict.fromkeys(word for word in body if word not in vocabulary))
        own = vocabulary | {word: config.vocab_size + number for number, word in enumerate(new)}
        known = [vocabulary.get(word, UNKNOWN) for word in subject]
        wanted = [own.get(word, UNKNOWN) for word in subject]
        rows = ([vocabulary.get(word, UNKNOWN) for word in body], [own[word] for word in body])
        for column, row in zip(columns, (*rows, [START, *known], [*wanted, END]), strict=True):
            column.append(torch.tensor(row))
        strangers.append(new)
    pad = nn.utils.rnn.pad_sequence
    return Batch(*(pad(column, batch_first=True, padding_value=PAD) for column in columns), strangers)


def batches_of(emails: list[Email], vocabulary, config: Config, generator=None) -> Iterator[Batch]:
    """Yield batches, in random order where a generator is given."""
    order = range(len(emails)) if generator is None else torch.randperm(len(emails), generator=generator)
    order = [int(place) for place in order]
    for start in range(0, len(order), config.batch_size):
        chosen = [emails[place] for place in order[start : start + config.batch_size]]
        yield make_batch(chosen, vocabulary, config)


# %% [model]
class PointerNetwork(nn.Module):
    """Read an e-mail, write its subject word by word."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        memory = 2 * config.units
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=PAD)
        self.encoder = nn.GRU(config.embedding_dim, config.units, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(memory, config.units)
        self.cell = nn.GRUCell(config.embedding_dim + memory, config.units)
        self.query = nn.Linear(config.units, memory, bias=False)
        self.combine = nn.Linear(config.units + memory, config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.vocabulary = nn.Linear(config.embedding_dim, config.vocab_size)
        self.gate = nn.Linear(config.units + memory + config.embedding_dim, 1)

    def encode(self, source: torch.Tensor):
        """Return the words of the body (n, length, 2 * units) and the decoder's first state (n, units)."""
        lengths = (source != PAD).sum(dim=1).cpu()
        words = self.dropout(self.embedding(source))
        packed = nn.utils.rnn.pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        packed, last = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=source.shape[1])
        return memory, torch.tanh(self.bridge(torch.cat([last[0], last[1]], dim=1)))

    def step(self, word, state, context, memory, batch: Batch):
        """Return log-probabilities of words and strangers, the next state and the next context."""
        embedded = self.dropout(self.embedding(word))
        state = self.cell(torch.cat([embedded, context], dim=1), state)
        scores = (memory @ self.query(state).unsqueeze(2)).squeeze(2)
        attention = scores.masked_fill(batch.source == PAD, -1e9).softmax(dim=1)
        context = (attention.unsqueeze(1) @ memory).squeeze(1)
        both = torch.cat([state, context], dim=1)
        written = self.vocabulary(self.dropout(torch.tanh(self.combine(both)))).softmax(dim=1)
        share = torch.sigmoid(self.gate(torch.cat([both, embedded], dim=1)))
        extra = max(len(new) for new in batch.strangers)
        mixed = nn.functional.pad(share * written, (0, extra))
        mixed = mixed.scatter_add(1, batch.copied, (1 - share) * attention)
        return torch.log(mixed + 1e-9), state, context

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return log-probabilities (n, words and strangers, subject length) with the true past given."""
        memory, state = self.encode(batch.source)
        context = memory.new_zeros(len(memory), memory.shape[2])
        steps = []
        for word in batch.read.unbind(dim=1):
            log_probs, state, context = self.step(word, state, context, memory, batch)
            steps.append(log_probs)
        return torch.stack(steps, dim=2)

    @torch.no_grad()
    def write_greedily(self, batch: Batch, config: Config) -> torch.Tensor:
        """Return the likeliest words (n, subject_length), PAD after the end."""
        memory, state = self.encode(batch.source)
        context = memory.new_zeros(len(memory), memory.shape[2])
        word = torch.full_like(batch.source[:, 0], START)
        ended = torch.zeros_like(word, dtype=torch.bool)
        subject = torch.full((len(memory), config.subject_length), PAD, device=word.device)
        for place in range(config.subject_length):
            log_probs, state, context = self.step(word, state, context, memory, batch)
            log_probs[:, [PAD, UNKNOWN, START]] = -torch.inf
            best = log_probs.argmax(dim=1)
            ended |= best == END
            subject[:, place] = best.masked_fill(ended, PAD)
            # A copied stranger has no embedding of its own.
            word = torch.where(best < config.vocab_size, best, UNKNOWN)
        return subject


def build_model(config: Config) -> nn.Module:
    """Return the untrained network."""
    return PointerNetwork(config)


# %% [train]
def subjects_of(model: nn.Module, emails: list[Email], vocabulary, config: Config, device):
    """Return the written subjects as numbers (e-mails, subject_length) and as words."""
    words = {number: word for word, number in vocabulary.items()}
    numbers, subjects = [], []
    model.eval()
    for batch in batches_of(emails, vocabulary, config):
        batch = Batch(*(column.to(device) for column in batch[:4]), batch.strangers)
        for row, new in zip(model.write_greedily(batch, config).cpu().tolist(), batch.strangers, strict=True):
            own = {config.vocab_size + number: word for number, word in enumerate(new)}
            # The output layer may be wider than the vocabulary: such numbers mean no word.
            subjects.append([own.get(number, words.get(number, "")) for number in row if number != PAD])
            numbers.append(row)
    return np.array(numbers), subjects


def rouge_l(written: list[list[str]], wanted: list[list[str]]) -> float:
    """Return the mean F1 of the longest common subsequence."""
    scores = []
    for ours, gold in zip(written, wanted, strict=True):
        longest = [0] * (len(gold) + 1)
        for word in ours:
            diagonal = 0
            for place, other in enumerate(gold, start=1):
                best = diagonal + 1 if word == other else max(longest[place], longest[place - 1])
                diagonal, longest[place] = longest[place], best
        scores.append(2 * longest[-1] / max(len(ours) + len(gold), 1))
    return float(np.mean(scores))


OPTIMIZERS = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad, "adamw": torch.optim.AdamW}
LOSSES = {"sparse_categorical_crossentropy": nn.NLLLoss}  # the network already gives log-probabilities
METRICS = {"rouge": rouge_l}


def train(config: Config) -> dict[str, float]:
    """Fit until ROUGE-L on the validation e-mails stops rising; keep the best weights."""
    for name, known in ((config.optimizer, OPTIMIZERS), (config.loss, LOSSES), (config.metric, METRICS)):
        if name not in known:
            raise ValueError(f"{name!r} is not one of {', '.join(known)}")
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seen, held_out, _ = load_data(config)
    vocabulary = learn_vocabulary(seen, config.vocab_size)
    model = build_model(config).to(device)
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.learning_rate)
    criterion = LOSSES[config.loss](ignore_index=PAD)
    generator = torch.Generator().manual_seed(config.seed)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    best, waited = -1.0, 0
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for batch in batches_of(seen, vocabulary, config, generator):
            batch = Batch(*(column.to(device) for column in batch[:4]), batch.strangers)
            optimizer.zero_grad()
            loss = criterion(model(batch), batch.write)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
            losses.append(loss.item())
        _, written = subjects_of(model, held_out, vocabulary, config, device)
        reached = METRICS[config.metric](written, [email.subject for email in held_out])
        print(f"{epoch + 1:3d}  loss {np.mean(losses):.3f}  {config.metric} {reached:.3f}", flush=True)
        waited = 0 if reached > best else waited + 1
        if waited == 0:
            best = reached
            torch.save(model.state_dict(), output / "model.pt")
        elif waited == config.patience:
            break
    return {"loss": float(np.mean(losses)), f"validation_{config.metric}": best}


# %% [evaluate]
def write_test_subjects(config: Config) -> tuple[np.ndarray, list[list[str]], list[Email]]:
    """Return numbers and words of the subjects that the saved network writes, and the test e-mails."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _, _, emails = load_data(config)
    output = Path(config.output_dir)
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = build_model(config).to(device)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location=device))
    return *subjects_of(model, emails, vocabulary, config, device), emails


def evaluate(config: Config) -> dict[str, float]:
    """Measure ROUGE-L against the true subjects, and against the first words of the body as a baseline."""
    _, written, emails = write_test_subjects(config)
    wanted = [email.subject for email in emails]
    leads = [email.body[: len(email.subject)] for email in emails]
    return {"rouge": rouge_l(written, wanted), "rouge_of_first_words": rouge_l(leads, wanted)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return the subjects as numbers (e-mails, subject_length); save them as text beside the true ones."""
    numbers, written, emails = write_test_subjects(config)
    output = Path(config.output_dir)
    with open(output / "subjects.jsonl", "w", encoding="utf-8") as file:
        for words, email in zip(written, emails, strict=True):
            record = {"written": " ".join(words), "subject": " ".join(email.subject)}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    np.save(output / "predictions.npy", numbers)
    return numbers


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
