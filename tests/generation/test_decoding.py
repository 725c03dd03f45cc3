import numpy as np
import pytest

from dlcodegen_local.generation.decoding import TextStream, choose_token, is_repeating, log_softmax
from dlcodegen_local.generation.llm import Sampling

LOGITS = np.array([1.0, 3.0, 3.0, -2.0], np.float32)


def test_temperature_zero_takes_the_likeliest_and_the_first_of_equals():
    assert choose_token(LOGITS, Sampling(), np.random.default_rng(0)) == 1


def test_sampling_follows_the_distribution():
    rng = np.random.default_rng(0)
    sampling = Sampling(temperature=1.5, min_p=0.0)
    drawn = np.bincount([choose_token(LOGITS, sampling, rng) for _ in range(4000)], minlength=4) / 4000
    expected = np.exp(log_softmax(LOGITS / 1.5))
    assert drawn == pytest.approx(expected, abs=0.03)


def test_min_p_cuts_the_tail_before_the_temperature():
    rng = np.random.default_rng(0)
    sampling = Sampling(temperature=2.0, min_p=0.2)
    assert {choose_token(LOGITS, sampling, rng) for _ in range(200)} == {1, 2}


def test_log_softmax_sums_to_one():
    assert np.exp(log_softmax(LOGITS)).sum() == pytest.approx(1.0)


def test_a_stop_text_ends_the_text_however_it_arrives():
    stream = TextStream(("\n# %% [",))
    added = [stream.add(piece) for piece in (b"x = 1\n", b"# ", b"%% [train]", b"more")[:3]]
    assert stream.text == "x = 1"
    assert stream.finish_reason == "stop"
    assert added[0] == "x = 1\n"


def test_a_letter_may_arrive_in_parts():
    stream = TextStream(())
    assert [stream.add(bytes([byte])) for byte in "é".encode()] == ["", "é"]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 3000,
        "start\n" + "    x = x + 1\n" * 30,
        "import a\n" + "ab(c) " * 200,
        "y = [" + "0, " * 400,
        "header\n" + "a = 1\nb = 2\nc = 3\n" * 40,
    ],
)
def test_circles_are_noticed(text):
    assert is_repeating(text)


def test_ordinary_code_is_no_circle():
    line = "    model.add(layers.Dense({0}, name='d{0}'))\n"
    assert not is_repeating("".join(line.format(i) for i in range(60)))
    assert not is_repeating("x = 1\n" * 5)
    assert not is_repeating("    ]\n" * 4 + ")\n")


def test_an_endless_answer_ends_early():
    stream = TextStream(())
    for _ in range(5000):
        stream.add(b"layer = layer\n")
        if stream.finish_reason:
            break
    assert stream.finish_reason == "repetition"
    assert len(stream.text) < 1000


def test_a_hopeless_text_ends_after_its_line():
    stream = TextStream((), lambda text: "oops" in text)
    for piece in (b"oo", b"ps", b" go", b" on\n", b"never"):
        stream.add(piece)
        if stream.finish_reason:
            break
    assert stream.text == "oops go on\n"
    assert stream.finish_reason == "broken"
