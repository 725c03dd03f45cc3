"""Similarities of texts: BLEU, by the `codebleu` package's copy of NLTK's, and plain equality."""

import re

from dlcodegen_local.plain_text import letters_and_digits

_TOKEN = re.compile(r"\w+|[^\w\s]+")


def bleu(prediction: str, reference: str) -> float:
    """Return sentence BLEU-4 with smoothing method 1, 0 to 100.

    Tokens are words and runs of punctuation, as written. Two texts without a token are equal: 100.

    Paper: Papineni et al. 2002; Chen and Cherry 2014 for the smoothing.
    """
    from codebleu.bleu import SmoothingFunction, sentence_bleu

    tokens, wanted = _TOKEN.findall(prediction), _TOKEN.findall(reference)
    if not tokens or not wanted:
        return 100.0 * (tokens == wanted)
    return 100.0 * float(sentence_bleu([wanted], tokens, smoothing_function=SmoothingFunction().method1))


def plain_equal(text: str, other: str) -> bool:
    """Tell whether two texts have the same ASCII letters and digits in lower case."""
    return letters_and_digits(text) == letters_and_digits(other)
