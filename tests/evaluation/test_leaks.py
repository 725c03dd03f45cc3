import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcodegen_local.evaluation.leaks import MAX_MATCHES, Texts, leaky_ids, words

ASKED = "I would like a network that tells healthy beehives from sick ones by the sound of their entrance."
CODE = "\n".join(f"layer_{number} = keras.layers.Dense({number}, activation='relu')" for number in range(9))
OPENING = "I would like a network that tells"  # how everybody asks
OTHERS = [
    Texts(f"row {number}", f"{OPENING} {what} by the colour of their leaves.")
    for number, what in enumerate(
        ("young oaks from old ones", "ripe plums from green ones", "elms from limes")
    )
]


def found_in(text, **item):
    return leaky_ids([Texts("a", **item)], [*OTHERS, text])


@pytest.mark.parametrize(
    "text",
    [
        ASKED,
        ASKED.upper(),
        f"\n {ASKED[:-1]!s}!".replace(" ", "  "),
        ASKED.replace("network", "ｎｅｔｗｏｒｋ"),
    ],
)
def test_the_same_words_are_an_exact_leak(text):
    [match] = found_in(Texts("b", text), requirement=ASKED)["a"].matches
    assert (match.kind, match.where, match.share, match.is_exact) == ("requirement", "b", 1, True)


@pytest.mark.parametrize(
    "text",
    [
        ASKED.replace("I would like", "Please write code for"),
        ASKED.replace("healthy beehives", "healthy hives"),
        f"Task 7. {ASKED} Save the model and plot its losses, too.",
    ],
)
def test_a_few_other_words_are_a_near_leak(text):
    [match] = found_in(Texts("b", text), requirement=ASKED)["a"].matches
    assert not match.is_exact
    assert match.share >= 0.5


@pytest.mark.parametrize(
    "text",
    [
        f"{OPENING} healthy beehives from sick ones by the colour of the bees.",
        f"{OPENING} what the weather is going to be.",
        "Something else altogether, which shares nothing.",
        "",
    ],
)
def test_a_common_opening_is_no_leak(text):
    assert (
        found_in(Texts("b", text), requirement=f"{OPENING} cars by their licence plates on wet roads.") == {}
    )


def test_common_words_alone_are_no_leak():
    asked = f"{OPENING} birches from beeches by the colour of their leaves."
    assert leaky_ids([Texts("a", asked)], OTHERS) == {}  # runs enough, but not the words that matter


def test_a_plan_leaks_by_what_it_says():
    said = "images of 64 by 64 pixels scaled to one and split into three parts of equal size Dense 8 relu"
    assert found_in(Texts("b", plan=said), plan=said)["a"].matches[0].is_exact
    [match] = found_in(Texts("b", plan=f"{said} adam mse 0.01"), plan=said)["a"].matches
    assert (match.kind, match.share, match.is_exact) == ("plan", 1, False)


def test_code_leaks_whatever_its_layout_and_comments():
    laid_out = CODE.replace("(", "(  # wide\n    ")
    assert found_in(Texts("b", code=laid_out), code=CODE)["a"].matches[0].is_exact
    renamed = CODE.replace("layer_3", "third")
    [match] = found_in(Texts("b", code=f"import keras\n{renamed}"), code=CODE)["a"].matches
    assert (match.kind, match.is_exact) == ("code", False)
    assert 0.5 < match.share < 1
    half = "\n".join(CODE.splitlines()[:3])
    assert found_in(Texts("b", code=half), code=CODE) == {}


def test_the_share_by_hand():
    item = " ".join(f"word{number}" for number in range(14))  # ten runs of five
    text = " ".join(f"word{number}" for number in range(13)) + " " + "other " * 3  # nine of them
    [match] = leaky_ids([Texts("a", item)], [Texts("b", text)])["a"].matches
    assert match.share == 0.9


def test_short_texts_leak_where_they_are_equal():
    assert found_in(Texts("b", "Name birds!"), requirement="name birds")["a"].matches[0].is_exact
    assert found_in(Texts("b", "Name birds and trees"), requirement="name birds") == {}


def test_scripts_without_blanks_are_compared_by_character():
    assert words("ab 猫犬c") == ["ab", "猫", "犬", "c"]


def test_the_surest_match_comes_first_and_all_are_counted():
    sources = [Texts(f"{number:02}", ASKED + " Thanks!") for number in range(MAX_MATCHES + 5)]
    leak = leaky_ids([Texts("a", ASKED)], [*sources, Texts("last", ASKED)])["a"]
    assert leak.found == MAX_MATCHES + 6
    assert len(leak.matches) == MAX_MATCHES
    assert [match.where for match in leak.matches[:3]] == ["last", "00", "01"]


def test_every_item_is_named_in_its_order():
    items = [Texts("z", ASKED), Texts("clean", "Draw a map of all the rivers there are."), Texts("a", ASKED)]
    assert list(leaky_ids(items, [Texts("b", ASKED)])) == ["z", "a"]


@given(st.lists(st.text(max_size=60), max_size=4), st.lists(st.text(max_size=60), max_size=4))
def test_any_texts_have_an_answer(items, sources):
    references = [Texts(str(place), text, text, text) for place, text in enumerate(items)]
    leaks = leaky_ids(references, [Texts("s", text, text, text) for text in sources])
    for place, text in enumerate(items):
        if words(text) and text in sources:
            assert leaks[str(place)].matches[0].is_exact
    assert all(0.5 <= match.share <= 1 for leak in leaks.values() for match in leak.matches)
