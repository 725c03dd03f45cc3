from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.sections import Sections
from tests.compiler.plans import make_plan
from tests.compiler.sequence_plans import BERT, PLANS, TEXT


def model_of(plan) -> str:
    return Sections.parse(compile_plan(plan)).bodies["model"]


def test_sizes_of_the_embedding_are_settings() -> None:
    source = compile_plan(TEXT)
    assert "vocab_size: int = 500" in source
    assert "sequence_length: int = 24" in source
    assert "layers.Embedding(input_dim=config.vocab_size" in source


def test_a_pretrained_network_becomes_a_small_one_of_its_name() -> None:
    source = compile_plan(BERT)
    assert "class TFBertModel(layers.Layer):" in source
    assert "return_sequences=False" in model_of(BERT)
    assert "nothing is downloaded" in source
    assert "from_pretrained" not in Sections.parse(source).bodies["model"]


def test_layers_before_the_embedding_come_after_it() -> None:
    plan = make_plan(
        "Text Classification", ("(None, 9)", "(None, 2)"), ("Dense(7)", "Embedding(50, 4)", "LSTM(6)")
    )
    model = model_of(plan)
    assert model.index("layers.Embedding") < model.index("layers.LSTM(6)") < model.index("layers.Dense(")
    assert "layers reordered" in compile_plan(plan)


def test_recurrent_layers_without_an_embedding_get_one() -> None:
    plan = make_plan("Text Classification", ("(None, 9)", "(None, 2)"), ("LSTM(6)", "Dense(2)"))
    assert "layers.Embedding(config.vocab_size, config.embedding_dim)" in model_of(plan)


def test_dense_layers_alone_read_a_bag_of_words() -> None:
    source = compile_plan(PLANS["bag of words"])
    assert "vocab_size: int = 400" in source
    assert 'output_mode="multi_hot"' in source


def test_two_global_poolings_read_the_same_sequence() -> None:
    layers = (
        "Embedding(50, 4)",
        "GlobalAveragePooling1D()",
        "GlobalMaxPooling1D()",
        "Concatenate()",
        "Dense(2)",
    )
    model = model_of(make_plan("Text Classification", ("(None, 9)", "(None, 2)"), layers))
    assert "x = layers.GlobalMaxPooling1D()(branch_1)" in model
    assert "layers.Concatenate()([branch_2, x])" in model


def test_labels_follow_the_loss() -> None:
    layers = ("Embedding(50, 4)", "Flatten()", "Dense(3, activation='softmax')")
    shapes = ("(None, 9)", "(None, 3)")
    one_hot = compile_plan(make_plan("Text Classification", shapes, layers, loss="categorical_crossentropy"))
    index = compile_plan(make_plan("Text Classification", shapes, layers))
    assert "keras.utils.to_categorical(labels, config.num_classes)" in one_hot
    assert "to_categorical" not in index


def test_a_crf_keeps_its_name_and_says_what_it_is_not() -> None:
    layers = ("Embedding(50, 4)", "LSTM(6)", "CRF(num_classes)")
    source = compile_plan(make_plan("Token Classification", ("(None, 9)", "(None, 9, 4)"), layers))
    assert "class CRF(layers.Dense):" in source
    assert "transitions are not modelled" in source


def test_padding_has_no_weight_in_token_classification() -> None:
    assert "sample_weight=weights" in compile_plan(PLANS["tags"])


def test_a_question_with_start_and_end_is_answered_by_a_span() -> None:
    source = compile_plan(PLANS["span"])
    assert "layers.Permute((2, 1))" in source
    assert "exact_match" in source
    assert "exact_match" not in compile_plan(PLANS["labelled question"])
