import pytest

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.ingest.description import MAX_REQUIREMENT_CHARS, describe
from dlcodegen_local.retrieval.ingest.prose import passages

PLAN = Plan(
    category="Image Classification",
    dataset_input="(batch_size, 64, 64, 3)",
    dataset_output="(batch_size, 5)",
    preprocess="",
    layers=("Conv2D(8, (3, 3))", "Flatten()", "Dense(5)"),
    optimizer="adam",
    loss="categorical_crossentropy",
)


def of_docstring(text, name="x.py"):
    return describe(text, (), name, PLAN)


def of_markdown(*texts, name="x.ipynb"):
    return describe("", texts, name, PLAN)


def test_a_docstring_with_fields():
    found = of_docstring(
        "Title: Flowers with a ResNet\nAuthor: [Ann](https://a.b)\nDate created: 2020/01/01\n"
        "Description: Classify photographs of flowers with a small ResNet.\n\n## Setup\n\nInstall `x`."
    )
    assert found.title == "Flowers with a ResNet"
    assert found.requirement == "Classify photographs of flowers with a small ResNet."


def test_a_docstring_with_an_underlined_title():
    found = of_docstring(
        "Flowers\n=======\n**Author**: `Ann <https://a.b>`_\n\n.. note:: skip\n\n"
        "We train a :class:`~torch.nn.Module` that predicts the species\nof a flower. "
        "It learns very fast. Third."
    )
    assert found.title == "Flowers"
    assert found.requirement == (
        "We train a torch.nn.Module that predicts the species of a flower. It learns very fast."
    )


def test_markdown_gives_its_first_telling_heading_and_paragraph():
    found = of_markdown(
        "##### Copyright 2020 The Authors.",
        "<table><td><a href='x'>Run in Colab</a></td></table>",
        "# 1. **Spotting** [birds](https://x.y)",
        "Install the requirements first, please, all of them.\n\n"
        "- a list that classifies nothing\n\n"
        "![image](x.png)\nThis notebook trains a network to *detect* birds (see https://x.y/z) in `photos`.",
    )
    assert found.title == "Spotting birds"
    assert found.requirement == "This notebook trains a network to detect birds in photos."


def test_poor_headings_are_passed_over():
    found = of_markdown("## Imports", "# Load the data", "# Cats and dogs")
    assert found.title == "Cats and dogs"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("flower_net-v2.py", "Flower net v2"),
        ("03_FlowerClassifier.ipynb", "Flower Classifier"),
        ("projects/flower_shop/train.py", "Flower shop"),
        ("flower_shop\\src\\main.py", "Flower shop"),
        ("untitled3.ipynb", "Image Classification model"),
    ],
)
def test_without_prose_the_name_is_the_title_and_the_plan_the_requirement(name, title):
    found = describe("", (), name, PLAN)
    assert found.title == title
    subject = "" if title.endswith(" model") else f" ({title})"
    assert found.requirement == (
        f"Classify images into 5 classes{subject} with a convolutional network on inputs of 64 x 64 x 3 "
        "trained with adam on categorical crossentropy."
    )


@pytest.mark.parametrize(
    "text",
    [
        "Copyright 2020 the authors, who train models under the licence.",
        "model = Sequential([Dense(3)]) is what we train in this place",
        "Dieses Netz klassifiziert Bilder von Blumen nach ihrer Art, trainiert mit Keras",
        "Click here to train and classify things",
        "short model",
    ],
)
def test_sentences_that_are_not_about_the_task_are_not_the_requirement(text):
    assert of_markdown("# Flowers", text).requirement.startswith("Classify images into 5 classes (Flowers)")


def test_what_is_long_is_cut_at_a_word():
    words = "We classify " + "flowers and " * 100 + "trees."
    found = of_docstring("Flowers\n\nThe network is trained to classify flowers in the field. " + words)
    assert found.requirement == "The network is trained to classify flowers in the field."
    long_title = of_docstring("# " + "Flowers and " * 20).title
    assert len(long_title) <= 100 and long_title.endswith("and...")
    assert len(of_docstring("x " * 3000).requirement) <= MAX_REQUIREMENT_CHARS


def test_words_are_plain_text_whatever_the_markup():
    found = of_markdown(
        "# A\x1b[31m title\u202e here", "We **train** a `model` \x07to predict __rain__ in <b>May</b>."
    )
    assert found.title == "A [31m title here"
    assert found.requirement == "We train a model to predict rain in May."


def test_code_in_prose_is_dropped():
    found = list(passages("Text one.\n\n```python\nx = 1\n```\n\n    indented = 2\n\n| a | b |\n\nText two."))
    assert [passage.words for passage in found] == ["Text one.", "Text two."]
