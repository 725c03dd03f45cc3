"""The beams of `transformers`, the oracle of ours."""

from typing import Any


def beams_of_transformers(
    model: Any, prompt: list[int], num_beams: int, length_penalty: float, max_new_tokens: int
) -> list[list[int]]:
    """Return the tokens after the prompt of all beams, best first, padded to one length."""
    import torch

    found = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        num_beams=num_beams,
        num_return_sequences=num_beams,
        length_penalty=length_penalty,
        max_new_tokens=max_new_tokens,
        do_sample=False,
    )
    tokens: list[list[int]] = found[:, len(prompt) :].tolist()
    return tokens
