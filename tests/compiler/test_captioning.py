from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.sections import Sections
from tests.compiler.plans import make_plan
from tests.compiler.sequence_plans import PLANS


def test_image_and_caption_meet_as_vectors_of_one_size() -> None:
    model = Sections.parse(compile_plan(PLANS["captions"])).bodies["model"]
    assert "layers.Add()([image_vector, x])" in model
    assert model.index('name="image"') < model.index('name="caption"') < model.index("layers.Add()")


def test_unequal_branches_are_brought_to_one_size_before_adding() -> None:
    layers = ("Input(shape=(64,))", "Dense(10)", "Embedding(90, 8)", "LSTM(6)", "Add()", "Dense(90)")
    source = compile_plan(make_plan("Image-to-Text", ("image features", "captions"), layers))
    assert "Dense(6) added: Add takes equal sizes" in source


def test_stated_features_come_from_the_network_that_makes_them() -> None:
    layers = ("Input(shape=(4096,))", "Dense(8)", "Embedding(90, 8)", "LSTM(8)", "Add()", "Dense(90)")
    source = compile_plan(make_plan("Image-to-Text", ("VGG16 features of images", "captions"), layers))
    assert "keras.applications.VGG16(" in source
    assert "weights=config.pretrained_weights" in source
    assert "pretrained_weights: str | None = None" in source


def test_a_decoder_block_attends_to_the_places_of_the_image() -> None:
    model = Sections.parse(compile_plan(PLANS["attending captions"])).bodies["model"]
    assert "TransformerDecoder(embed_dim=16, num_heads=2, ff_dim=16)(x, encoded)" in model


def test_layers_that_write_no_text_classify_images() -> None:
    layers = ("Conv2D(4, 3)", "Flatten()", "Dense(36, activation='softmax')")
    source = compile_plan(make_plan("Image-to-Text", ("(None, 32, 32, 1) plates", "(None, 36)"), layers))
    assert "the layers write no text" in source
    assert "captions.csv" not in source
