import pytest

from dlcodegen_local.plan.categories import CATEGORIES, NEIGHBOURS, canonical_category


def test_every_category_means_itself():
    for category in CATEGORIES:
        assert canonical_category(category) == category
        assert canonical_category(category.lower().replace(" ", "_")) == category


@pytest.mark.parametrize(
    ("spelling", "category"),
    [
        ("Image Captioning", "Image-to-Text"),
        ("image super-resolution", "Image-to-Image"),
        ("Time-series forecasting", "Time Series Forecasting"),
        ("Recommendation System", "Recommendation"),
        ("sentiment analysis", "Text Classification"),
        ("Named Entity Recognition", "Token Classification"),
        ("Machine Translation", "Translation"),
        ("Speech-to-text", "Speech Recognition"),
        ("GAN", "Image Generation"),
        ("Regression", "Tabular Regression"),
        ("Audio tagging", "Audio Classification"),
    ],
)
def test_aliases(spelling, category):
    assert canonical_category(spelling) == category


def test_nonsense_is_no_category():
    assert canonical_category("cooking pasta") is None
    assert canonical_category("") is None


def test_neighbours_are_categories():
    assert NEIGHBOURS.keys() == set(CATEGORIES)
    for category, neighbours in NEIGHBOURS.items():
        assert neighbours
        assert category not in neighbours
        assert set(neighbours) <= set(CATEGORIES)
