"""What a page of results looks like to a parser: nothing of a model's text is markup."""

from html.parser import HTMLParser

from dlcodegen_local.evaluation.report import render_report
from dlcodegen_local.evaluation.report_plots import Bar, bars, lines
from dlcodegen_local.evaluation.table_items import Item

EVIL = "</pre></style><script>alert('1')</script><img src=x onerror=go>&amp;\x00\x1b[31m\u202eflow\ud800\"'"
SCORE = {"mean": 21.0, "low": 20.0, "high": 22.0, "n": 2}


class Page(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.names, self.urls, self.text = set(), set(), [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.urls += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


def document(kind="programs", names=("ours", "m-direct", "top-sample"), measures=("codebleu", "smoke_rate")):
    scores = dict.fromkeys(measures, SCORE)
    every = (
        "codebleu", "ngram", "weighted_ngram", "syntax", "dataflow", "codebleu_defined", "parse_rate",
        "compliance", "smoke_rate", "lines",
    )  # fmt: skip
    systems = [
        {"name": name, "path": EVIL, "sha256": "0" * 64, "scores": dict.fromkeys(every) | scores,
         "difference_to_first": {} if not place else dict.fromkeys(every) | scores}
        for place, name in enumerate(names)
    ]  # fmt: skip
    about = {name: {"title": name, "better": "higher", "signature": EVIL} for name in every}
    return {
        "kind": kind,
        "tasks": {"items": 2, "with_reference": 2},
        "settings": {"model": {"name": EVIL}, "seed": 0},
        "ours": [names[0]],
        "further": [],
        "floors": ["top-sample"],
        "summary": [
            {"name": names[0], "items": 2, "failed": 1, "parse_rate": SCORE, "compliance": None,
             "smoke_rate": None, "seconds": 1.5, "tokens": None, "peak_memory_mib": None,
             "origins": {EVIL: 1}}
        ],
        "summary_signatures": {"seconds": EVIL},
        "comparison": {"measures": about, "systems": systems, "interval": "95%"},
        "p_values": {name: {"codebleu": 0.0004, "smoke_rate": 0.25} for name in names[1:]},
        "p_value": "shuffled",
        "repeats": [],
        "cautions": [EVIL],
        "notes": [EVIL],
    }  # fmt: skip


ITEM = Item(EVIL, EVIL, EVIL, {"ours": (EVIL, ""), EVIL: ("", EVIL)})


def test_hostile_texts_stay_text_and_nothing_is_loaded():
    html = render_report({"table2": document(names=("ours", EVIL, "top-sample"))}, {"table2": [ITEM]})
    page = Page(html)
    assert not {"script", "img", "iframe", "link", "object"} & page.tags
    assert not any(name.startswith("on") for name in page.names) and not page.urls
    assert "alert('1')" in page.text and "default-src 'none'" in html
    assert not {"\x00", "\x1b", "\u202e", "\ud800"} & set(html)
    assert "⟨U+202E⟩flow⟨U+D800⟩" in page.text
    html.encode("utf-8")


def test_the_same_results_make_the_same_page():
    tables = {"table5": document(), "table2": document()}
    html = render_report(tables, {})
    assert html == render_report(dict(reversed(tables.items())), {})
    assert Page(html).urls == ["#table2", "#table5"]


def test_floors_stand_apart_and_small_p_values_are_not_0():
    text = Page(render_report({"table2": document()}, {})).text
    assert text.index("Run here") < text.index("Published predictions") < text.index("Floors")
    assert "p < 0.001" in text and "p = 0.250" in text


def test_results_without_references_have_a_summary_alone():
    alone = document() | {"comparison": None, "p_values": None}
    text = Page(render_report({"table2": alone}, {"table2": [Item("a", "Sort", "", {})]})).text
    assert "All tasks" in text and "There is none." in text and "Differences" not in text


def test_plots_hold_their_numbers_as_text():
    found = Page(bars("CodeBLEU", [Bar("a" * 40, "ours", SCORE), Bar("b", "floors", SCORE | {"mean": 0.0})]))
    assert "21.0" in found.text and "a" * 40 in found.text and "…" in found.text
    zero = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert "nan" not in bars("x", [Bar("a", "ours", zero)]) and bars("x", [])
    drawn = lines("over", "temperature", {"ours": [(0.0, SCORE), (2.0, zero)], "theirs": [(0.5, SCORE)]})
    assert {"0.5", "2", "theirs", "temperature"} <= set(Page(drawn.replace("<", " <")).text.split())
    assert lines("over", "temperature", {}) == ""


def test_a_temperature_figure_has_a_line_a_model():
    figure = document(names=("dlcodegen-t0.0", "m-dlcodegen-t0.5", "m-dlcodegen-t1.0"))
    html = render_report({"fig5": figure}, {})
    assert html.count("<polyline") == 4 and ">m-dlcodegen</li>" in html
