import math

import pytest

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.index import SampleIndex, query_terms
from dlcodegen_local.retrieval.samples import Sample
from tests.retrieval.memory_pool import MemoryPool


def make_sample(name: str, category: str, text: str) -> Sample:
    plan = Plan(category, text, "(batch_size, 2)", "", ())
    return Sample(name, "", "", plan, "keras", "Apache-2.0", "test", name, "", {}, "bundled")


@pytest.fixture
def samples():
    return [
        make_sample("cats", "Image Classification", "cats and dogs photographs"),
        make_sample("cars", "Image Classification", "cars photographs cars"),
        make_sample("reviews", "Text Classification", "film reviews"),
    ]


def test_partition_comes_before_score(samples, tmp_path):
    hits = SampleIndex([MemoryPool(samples)], tmp_path).search("film reviews", 1, "Image Classification")
    assert [hit.sample.id for hit in hits] == ["cars"] or [hit.sample.id for hit in hits] == ["cats"]
    assert not hits[0].topped_up


def test_thin_category_is_topped_up_and_says_so(samples, tmp_path):
    hits = SampleIndex([MemoryPool(samples)], tmp_path).search("reviews", 3, "Text Classification")
    assert [hit.topped_up for hit in hits] == [False, True, True]
    assert {hit.sample.id for hit in hits[1:]} == {"cats", "cars"}


def test_score_is_bm25_by_hand(samples, tmp_path):
    """k1 = 1.2, b = 0.75; tantivy's idf is ln(1 + (N - n + 0.5) / (n + 0.5))."""
    index = SampleIndex([MemoryPool(samples)], tmp_path)
    (hit, *_) = index.search("cars", 1)
    assert hit.sample.id == "cars"
    lengths = [
        len(query_terms(f"\n\n{s.plan.category} {s.plan.dataset_input} (batch_size, 2)")) for s in samples
    ]
    average = sum(lengths) / len(lengths)
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 * 2.2 / (2 + 1.2 * (1 - 0.75 + 0.75 * lengths[1] / average))
    assert hit.score == pytest.approx(expected, rel=1e-3)


def test_why_names_terms_that_sum_to_the_score(samples, tmp_path):
    (hit, *_) = SampleIndex([MemoryPool(samples)], tmp_path).search("cars photographs cars", 1, why=True)
    assert hit.terms[0][0] == "car"
    assert sum(score for _, score in hit.terms) == pytest.approx(hit.score, rel=1e-3)


def test_damaged_index_is_rebuilt(samples, tmp_path):
    first = SampleIndex([MemoryPool(samples)], tmp_path)
    before = [(hit.sample.id, hit.score) for hit in first.search("photographs", 2)]
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    victim = max((folder / "files").glob("*.idx"), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    damaged.replace(victim)  # a new file: the open index still maps the old one
    again = SampleIndex([MemoryPool(samples)], tmp_path)
    assert [(hit.sample.id, hit.score) for hit in again.search("photographs", 2)] == before


def test_changed_samples_get_their_own_index(samples, tmp_path):
    SampleIndex([MemoryPool(samples)], tmp_path)
    more = [*samples, make_sample("ships", "Image Classification", "ships at sea")]
    (hit, *_) = SampleIndex([MemoryPool(more)], tmp_path).search("ships", 1)
    assert hit.sample.id == "ships"


def test_forms_of_a_word_are_one_term():
    assert query_terms("The classifiers, classifying") == query_terms("classifier classify")


def test_query_syntax_in_text_is_only_text(samples, tmp_path):
    index = SampleIndex([MemoryPool(samples)], tmp_path)
    for text in ("text:cars AND (", '"', "cars OR *", "", "\x00", "🚗 cars~2^3"):
        assert isinstance(index.search(text, 2), list)


def test_equal_scores_break_on_the_id(tmp_path):
    samples = [make_sample(name, "Translation", "same words") for name in ("b", "a", "c")]
    hits = SampleIndex([MemoryPool(samples)], tmp_path).search("same", 3, "Translation")
    assert [hit.sample.id for hit in hits] == ["a", "b", "c"]


def test_a_cache_that_cannot_be_written_costs_no_answer(samples, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    (hit, *_) = SampleIndex([MemoryPool(samples)], tmp_path / "cache").search("cars", 1)
    assert hit.sample.id == "cars"
