# SPDX-License-Identifier: Apache-2.0
"""Answer questions about product manuals by marking a span: bi-directional attention flow in PyTorch.

Question and paragraph attend to each other in both directions, two recurrent layers read the result, and a
start and an end are pointed at. The end is chosen knowing where the start may be. Answers are cut from
the original text by character offsets, so they keep their capitals and punctuation.

Data: `data_dir/manuals.json` in SQuAD 1.1 format: `{"data": [{"title", "paragraphs": [{"context", "qas":
[{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]}`. Articles, not questions, are split.
"""

# %% [imports]
import argparse
import copy
import dataclasses
import json
import re
import string
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
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
    vocab_size: int = 20000
    context_length: int = 250
    question_length: int = 30
    max_answer_length: int = 20
    embedding_dim: int = 100
    units: int = 64
    dropout: float = 0.2
    average_decay: float = 0.99
    optimizer: str = "adamax"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "f1_score"
    learning_rate: float = 0.002
    batch_size: int = 16
    epochs: int = 12


PAD, UNKNOWN = 0, 1


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="Span reader for manuals")
    for field in dataclasses.fields(Config):
        is_flag = field.type is bool
        extra = {"action": "store_true"} if is_flag else {"type": field.type, "default": field.default}
        parser.add_argument("--" + field.name.replace("_", "-"), **extra)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write manuals of invented devices; every question asks for one number or place of a paragraph."""
    rng = np.random.default_rng(config.seed)
    facts = {
        "battery": ("The battery lasts {} hours.", "How long does the battery last?"),
        "cable": ("Its cable is {} metres long.", "How long is the cable?"),
        "weight": ("The device weighs {} grams.", "How much does it weigh?"),
        "reset": ("To reset it, hold the button for {} seconds.", "How long must the button be held?"),
    }
    articles, written = [], 0
    while written < config.synthetic_samples:
        name = f"Model {rng.choice(list('ABCDEF'))}{rng.integers(10, 99)}"
        context, spans = f"{name} is easy to use.", {}
        for key in rng.permutation(list(facts)):
            before = facts[key][0].split("{}")[0]
            number = str(rng.integers(2, 40))
            spans[str(key)] = (number, len(context) + 1 + len(before))
            context += " " + facts[key][0].format(number)
        asked = [str(key) for key in rng.permutation(list(facts))[:2]][: config.synthetic_samples - written]
        qas = []
        for key in asked:
            text, start = spans[key]
            answers = [{"text": text, "answer_start": start}]
            qas.append({"id": f"{written + len(qas)}", "question": facts[key][1], "answers": answers})
        written += len(qas)
        articles.append({"title": name, "paragraphs": [{"context": context, "qas": qas}]})
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    file = Path(config.data_dir) / "manuals.json"
    file.write_text(json.dumps({"version": "1.1", "data": articles}), encoding="utf-8")


@dataclasses.dataclass
class Question:
    """Hold a question, its paragraph, where the paragraph's words lie, and all accepted answers."""

    id: str
    words: list[str]
    context: str
    offsets: list[tuple[int, int]]
    answers: list[str]
    span: tuple[int, int]

    @property
    def context_words(self) -> list[str]:
        """The words of the paragraph in lower case."""
        return [self.context[start:end].lower() for start, end in self.offsets]


def questions_of(article: dict, config: Config) -> list[Question]:
    """Return the questions of an article whose first answer lies within `context_length` words."""
    found = []
    for paragraph in article["paragraphs"]:
        context = paragraph["context"]
        offsets = [m.span() for m in re.finditer(r"\w+|[^\w\s]", context)][: config.context_length]
        for qa in paragraph["qas"]:
            first = qa["answers"][0]["answer_start"]
            last = first + len(qa["answers"][0]["text"])
            covered = [i for i, (start, end) in enumerate(offsets) if start < last and end > first]
            if covered and last <= offsets[-1][1]:
                words = re.findall(r"\w+|[^\w\s]", qa["question"].lower())[: config.question_length]
                texts, span = [answer["text"] for answer in qa["answers"]], (covered[0], covered[-1])
                found.append(Question(qa["id"], words, context, offsets, texts, span))
    return found


