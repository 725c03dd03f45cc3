"""Curves and confusion: bounded, and right where they are drawn."""

import math
import xml.etree.ElementTree as ElementTree

import pytest

from dlcodegen_local.run_page.plots import MAX_POINTS, confusion_table, history_curves, loss_curve
from tests.run_page.pages import EVIL, Page


def points(figure: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(figure[figure.index("<svg") : figure.index("</svg>") + 6])
    lines = [node.get("points", "").split() for node in root.iter("polyline")]
    return [[tuple(map(float, point.split(","))) for point in line] for line in lines]


@pytest.mark.parametrize(
    "losses",
    [[2.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0], [-5.0, 3.0], [1e-9, 2e-9], [1e30, 1.0], [5.0, 5.1, 4.9]],
)
def test_a_curve_stays_in_its_frame_and_keeps_its_order(losses):
    (line,) = points(loss_curve(losses))
    assert len(line) == len(losses)
    assert all(0 <= x <= 480 and 0 <= y <= 250 for x, y in line)
    assert [x for x, _ in line] == sorted({x for x, _ in line})
    for (_, upper), (_, lower), first, second in zip(line, line[1:], losses, losses[1:], strict=False):
        assert (upper <= lower) == (first >= second), "higher numbers stand higher"


def test_what_is_not_finite_is_left_out_and_long_curves_are_cut():
    (line,) = points(loss_curve([1.0, math.nan, math.inf, 2.0]))
    assert len(line) == 2
    assert len(points(loss_curve([float(n) for n in range(5000)]))[0]) == MAX_POINTS
    assert loss_curve([]) == loss_curve([1.0]) == loss_curve([math.nan, 1.0]) == ""


def test_training_and_validation_share_a_figure():
    figures = history_curves(
        {"loss": (2.0, 1.0), "val_loss": (3.0, 2.5), "accuracy": (0.5,), EVIL: (1.0, 2.0)}
    )
    assert len(points(figures)) == 2 and figures.count("<figure") == 2
    assert "validation" in Page(figures).text and "<script" not in figures


def test_confusion_leaves_out_classes_that_do_not_occur():
    page = Page(confusion_table([[2, 0, 1], [0, 0, 0], [0, 0, 3]]))
    assert "5 of 6 right" in page.text and "1 of 3 classes occur in none" in page.text
    assert page.wrong == []
    assert confusion_table([]) == confusion_table([[0, 0], [0, 0]]) == ""


def test_confusion_of_many_classes_is_cut():
    table = confusion_table([[int(row == column) for column in range(60)] for row in range(60)])
    assert "40 more classes are not shown" in table and table.count('scope="row"') == 20
