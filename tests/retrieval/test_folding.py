import random

from dlcodegen_local.retrieval.folding import NearDuplicates
from dlcodegen_local.retrieval.ingest.similarity import NEAR


def drawn(seed, original=None, changed=0):
    """Return a signature; with `original`, that one with some of its values changed."""
    chance = random.Random(seed)
    values = list(original) if original else [chance.getrandbits(32) for _ in range(128)]
    for place in chance.sample(range(128), changed):
        values[place] = chance.getrandbits(32)
    return tuple(values)


def test_a_near_document_is_found_and_another_is_not():
    near = NearDuplicates()
    originals = [drawn(seed) for seed in range(200)]
    for place, signature in enumerate(originals):
        assert near.find(signature) is None
        near.remember(f"d{place}", signature)
    allowed = int(128 * (1 - NEAR)) - 2
    assert [near.find(drawn(seed, originals[seed], allowed)) for seed in range(200)] == [
        f"d{place}" for place in range(200)
    ]
    assert near.find(drawn(1, originals[1], allowed + 24)) is None


def test_of_two_near_ones_the_first_is_named():
    near = NearDuplicates()
    original = drawn(1)
    near.remember("first", drawn(2, original, 5))
    near.remember("second", original)
    assert near.find(original) == "first"


def test_documents_without_a_signature_are_near_to_nothing():
    near = NearDuplicates()
    near.remember("empty", ())
    assert near.find(()) is None
