from dlcodegen_local.compiler import compile_plan
from dlcodegen_local.compiler.audio import read_features
from dlcodegen_local.compiler.sequence_items import read_sequence_items
from tests.compiler.plans import make_plan
from tests.compiler.sequence_plans import PLANS


def features_of(shape: str, *layers: str):
    plan = make_plan("Audio Classification", (shape, "(None, 2)"), layers)
    return read_features(plan, read_sequence_items(layers))


def test_features_have_the_shape_that_the_plan_states() -> None:
    assert features_of("(None, 64, 50, 1)", "Conv2D(4, 3)").shape == (64, 50, 1)
    assert features_of("(None, 30, 13) MFCCs", "LSTM(4)").shape == (30, 13)
    assert features_of("(None, 40)", "Dense(4)").shape == (40,)


def test_features_without_a_stated_shape_suit_the_first_layer() -> None:
    assert len(features_of("recordings", "Conv2D(4, 3)").shape) == 3
    assert len(features_of("recordings", "GRU(4)").shape) == 2
    assert features_of("raw audio waveforms", "Conv1D(4, 3)").kind == "wave"


def test_mfccs_are_made_where_the_plan_names_them() -> None:
    layers = ("LSTM(4)", "Dense(2)")
    named = compile_plan(make_plan("Audio Classification", ("(None, 30, 13) MFCCs", "(None, 2)"), layers))
    assert "mfccs_from_log_mel_spectrograms" in named
    assert "mfccs_from_log_mel_spectrograms" not in compile_plan(PLANS["sounds"])


def test_speech_is_transcribed_by_ctc_over_every_step() -> None:
    source = compile_plan(PLANS["speech"])
    assert "loss=ctc_loss" in source
    assert "return_sequences=True" in source
    assert "transcripts.csv" in source


def test_frames_that_a_stride_halved_are_kept() -> None:
    layers = (
        "Input(shape=(98, 40))",
        "Conv1D(8, 11, strides=2, padding='same')",
        "GRU(8, return_sequences=True)",
        "Dense(29, activation='softmax')",
    )
    source = compile_plan(make_plan("Speech Recognition", ("(None, 98, 40)", "(None, 49, 29)"), layers))
    assert "Cropping1D" not in source


def test_spoken_words_of_a_closed_list_are_classes() -> None:
    layers = ("Conv2D(4, 3)", "Flatten()", "Dense(6, activation='softmax')")
    source = compile_plan(make_plan("Speech Recognition", ("(None, 20, 20, 1)", "6 commands"), layers))
    assert "ctc" not in source
    assert "num_classes: int = 6" in source
