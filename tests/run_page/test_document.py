"""What the page of a run is to a parser: whole, loading nothing, with nobody's text as markup."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from dlcodegen_local.run_page.definition import RunPage, Version
from dlcodegen_local.run_page.document import render_run
from tests.run_page.pages import EVIL, PLAN, SHOWN, Page, a_run, script

PARTS = ["requirement", "plan", "samples", "code", "checks", "smoke", "cost", "licences", "run"]


@pytest.mark.parametrize("run", [a_run(), a_run(EVIL), RunPage("id", "wish"), RunPage("id", EVIL, plan=PLAN)])
def test_every_page_is_well_formed_and_loads_nothing(run):
    html = render_run(run)
    page = Page(html)
    assert page.wrong == []
    assert [name for name in page.ids if name in PARTS] == PARTS
    assert len(page.ids) == len(set(page.ids))
    assert page.links and all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert not page.tags & {
        "script",
        "img",
        "iframe",
        "link",
        "object",
        "embed",
        "form",
        "base",
        "use",
        "image",
    }
    assert not any(name.startswith("on") for name in page.attributes)
    assert "default-src 'none'" in html and "script-src" not in html
    assert not re.search(r"url\(|@import|https?:", html)


def test_hostile_text_is_seen_as_text():
    html = render_run(a_run(EVIL))
    text = Page(html).text
    assert not {"\x00", "\x1b", "\u202e", "\ud800"} & set(html)
    assert html.encode("utf-8")
    assert text.count("alert('1')") > 20, "requirement, notes, samples, findings, versions and the rest"
    assert SHOWN in text and "⟨U+0000⟩" in text


def test_hostile_code_is_seen_as_text():
    evil = Version("merge", script(f"x = '''{EVIL}'''"), {"model": EVIL})
    page = Page(render_run(a_run(delivered=evil)))
    assert page.wrong == [] and "script" not in page.tags
    assert page.text.count("alert('1')") == 3, "the delivered code, its origin, and the legend"


def test_direction_marks_and_unseen_characters_are_shown():
    text = Page(render_run(RunPage("id", "a\u200bb\u200fc\ufeffd\u2066e עברית 👩‍🔬"))).text
    assert "a⟨U+200B⟩b⟨U+200F⟩c⟨U+FEFF⟩d⟨U+2066⟩e" in text
    assert "עברית 👩‍🔬" in text, "letters of any script, and emoji of several, are text"


def test_every_svg_is_xml():
    html = render_run(a_run(EVIL))
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) == 3, "network, loss of the batches, loss of the epochs"
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("role") == "img" and root.get("aria-label")


def test_the_same_run_makes_the_same_page():
    assert render_run(a_run(EVIL)) == render_run(a_run(EVIL))


def test_origins_are_told_in_words_not_by_colour_alone():
    text = Page(render_run(a_run("s1"))).text
    for words in ("written by the model", "sample s1", "template of sample s1, plan values put in"):
        assert words in text
    assert "plan compiler" in text and "computed from names" in text


def test_equal_neighbours_share_a_cell_and_differences_are_marked():
    html = render_run(a_run())
    assert "all the same" in html, "the header"
    assert "merge takes Draft 1 (code-rag)" in html
    assert html.count("l new") == 1, "return 2; the merge has no line of its own"


def test_a_finding_leads_to_its_line_of_the_delivered_program():
    page = Page(render_run(a_run()))
    assert "#line-10" in page.links and "line-10" in page.ids
    assert "#line-9" not in page.links, "a finding in another version"


def test_a_repair_shows_what_it_changed():
    html = render_run(a_run())
    assert '<span class="l minus">-    return 1</span>' in html
    assert '<span class="l plus">+    return 3</span>' in html


def test_verdict_says_what_came_of_it():
    assert "✓ The project passed its checks." in render_run(a_run())
    failed = a_run().steps[0]
    assert "✗ The project FAILED its checks." in render_run(a_run(verification=failed))
    assert "The run is interrupted." in render_run(RunPage("id", "wish", status="interrupted"))


def test_confusion_and_curves_stand_only_where_they_were_measured():
    text = Page(render_run(a_run())).text
    assert (
        "5 of 6 right" in text
        and "Loss after every batch, as the framework reports it: training from 3 to 1" in text
    )
    bare = Page(render_run(RunPage("id", "wish"))).text
    assert "The program was not run." in bare and "Confusion" not in bare


def test_seconds_stand_only_where_they_are_given():
    with_time = Page(render_run(a_run())).text
    assert "Seconds" in with_time and "3.5" in with_time
    untimed = tuple(
        cost.__class__(cost.name, cost.tokens_in, None, cost.tokens_out) for cost in a_run().costs
    )
    assert "gives the same files" in Page(render_run(a_run(costs=untimed))).text


def test_a_very_long_draft_is_cut_and_says_so():
    long = Version("code-rag", script("x = 1\n" * 170_000))
    binary = Version("template-rag", "\x00" * 1_000_000)
    other = Version("merge", "'" + '"""(' * 250_000)
    html = render_run(a_run(rounds=a_run().rounds[:1] * 1 + (), delivered=long))
    assert len(html) < 400_000 and "more characters are not shown" in html
    rounds = (a_run().rounds[0].__class__((long, binary), other),)
    html = render_run(a_run(rounds=rounds))
    assert len(html) < 1_000_000 and html.count("more characters are not shown") == 3
    assert Page(html).wrong == []
