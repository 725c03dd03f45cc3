"""The drawing of a network: well-formed, bounded, with every block in it."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from dlcodegen_local.run_page.diagram import MAX_BLOCKS, draw_network
from tests.run_page.pages import EVIL

SAMPLES = sorted((Path(__file__).parents[2] / "index" / "samples").glob("*.json"))


def drawing(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(figure[figure.index("<svg") : figure.index("</svg>") + 6])


def texts(figure: str, kind: str) -> list[str]:
    return [node.text or "" for node in drawing(figure).iter("text") if node.get("class") == kind]


def test_blocks_stand_in_order_with_arguments_and_shapes():
    figure = draw_network(["Input(shape=(8, 8, 3))", "Conv2D(4, 3, activation='relu')", "Flatten()"])
    assert texts(figure, "kind") == ["Input", "Conv2D", "Flatten"]
    assert texts(figure, "shape") == ["8 × 8 × 3", "6 × 6 × 4", "144"]
    assert "4, 3, activation='relu'" in texts(figure, "args")


def test_repeats_are_drawn_once_with_their_number():
    figure = draw_network(["Input(shape=(4,))", *["Dense(4)", "Dense(8)"] * 50])
    assert texts(figure, "kind") == ["Input", "Dense", "Dense"]
    assert texts(figure, "times") == ["×50"]


def test_inferred_connections_are_dashed_and_explained():
    layers = ["Input(shape=(8, 8, 1))", "Conv2D(2, 3, padding='same')", "MaxPooling2D(2)", "UpSampling2D(2)"]
    figure = draw_network([*layers, "Concatenate()"])
    assert figure.count("edge inferred") == 1 and "Dashed" in figure
    assert "Dashed" not in draw_network(layers)


def test_a_very_long_network_is_cut_in_the_middle():
    figure = draw_network([f"Dense({size})" for size in range(1, 257)])
    assert len(texts(figure, "kind")) == MAX_BLOCKS
    assert f"{256 - MAX_BLOCKS} more blocks" in figure


def test_hostile_layers_stay_text():
    figure = draw_network([EVIL[:300], f"Lambda({EVIL!r})"[:390], "x" * 390, "Dense(" * 60])
    assert "<script" not in figure and "\u202e" not in figure
    assert drawing(figure).get("aria-label")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_can_be_drawn(path):
    layers = json.loads(path.read_text(encoding="utf-8"))["plan"]["Model Architecture"]["Layers"]
    figure = draw_network(layers)
    boxes = [node for node in drawing(figure).iter("rect") if node.get("class") == "body"]
    _, _, width, height = map(float, drawing(figure).get("viewBox").split())
    for box in boxes:
        x, y, w, h = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and x + w <= width and y + h <= height
    tops = [float(box.get("y")) for box in boxes]
    assert tops == sorted(tops) and len(set(tops)) == len(tops)