def load_data(config: Config) -> tuple[list[Question], list[Question], list[Question]]:
    """Return (train, validation, test); no paragraph is in two of them."""
    if config.synthetic:
        make_synthetic(config)
    file = Path(config.data_dir) / "manuals.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected questions in the JSON format of SQuAD 1.1")
    articles = json.loads(file.read_text(encoding="utf-8"))["data"]
    order = np.random.default_rng(config.seed).permutation(len(articles))
    part = max(1, len(articles) // 8)
    groups = (order[2 * part :], order[:part], order[part : 2 * part])
    return tuple([q for i in group for q in questions_of(articles[i], config)] for group in groups)


class QuestionSet(Dataset):
    """Give (paragraph, question, is in the question, span) as padded numbers."""

    def __init__(self, questions: list[Question], vocabulary: dict[str, int], config: Config) -> None:
        self.questions, self.vocabulary, self.config = questions, vocabulary, config

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, ...]:
        question, config = self.questions[place], self.config
        asked = set(question.words)
        context = torch.zeros(config.context_length, dtype=torch.long)
        shared = torch.zeros(config.context_length)
        for i, word in enumerate(question.context_words):
            context[i] = self.vocabulary.get(word, UNKNOWN)
            shared[i] = word in asked
        words = torch.zeros(config.question_length, dtype=torch.long)
        words[: len(question.words)] = torch.tensor([self.vocabulary.get(w, UNKNOWN) for w in question.words])
        return context, words, shared, torch.tensor(question.span)


