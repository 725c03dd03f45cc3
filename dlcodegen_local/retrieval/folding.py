"""Fold near duplicates: MinHash signatures in bands, so that only likely pairs are compared.

Guarantees that the answer depends on the order of asking alone. Does not compare all pairs: of two
documents whose similarity is at the threshold of 0.75, 128 values share a band in 998 of 1,000 cases.
"""

from array import array
from collections.abc import Sequence

from dlcodegen_local.retrieval.ingest.similarity import NEAR, similarity

_ROWS = 5


class NearDuplicates:
    """Remember documents by signature and name the first one that a new one is near to."""

    def __init__(self) -> None:
        self._signatures: list[array[int]] = []
        self._ids: list[str] = []
        self._bands: dict[tuple[int, bytes], list[int]] = {}

    def find(self, signature: Sequence[int]) -> str | None:
        """Return the id of the first remembered document that is near; None where there is none."""
        places = sorted({place for band in _bands_of(signature) for place in self._bands.get(band, ())})
        for place in places:
            if similarity(tuple(self._signatures[place]), tuple(signature)) >= NEAR:
                return self._ids[place]
        return None

    def remember(self, document_id: str, signature: Sequence[int]) -> None:
        """Add a document that later ones may be near to."""
        place = len(self._ids)
        self._ids.append(document_id)
        self._signatures.append(array("Q", signature))
        for band in _bands_of(signature):
            self._bands.setdefault(band, []).append(place)


def _bands_of(signature: Sequence[int]) -> list[tuple[int, bytes]]:
    return [
        (start, array("Q", signature[start : start + _ROWS]).tobytes())
        for start in range(0, len(signature) - _ROWS + 1, _ROWS)
    ]
