"""What the subjects of our own requirements are written in: nouns and the templates they go into."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """Hold the nouns of one kind of task, and templates with one place for a noun.

    `short` templates are whole requirements of a few words, `tasks` stand in the infinitive.
    """

    nouns: tuple[str, ...]
    short: tuple[str, ...]
    tasks: tuple[str, ...]


Subjects = Mapping[str, Phrases]


def phrases(nouns: str, short: str, tasks: str) -> Phrases:
    """Return the phrases of texts whose parts are set apart by bars."""
    return Phrases(_parts(nouns), _parts(short), _parts(tasks))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("|"))
