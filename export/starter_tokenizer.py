"""Train and read the starter's tokenizer: byte-level BPE with GPT-2's way of splitting text.

GPT-2's split puts a line break and the indentation after it into one run, so common indentations become
single tokens, and llama.cpp knows the split under the name `gpt-2`: both tokenise alike. Special tokens
have the lowest ids. Differs from GPT-2: the vocabulary is small and made from code.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END)


def train_tokenizer(documents: Iterable[str], vocab_size: int, path: Path) -> "Tokenizer":
    """Train a tokenizer and write it to `path` as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        max_token_length=24,
    )
    tokenizer.train_from_iterator(documents, trainer)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


def load_tokenizer(path: Path) -> "Tokenizer":
    """Read a tokenizer written by `train_tokenizer`."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))
