import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.plan.layers import LayerCall, Name, canonical_name, parse_layer, parse_layers


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Conv2D(32, (3, 3), activation='relu')", LayerCall("Conv2D", (32, (3, 3)), {"activation": "relu"})),
        ("keras.layers.Dense(10)", LayerCall("Dense", (10,))),
        ("tf.keras.layers.MaxPool2D()", LayerCall("MaxPooling2D")),
        ("1. Flatten()", LayerCall("Flatten")),
        ("Dense(7*7*256, use_bias=False)", LayerCall("Dense", (12544,), {"use_bias": False})),
        ("Dense(num_classes)", LayerCall("Dense", (Name("num_classes"),))),
        ("Dense(64, activation=relu)", LayerCall("Dense", (64,), {"activation": "relu"})),
        ("LSTM(64)(x)", LayerCall("LSTM", (64,))),
        ("Bidirectional(LSTM(32))", LayerCall("Bidirectional", (LayerCall("LSTM", (32,)),))),
        ("TimeDistributed(Flatten)", LayerCall("TimeDistributed", (LayerCall("Flatten"),))),
    ],
)
def test_calls_are_read_without_being_run(text: str, call: LayerCall) -> None:
    assert parse_layer(text) == call


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        (
            "A convolutional layer with 48 filters, kernel size 5x5 and ReLU",
            "Conv2D(48, (5, 5), activation='relu')",
        ),
        ("Dense layer (96 neurons) with tanh activation", "Dense(96, activation='tanh')"),
        ("dropout layer, dropout rate 0.35", "Dropout(0.35)"),
        ("Dropout of 40%", "Dropout(0.4)"),
        ("Softmax output layer", "Dense(activation='softmax')"),
        ("max pooling with a 3x3 window", "MaxPooling2D((3, 3))"),
        ("bidirectional LSTM layer with 20 units", "Bidirectional(LSTM(20))"),
        ("pre-trained EfficientNet-B0 backbone", "EfficientNetB0(include_top=False)"),
        ("Batch Normalisation", "BatchNormalization()"),
    ],
)
def test_prose_becomes_a_call(text: str, rendered: str) -> None:
    call = parse_layer(text)
    assert call is not None
    assert call.render() == rendered


def test_a_text_that_names_several_layers_gives_them_in_order() -> None:
    names = [call.name for call in parse_layers("Conv2D, batch norm, max pooling and two dense layers")]
    assert names == ["Conv2D", "BatchNormalization", "MaxPooling2D", "Dense"]


@pytest.mark.parametrize("text", ["", "   ", "random forest", "model compilation", "((((", "42"])
def test_what_names_no_layer_gives_none(text: str) -> None:
    assert parse_layer(text) is None


def test_arguments_are_found_by_keyword_and_by_position() -> None:
    call = LayerCall("Dense", (12,), {"activation": "relu"})
    assert call.get("units", 0) == 12
    assert call.get("activation", 1) == "relu"
    assert call.get("use_bias", 2, True) is True


def test_spellings_lead_to_keras_names() -> None:
    assert canonical_name("max_pooling_2d") == "MaxPooling2D"
    assert canonical_name("BatchNorm") == "BatchNormalization"
    assert canonical_name("FooLayer") is None


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused_and_rendering_is_stable(text: str) -> None:
    for call in parse_layers(text):
        assert parse_layers(call.render())[0].name == call.name


def test_deep_brackets_do_not_break_the_reader() -> None:
    assert parse_layer("Dense(" + "(" * 3000) is not None or parse_layer("(" * 3000) is None
