"""Output shapes of planned layers, worked out by hand."""

import pytest

from dlcodegen_local.plan.layers import parse_layer
from dlcodegen_local.run_page.layer_shapes import output_shape


@pytest.mark.parametrize(
    ("layer", "given", "expected"),
    [
        ("Input(shape=(28, 28, 1))", None, (28, 28, 1)),
        ("Input(shape=(None, 50))", None, (None, 50)),
        ("Conv2D(16, 3)", (28, 28, 1), (26, 26, 16)),
        ("Conv2D(16, 3, strides=2, padding='same')", (27, 27, 1), (14, 14, 16)),
        ("Conv1D(8, 5, padding='causal')", (20, 3), (20, 8)),
        ("Conv2DTranspose(8, 3, strides=2, padding='same')", (7, 7, 16), (14, 14, 8)),
        ("MaxPooling2D((2, 2))", (26, 26, 16), (13, 13, 16)),
        ("GlobalAveragePooling2D()", (13, 13, 16), (16,)),
        ("Flatten()", (13, 13, 2), (338,)),
        ("Dense(10)", (338,), (10,)),
        ("Dense(10)", (5, 8), (5, 10)),
        ("Dropout(0.5)", (10,), (10,)),
        ("Embedding(100, 16)", (12,), (12, 16)),
        ("LSTM(32)", (12, 16), (32,)),
        ("LSTM(32, return_sequences=True)", (12, 16), (12, 32)),
        ("Bidirectional(LSTM(32))", (12, 16), (64,)),
        ("TimeDistributed(Dense(3))", (12, 16), (12, 3)),
        ("Reshape((-1, 4))", (6, 6, 4), (36, 4)),
        ("RepeatVector(3)", (8,), (3, 8)),
        ("UpSampling2D(2)", (4, 4, 8), (8, 8, 8)),
        ("VGG16(include_top=False)", (64, 64, 3), (2, 2, 512)),
        ("Permute((2, 1))", (3, 5), (5, 3)),
    ],
)
def test_shapes_by_hand(layer, given, expected):
    assert output_shape(parse_layer(layer), (given,) if given else ()) == expected


@pytest.mark.parametrize(
    ("layer", "given"),
    [
        ("Dense(num_classes)", (8,)),
        ("Conv2D(16, 9)", (4, 4, 1)),
        ("MaxPooling2D(2)", (8,)),
        ("Reshape((7, -1))", (6, 6)),
        ("Flatten()", (None, 3)),
        ("AttentionPooling(8)", (5, 8)),
        ("Conv2D(16, 3)", None),
        ("Dense(99999999999999999999)", (8,)),
    ],
)
def test_what_cannot_be_told_is_unknown(layer, given):
    assert output_shape(parse_layer(layer), (given,)) is None


def test_a_concatenation_needs_all_of_its_inputs():
    call = parse_layer("Concatenate()")
    assert output_shape(call, ((4, 4, 2), (4, 4, 6))) == (4, 4, 8)
    assert output_shape(call, ((4, 4, 2), (2, 2, 6))) is None
    assert output_shape(call, ((4, 4, 6),)) is None
