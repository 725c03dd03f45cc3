# SPDX-License-Identifier: Apache-2.0
"""Train a small GPT on a folder of recipes and let it continue them: a decoder-only transformer in PyTorch.

The text is read as UTF-8 bytes, so there is no vocabulary to keep and nothing is ever unknown. Blocks are
pre-normalised, input and output embeddings are one matrix. Gradients of several small batches are added up
before a step, which gives the effect of a large batch on a small card. Text is drawn by top-k sampling.

Data: `data_dir/*.txt`, UTF-8, any number of files of any length; one file is one document.
"""

# %% [imports]
import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
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
    vocab_size: int = 257
    sequence_length: int = 128
    embedding_dim: int = 128
    num_heads: int = 4
    num_layers: int = 4
    dropout: float = 0.1
    optimizer: str = "adamw"
    loss: str = "sparse_categorical_crossentropy"
    metric: str = "perplexity"
    learning_rate: float = 0.001
    weight_decay: float = 0.1
    batch_size: int = 16
    accumulation_steps: int = 4
    epochs: int = 20
    temperature: float = 0.9
    top_k: int = 40
    num_texts: int = 4
    generated_length: int = 40


END_OF_TEXT = 256  # one more than the highest byte


def parse_config(argv: list[str] | None = None) -> Config:
    """Read the command line; every field of Config is an option."""
    parser = argparse.ArgumentParser(description="A small GPT on bytes")
    for name, field in Config.__dataclass_fields__.items():
        flag = {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument(f"--{name.replace('_', '-')}", default=field.default, **flag)
    return Config(**vars(parser.parse_args(argv)))


# %% [data]
def make_synthetic(config: Config) -> None:
    """Write one short recipe per sample, put together from a few dishes, amounts and steps."""
    rng = np.random.default_rng(config.seed)
    folder = Path(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(config.synthetic_samples):
        main = rng.choice(["lentil", "tomato", "mushroom", "potato"])
        dish = rng.choice(["soup", "stew", "salad"])
        grams = 50 * rng.integers(2, 9)
        steps = rng.permutation(["Wash", "Peel", "Chop"])
        text = f"{main} {dish}\n\n{grams} g {main}\n1 onion\nsalt\n\n"
        text += "".join(f"{place}. {verb} the {main}.\n" for place, verb in enumerate(steps, start=1))
        text += f"4. Serve the {dish}.\n"
        (folder / f"recipe_{number:04d}.txt").write_text(text, encoding="utf-8")


def load_data(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bytes of (train, validation, test), an end-of-text token after every document.

    Whole documents are held out: a recipe whose first half was trained on is no test. With fewer than
    ten documents there is nothing to hold out, then the one long text is cut at 80 and 90 percent.
    """
    if config.synthetic:
        make_synthetic(config)
    paths = sorted(Path(config.data_dir).glob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"{config.data_dir}: expected text files, *.txt")
    documents = [
        np.append(np.frombuffer(p.read_bytes(), "uint8").astype("int64"), END_OF_TEXT) for p in paths
    ]
    if len(documents) < 10:
        text = np.concatenate(documents)
        return tuple(np.split(text, [int(0.8 * len(text)), int(0.9 * len(text))]))
    order = np.random.default_rng(config.seed).permutation(len(documents))
    held_out = max(1, len(documents) // 10)
    groups = np.split(order, [len(order) - 2 * held_out, len(order) - held_out])
    return tuple(np.concatenate([documents[i] for i in group]) for group in groups)


class Windows(Dataset):
    """Cut a text into windows; the target is the window one byte further on.

    While training, the cuts move with every epoch, so that no byte is always the first one.
    """

    def __init__(self, text: np.ndarray, length: int) -> None:
        self.length = min(length, len(text) - 1)
        self.text = torch.from_numpy(text)
        self.offset = 0

    def __len__(self) -> int:
        return max(1, (len(self.text) - 1 - self.offset) // self.length)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = min(self.offset + number * self.length, len(self.text) - 1 - self.length)
        piece = self.text[start : start + self.length + 1]
        return piece[:-1], piece[1:]


# %% [model]
class Block(nn.Module):
    """Let every place look back at the ones before it, then work on it alone."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.embedding_dim)
        self.attention = nn.MultiheadAttention(
            config.embedding_dim, config.num_heads, dropout=config.dropout, batch_first=True
        )
        self.forward_norm = nn.LayerNorm(config.embedding_dim)
        self.widen = nn.Linear(config.embedding_dim, 4 * config.embedding_dim)
        self.narrow = nn.Linear(4 * config.embedding_dim, config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, future: torch.Tensor) -> torch.Tensor:
        """Return the next layer's vectors, shaped as `x`; `future` marks what must not be seen."""
        y = self.attention_norm(x)
        y, _ = self.attention(y, y, y, attn_mask=future, need_weights=False)
        x = x + self.dropout(y)
        y = self.narrow(F.gelu(self.widen(self.forward_norm(x))))
        return x + self.dropout(y)


class MiniGPT(nn.Module):
    """Score the next byte at every place of a text."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.length = config.sequence_length
        self.tokens = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.places = nn.Embedding(config.sequence_length, config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.embedding_dim)
        self.head = nn.Linear(config.embedding_dim, config.vocab_size, bias=False)
        self.apply(self._start)
        # What goes into the residual stream is scaled down, or it grows with the depth (GPT-2).
        for block in self.blocks:
            for layer in (block.attention.out_proj, block.narrow):
                nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * config.num_layers))
        self.head.weight = self.tokens.weight

    @staticmethod
    def _start(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return scores (texts, length, vocab_size) for ids (texts, length)."""
        length = ids.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        x = self.dropout(self.tokens(ids) + self.places(torch.arange(length, device=ids.device)))
        for block in self.blocks:
            x = block(x, future)
        return self.head(self.norm(x))

    @torch.no_grad()
    def continue_texts(self, ids: torch.Tensor, config: Config, generator: torch.Generator) -> torch.Tensor:
        """Return `generated_length` drawn bytes (texts, generated_length) for each beginning."""
        first = ids.shape[1]
        for _ in range(config.generated_length):
            scores = self(ids[:, -self.length :])[:, -1] / config.temperature
            best, tokens = scores.topk(min(config.top_k, scores.shape[1]), dim=1)
            drawn = torch.multinomial(best.softmax(dim=1).cpu(), 1, generator=generator)
            ids = torch.cat([ids, tokens.gather(1, drawn.to(ids.device))], dim=1)
        return ids[:, first:]


def build_model(config: Config) -> nn.Module:
    """Return the untrained language model."""
    return MiniGPT(config)


# %% [train]
def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Return the optimizer; only matrices decay."""
    known = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    if config.optimizer not in known:
        raise ValueError(f"unknown optimizer {config.optimizer!r}, known: {', '.join(known)}")
    matrices = [values for values in model.parameters() if values.dim() >= 2]
    vectors = [values for values in model.parameters() if values.dim() < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors}]
    return known[config.optimizer](groups, lr=config.learning_rate, weight_decay=0.0)


def loss_of(config: Config):
    """Return the loss function that the settings name."""
    known = {"sparse_categorical_crossentropy": F.cross_entropy}
    if config.loss not in known:
        raise ValueError(f"unknown loss {config.loss!r}, known: {', '.join(known)}")
    return known[config.loss]


def cosine_rate(step: int, total: int) -> float:
    """Return the factor of the learning rate: up in the first twentieth, then a cosine down to a tenth."""
    warmup = max(1, total // 20)
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


@torch.no_grad()
def mean_loss(model: nn.Module, windows: Windows, config: Config, device: torch.device) -> float:
    """Return the mean loss per byte over all windows of a text."""
    model.eval()
    total = count = 0
    for ids, following in DataLoader(windows, batch_size=config.batch_size, num_workers=0):
        scores = model(ids.to(device))
        total += loss_of(config)(scores.flatten(0, 1), following.to(device).flatten(), reduction="sum").item()
        count += following.numel()
    return total / count


def train(config: Config) -> dict[str, float]:
    """Fit in steps of several accumulated batches and keep the weights with the lowest validation loss."""
    torch.manual_seed(config.seed)
    if config.metric != "perplexity":
        raise ValueError(f"unknown metric {config.metric!r}, known: perplexity")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text, validation_text, _ = load_data(config)
    windows = Windows(text, config.sequence_length)
    held_out = Windows(validation_text, config.sequence_length)
    model = build_model(config).to(device)
    criterion, optimizer = loss_of(config), make_optimizer(model, config)
    batches = DataLoader(windows, batch_size=config.batch_size, shuffle=True, num_workers=0)
    steps = math.ceil(len(batches) / config.accumulation_steps) * config.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_rate(step, steps))
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    lowest = math.inf
    for epoch in range(config.epochs):
        model.train()
        windows.offset = int(torch.randint(windows.length, ())) if len(text) > 4 * windows.length else 0
        # The sampler asks for the number of windows anew in every epoch.
        losses = []
        for number, (ids, following) in enumerate(batches, start=1):
            # Half precision on the card only; on a processor it would be slower.
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                scores = model(ids.to(device))
                loss = criterion(scores.flatten(0, 1), following.to(device).flatten())
            losses.append(loss.item())
            (loss / config.accumulation_steps).backward()
            if number % config.accumulation_steps == 0 or number == len(batches):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                schedule.step()
        validation = mean_loss(model, held_out, config, device)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, perplexity {math.exp(validation):.2f}")
        if validation < lowest:
            lowest = validation
            torch.save(model.state_dict(), output / "model.pt")
    return {"loss": float(np.mean(losses)), "validation_perplexity": math.exp(lowest)}


# %% [evaluate]
def load_trained(config: Config) -> tuple[nn.Module, torch.device]:
    """Return the model with the weights that `train` saved, and where it runs."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config)
    state = torch.load(Path(config.output_dir) / "model.pt", weights_only=True, map_location=device)
    model.load_state_dict(state)
    return model.to(device).eval(), device


def evaluate(config: Config) -> dict[str, float]:
    """Measure perplexity per byte and bits per byte on the held-out recipes."""
    _, _, text = load_data(config)
    model, device = load_trained(config)
    loss = mean_loss(model, Windows(text, config.sequence_length), config, device)
    return {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": loss / math.log(2)}


# %% [predict]
def predict(config: Config) -> np.ndarray:
    """Return drawn bytes (num_texts, generated_length) that continue a test recipe; save them as text."""
    _, _, text = load_data(config)
    model, device = load_trained(config)
    beginning = torch.from_numpy(text[: config.sequence_length // 4]).to(device)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = model.continue_texts(beginning.repeat(config.num_texts, 1), config, generator).cpu().numpy()
    output = Path(config.output_dir)
    for number, row in enumerate(drawn):
        written = np.concatenate([beginning.cpu().numpy(), row])
        readable = bytes(written[written != END_OF_TEXT].tolist()).decode("utf-8", errors="replace")
        (output / f"generated_{number}.txt").write_text(readable, encoding="utf-8")
    np.save(output / "predictions.npy", drawn)
    return drawn


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)