# %% [model]
def run_packed(rnn: nn.Module, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what a recurrent layer says about every word, without reading the padding."""
    lengths = mask.sum(1).clamp(min=1).cpu()
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class BiAttention(nn.Module):
    """Attend from paragraph to question and back, after Seo et al. (2017), similarity w . [c; q; c * q]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.of_context = nn.Linear(size, 1, bias=False)
        self.of_question = nn.Linear(size, 1, bias=False)
        self.of_both = nn.Parameter(torch.randn(size) * size**-0.5)

    def forward(self, context, question, context_mask, question_mask):
        """Return each word of the paragraph in the light of the question (n, length, 4 * size)."""
        similarity = self.of_context(context) + self.of_question(question).transpose(1, 2)
        similarity = similarity + (context * self.of_both) @ question.transpose(1, 2)
        to_question = similarity.masked_fill(~question_mask[:, None], -1e9).softmax(dim=2) @ question
        strongest = similarity.masked_fill(~question_mask[:, None], -1e9).amax(dim=2)
        weights = strongest.masked_fill(~context_mask, -1e9).softmax(dim=1)
        to_context = (weights[:, None] @ context).expand_as(context)
        return torch.cat([context, to_question, context * to_question, context * to_context], dim=2)


class SpanReader(nn.Module):
    """Score every word of a paragraph as the start and as the end of the answer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = 2 * config.units
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=PAD)
        self.dropout = nn.Dropout(config.dropout)
        self.reader = nn.LSTM(config.embedding_dim, config.units, batch_first=True, bidirectional=True)
        self.attention = BiAttention(size)
        self.modelling = nn.LSTM(4 * size + 1, config.units, batch_first=True, bidirectional=True)
        self.start = nn.Linear(size, 1)
        self.end_reader = nn.LSTM(size + 1, config.units, batch_first=True, bidirectional=True)
        self.end = nn.Linear(size, 1)

    def forward(self, context, question, shared) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores of starts and ends, both (questions, context_length)."""
        context_mask, question_mask = context != PAD, question != PAD
        c = run_packed(self.reader, self.dropout(self.embedding(context)), context_mask)
        q = run_packed(self.reader, self.dropout(self.embedding(question)), question_mask)
        x = self.attention(c, q, context_mask, question_mask)
        # That a word stands in the question as well is worth knowing, above all for rare words.
        x = self.dropout(torch.cat([x, shared.unsqueeze(2)], dim=2))
        x = run_packed(self.modelling, x, context_mask)
        start = self.start(self.dropout(x)).squeeze(2).masked_fill(~context_mask, -1e9)
        x = torch.cat([x, start.softmax(dim=1).unsqueeze(2)], dim=2)
        x = run_packed(self.end_reader, x, context_mask)
        end = self.end(self.dropout(x)).squeeze(2).masked_fill(~context_mask, -1e9)
        return start, end


def build_model(config: Config) -> nn.Module:
    """Return the untrained reader."""
    return SpanReader(config)


@torch.no_grad()
def mark_spans(model: nn.Module, questions: QuestionSet, config: Config) -> np.ndarray:
    """Return the likeliest (first, last) words (questions, 2): ends not before starts nor too far away."""
    model.eval()
    device = next(model.parameters()).device
    spans = []
    for context, words, shared, _ in DataLoader(questions, config.batch_size, num_workers=0):
        start, end = model(context.to(device), words.to(device), shared.to(device))
        joint = start.log_softmax(1).unsqueeze(2) + end.log_softmax(1).unsqueeze(1)
        allowed = torch.ones_like(joint[0], dtype=torch.bool).triu().tril(config.max_answer_length - 1)
        best = joint.masked_fill(~allowed, -torch.inf).flatten(1).argmax(dim=1).cpu()
        spans.append(torch.stack([best // joint.shape[2], best % joint.shape[2]], dim=1))
    return torch.cat(spans).numpy()


# %% [train]
def plain(text: str) -> list[str]:
    """Return the words of an answer as SQuAD compares them: no case, punctuation or articles."""
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def score_answers(questions: list[Question], spans: np.ndarray) -> dict[str, float]:
    """Return exact match and word F1, for each question against the accepted answer that fits best."""
    exact, f1 = [], []
    for question, (first, last) in zip(questions, spans, strict=True):
        ours = plain(question.context[question.offsets[first][0] : question.offsets[last][1]])
        golds = [plain(text) for text in question.answers]
        exact.append(float(ours in golds))
        f1.append(max(2 * (Counter(ours) & Counter(g)).total() / max(len(ours) + len(g), 1) for g in golds))
    return {"exact_match": float(np.mean(exact)), "f1_score": float(np.mean(f1))}


def train(config: Config) -> dict[str, float]:
    """Fit; what is measured and saved is a moving average of the weights, which is steadier."""
    optimizers = {"adamax": torch.optim.Adamax, "adadelta": torch.optim.Adadelta, "adam": torch.optim.Adam}
    losses = {"sparse_categorical_crossentropy": F.cross_entropy}
    for kind, known in (("optimizer", optimizers), ("loss", losses), ("metric", ("f1_score", "exact_match"))):
        if getattr(config, kind) not in known:
            raise ValueError(f"{kind} must be one of {', '.join(known)}")
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    questions, held_out, _ = load_data(config)
    counts = Counter(word for q in questions for word in (*q.words, *q.context_words))
    vocabulary = {word: i for i, (word, _) in enumerate(counts.most_common(config.vocab_size - 2), start=2)}
    items, held_out_items = (QuestionSet(part, vocabulary, config) for part in (questions, held_out))
    batches = DataLoader(items, batch_size=config.batch_size, shuffle=True, num_workers=0)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    (output / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")

    model = build_model(config).to(device)
    average = copy.deepcopy(model)
    optimizer = optimizers[config.optimizer](model.parameters(), lr=config.learning_rate)
    best, steps = -1.0, 0
    for epoch in range(config.epochs):
        model.train()
        total = 0.0
        for context, words, shared, span in batches:
            start, end = model(context.to(device), words.to(device), shared.to(device))
            first, last = span.to(device).unbind(dim=1)
            loss = losses[config.loss](start, first) + losses[config.loss](end, last)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            steps += 1
            # At the beginning the average forgets fast, or it would keep the random start.
            decay = min(config.average_decay, steps / (steps + 10))
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 1 - decay)
            total += loss.item() * len(span)
        scores = score_answers(held_out, mark_spans(average, held_out_items, config))
        print(f"epoch {epoch + 1}: loss {total / len(questions):.3f}", scores, flush=True)
        if scores[config.metric] > best:
            best = scores[config.metric]
            torch.save(average.state_dict(), output / "model.pt")
    return {"loss": total / len(questions), f"validation_{config.metric}": best}


# %% [evaluate]
def answer_test(config: Config) -> tuple[list[Question], np.ndarray]:
    """Return the test questions and the spans that the saved reader marks."""
    output, device = Path(config.output_dir), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vocabulary = json.loads((output / "vocabulary.json").read_text(encoding="utf-8"))
    model = build_model(config).to(device)
    model.load_state_dict(torch.load(output / "model.pt", weights_only=True, map_location=device))
    _, _, questions = load_data(config)
    return questions, mark_spans(model, QuestionSet(questions, vocabulary, config), config)


def evaluate(config: Config) -> dict[str, float]:
    """Measure exact match and F1 on questions about manuals that training never saw."""
    return score_answers(*answer_test(config))


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return first and last words of the answers (questions, 2); write the texts by id, as SQuAD wants."""
    questions, spans = answer_test(config)
    texts = {
        q.id: q.context[q.offsets[first][0] : q.offsets[last][1]]
        for q, (first, last) in zip(questions, spans, strict=True)
    }
    output = Path(config.output_dir)
    (output / "predictions.json").write_text(json.dumps(texts, indent=1), encoding="utf-8")
    np.save(output / "predictions.npy", spans)
    return spans


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
