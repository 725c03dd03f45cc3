import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlcodegen_local.compiler.curves import with_curves

TRAIN = '''
def train(config: Config) -> dict[str, float]:
    """Fit."""
    model = build_model(config)
    history = model.fit(x, epochs=config.epochs)
    model.save_weights("model.weights.h5")
    return {name: float(values[-1]) for name, values in history.history.items()}
'''
HISTORY = SimpleNamespace(history={"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "mae": [1.0, 0.5]})


def plotter(section):
    """Return the section's `plot_history`."""
    keras = SimpleNamespace(callbacks=SimpleNamespace(History=object))
    names = {"keras": keras, "Config": object, "Path": Path}
    exec(section.replace("dict[str, float]", "object"), names)
    return names["plot_history"]


def test_the_network_is_printed_and_the_history_drawn_before_its_last_values_are_returned():
    lines = with_curves(TRAIN).splitlines()
    body = lines[lines.index("def train(config: Config) -> dict[str, float]:") :]
    assert body[3] == "    model.summary()"
    assert body[-2] == "    plot_history(history, config)"


@pytest.mark.parametrize(
    "change", [("history = model.fit(", "fit("), ("return {", "return list(history) or {")]
)
def test_what_trains_in_another_way_comes_back_unchanged(change):
    other = TRAIN.replace(*change)
    assert with_curves(other) == other


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    plotter(with_curves(TRAIN))(HISTORY, SimpleNamespace(output_dir=tmp_path))
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_nothing_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    plotter(with_curves(TRAIN))(HISTORY, SimpleNamespace(output_dir=tmp_path))
    assert not list(tmp_path.iterdir())
