import math

import pytest
import tantivy

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.retrieval.index import SampleIndex, query_terms
from tests.retrieval.memory_pool import MemoryPool, make_sample


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
    assert [bool(hit.topped_up) for hit in hits] == [False, True, True]
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


def test_score_in_a_category_has_the_statistics_of_its_partition(samples, tmp_path):
    (hit, *_) = SampleIndex([MemoryPool(samples)], tmp_path).search("cars", 1, "Image Classification")
    lengths = [
        len(query_terms(f"{s.plan.category} {s.plan.dataset_input} (batch_size, 2)")) for s in samples[:2]
    ]
    idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 * 2.2 / (2 + 1.2 * (1 - 0.75 + 0.75 * lengths[1] / (sum(lengths) / 2)))
    assert hit.partition == "Image Classification"
    assert hit.score == pytest.approx(expected, rel=1e-3)


def test_the_earlier_pool_wins_ties_and_ids_may_stand_in_both(tmp_path):
    team = MemoryPool([make_sample("same", "Translation", "equal words", pool="team")], "team")
    bundled = MemoryPool([make_sample(name, "Translation", "equal words") for name in ("aaa", "same")])
    hits = SampleIndex([team, bundled], tmp_path).search("equal words", 3, "Translation")
    assert [(hit.sample.pool, hit.sample.id) for hit in hits] == [
        ("team", "same"),
        ("bundled", "aaa"),
        ("bundled", "same"),
    ]
    (first, *_) = SampleIndex([bundled, team], tmp_path).search("equal words", 3, "Translation")
    assert first.sample.pool == "bundled"


def test_more_ties_than_are_asked_for_at_once_still_come_in_order(tmp_path):
    names = [f"n{number:03}" for number in range(200)]
    pool = MemoryPool([make_sample(name, "Translation", "equal words") for name in reversed(names)])
    hits = SampleIndex([pool], tmp_path).search("equal", 150, "Translation")
    assert [hit.sample.id for hit in hits] == names[:150]


def test_samples_of_the_framework_come_first_and_others_say_why_they_stand_in(tmp_path):
    kinds = [
        ("own", "Image Classification", "torch"),
        ("near", "Image Segmentation", "torch"),
        ("other", "Image Classification", "keras"),
        ("near-other", "Image Segmentation", "keras"),
        ("far", "Translation", "torch"),
    ]
    pool = MemoryPool(
        [make_sample(name, kind, "cats", framework=framework) for name, kind, framework in kinds]
    )
    index = SampleIndex([pool], tmp_path)
    hits = index.search("cats", 5, "Image Classification", framework="torch")
    assert [(hit.sample.id, hit.topped_up) for hit in hits] == [
        ("own", ""),
        ("near", "from a neighbouring category"),
        ("other", "from another framework"),
        ("near-other", "from a neighbouring category and another framework"),
        ("far", "from another category"),
    ]
    hits = index.search("cats", 5, framework="keras")
    assert [(hit.sample.framework, hit.topped_up) for hit in hits][1:3] == [
        ("keras", ""),
        ("torch", "from another framework"),
    ]


def test_code_is_read_for_hits_alone(samples, tmp_path):
    pool = MemoryPool(samples)
    SampleIndex([pool], tmp_path).search("cars", 1)
    assert pool.asked == ["cars"]


def test_a_search_goes_on_while_the_pool_loses_a_sample(samples, tmp_path):
    pool = MemoryPool(samples)
    index = SampleIndex([pool], tmp_path)
    assert [hit.sample.id for hit in index.search("photographs", 2)] == ["cars", "cats"]
    del pool.samples["cars"]
    assert [hit.sample.id for hit in index.search("photographs", 2)] == ["cats"]


def test_a_sample_that_is_damaged_is_an_error(samples, tmp_path):
    class Damaged(MemoryPool):
        def sample(self, sample_id):
            raise ArtifactError(f"{sample_id} is damaged")

    with pytest.raises(ArtifactError, match="cars is damaged"):
        SampleIndex([Damaged(samples)], tmp_path).search("cars", 1)


def test_pools_without_samples_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no samples"):
        SampleIndex([MemoryPool([])], tmp_path)


@pytest.mark.parametrize(
    "text", ["Größe of snake_case, CamelCase's 3x3 (0.001)\tdon't", "写真 नमस्ते naïve", "a" * 50]
)
def test_terms_are_those_of_the_analyser_as_a_whole(text):
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (tantivy.Filter.remove_long(40), tantivy.Filter.lowercase()):
        analyzer = analyzer.filter(step)
    for step in (tantivy.Filter.stopword("english"), tantivy.Filter.stemmer("english")):
        analyzer = analyzer.filter(step)
    built = analyzer.build()
    everything = "\n".join((text, text.encode("ascii", "ignore").decode(), "The classifiers of images"))
    assert query_terms(everything) == built.analyze(everything)
