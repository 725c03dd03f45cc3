"""Whatever a plan's texts hold, the compiled script parses and has its eight sections."""

import ast
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcodegen_local.compiler import FAMILIES, compile_plan, family
from dlcodegen_local.compiler.program import Setting, build_source, quoted
from dlcodegen_local.plain_text import find_unplain
from dlcodegen_local.sections import SECTION_NAMES, Sections
from tests.compiler.plans import TABLE, make_plan

PIECES = (
    *("# %% [data]", "\n# %% [data]\n", "#  %%% [model]", "#\n%% [train]", "# %% [nonsense]"),
    *(
        '"""',
        "'''",
        '""',
        '"',
        "'",
        "\\",
        "\\\n",
        "\n",
        "\t",
        "\u2028",
        "\u2029",
        "\x85",
        "\x0c",
        "\x7f",
        "$data",
    ),
    *(
        "(None, 8)",
        "Dense(",
        "Dense(4)",
        "LSTM(3)",
        "softmax",
        "{{layers}}",
        "word ",
        "a" * 99,
        "#",
        "%%",
        " ",
    ),
)
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=8).map(
    lambda parts: "".join(parts)[:400].replace("\0", "")
)
# Words that push a marker to the start of a line, at any width that a header is wrapped to.
PUSHED = st.integers(60, 110).map(lambda width: "w" * width + " # %% [data] # %% [data]")


def allowed(text: str) -> str:
    """Return a text without what no plan may hold."""
    return "".join(char for char in text if find_unplain(char, allowed="\n\t") is None)


@pytest.mark.parametrize("category", sorted(FAMILIES))
@settings(max_examples=10, deadline=None)
@given(
    texts=st.tuples(*[st.one_of(TEXTS, PUSHED)] * 6),
    layers=st.lists(st.one_of(TEXTS, PUSHED), max_size=4),
)
def test_no_text_of_a_plan_breaks_the_script(
    category: str, texts: tuple[str, ...], layers: list[str]
) -> None:
    shown, made, prepared, optimizer, loss, metric = texts
    plan = make_plan(
        category,
        (allowed(shown), allowed(made)),
        tuple(map(allowed, layers)),
        preprocess=allowed(prepared),
        optimizer=allowed(optimizer),
        loss=allowed(loss),
        metric=allowed(metric),
    )
    source = compile_plan(plan)
    ast.parse(source)
    assert list(Sections.parse(source).bodies) == list(SECTION_NAMES)


@settings(max_examples=60, deadline=None)
@given(texts=st.tuples(*[st.one_of(TEXTS, PUSHED)] * 3), deviations=st.lists(TEXTS, max_size=3))
def test_no_text_of_a_family_breaks_the_script(texts: tuple[str, ...], deviations: list[str]) -> None:
    title, summary, data_format = texts
    program = replace(
        family(TABLE.category)(TABLE),
        title=title,
        summary=summary,
        data_format=data_format,
        deviations=deviations,
        settings=[Setting("extra", title, summary)],
    )
    source = build_source(TABLE, program)
    ast.parse(source)
    assert list(Sections.parse(source).bodies) == list(SECTION_NAMES)


@pytest.mark.parametrize("category", sorted(FAMILIES))
def test_a_marker_in_the_preprocessing_does_not_start_a_section(category: str) -> None:
    for width in range(0, 100, 9):
        marked = " ".join(["w" * width, *["# %% [data] x"] * 12])
        plan = make_plan(category, ("(None, 8)", "(None, 2)"), ("Dense(2)",), preprocess=marked)
        assert list(Sections.parse(compile_plan(plan)).bodies) == list(SECTION_NAMES)


@given(st.text())
def test_a_quoted_text_is_a_literal_of_itself_in_double_quotes(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert quoted(text).startswith('"')
