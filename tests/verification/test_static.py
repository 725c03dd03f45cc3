"""Static findings on sources made by small changes to one that has none."""

import sys
from pathlib import Path

import pytest

from dlcodegen_local.verification.environment import Target
from dlcodegen_local.verification.report import Finding
from dlcodegen_local.verification.static import check_project, check_source

SOURCE = '''# SPDX-License-Identifier: Apache-2.0
"""Sort rows. Data: a table at /data/table.csv, or https://example.com in prose."""

# %% [imports]
import dataclasses
from pathlib import Path

import numpy as np


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings."""

    data_dir: str = "data"
    rows: int = 4


def parse_config(argv=None):
    return Config()


# %% [data]
def make_synthetic(config):
    np.save(Path(config.data_dir) / "x.npy", np.ones(config.rows))


def load_data(config):
    return np.load(Path(config.data_dir) / "x.npy")


# %% [model]
SCALE = [index * 2 for index in range(3)]


def build_model(config):
    return {name: SCALE for name in ("a", "b")}


# %% [train]
def train(config):
    return {"loss": float(load_data(config).sum())}


# %% [evaluate]
def evaluate(config):
    return train(config)


# %% [predict]
def predict(config):
    return load_data(config)


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
'''


def findings(source: str, target: Target | None = None) -> list[tuple[str, int]]:
    return [(found.rule, found.line) for found in check_source(source, target=target)]


def with_line(line: str, after: str = "def train(config):") -> tuple[str, int]:
    """Return the source with a line inside train(), and the line's number."""
    lines = SOURCE.split("\n")
    place = lines.index(after) + 1
    return "\n".join([*lines[:place], "    " + line, *lines[place:]]), place + 1


def test_clean_source_has_no_finding() -> None:
    assert check_source(SOURCE) == ()


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("x = undefined_thing", "undefined-name"),
        ("x = [i for i in range(3)]; y = i", "undefined-name"),
        ("import requests", "import"),
        ("import socket", "network"),
        ("from urllib.request import urlopen", "network"),
        ("import os; os.system('ls')", "shell"),
        ("from os import popen", "shell"),
        ("import subprocess as sp", "shell"),
        ("import pickle", "pickle"),
        ("np.load('x.npy', allow_pickle=True)", "pickle"),
        ("import torch; torch.load('x.pt')", "pickle"),
        ("import torch; torch.load('x.pt', weights_only=False)", "pickle"),
        ("import keras; keras.models.load_model('x', safe_mode=False)", "pickle"),
        ("eval('1')", "dynamic-code"),
        ("exec('1')", "dynamic-code"),
        ("import ctypes", "dynamic-code"),
        ("import importlib; importlib.import_module(config.rows)", "dynamic-code"),
        ("import keras; keras.utils.get_file('a', 'b')", "network"),
        ("from keras.utils import get_file", "network"),
        ("import tensorflow as tf; tf.keras.utils.get_file('a', 'b')", "network"),
        ("import keras; keras.datasets.mnist.load_data()", "network"),
        ("import keras; keras.applications.ResNet50(weights='imagenet')", "network"),
        ("import keras; keras.applications.ResNet50()", "network"),
        ("from keras.applications import VGG16; VGG16(include_top=False)", "network"),
        ("config.from_pretrained('bert-base-uncased')", "network"),
        ("np.genfromtxt('https://example.com/x.csv')", "network"),
        ("open('/content/drive/data.csv')", "absolute-path"),
        ("open('/home/someone/x')", "absolute-path"),
        ("open('C:\\\\data\\\\x.csv')", "absolute-path"),
        ("open('~/x.csv')", "absolute-path"),
        ("Path.home()", "absolute-path"),
        ("x = '\u202e'", "bidi"),
        ("x = 'zero\u200bwidth'", "bidi"),
        ("x = (", "syntax"),
        ("yield = 1", "syntax"),
        ("return predict(config)", "section-order"),
    ],
)
def test_defect_is_found_on_its_line(line: str, rule: str) -> None:
    source, number = with_line(line)
    assert (rule, number) in findings(source) or (rule == "syntax" and rule in dict(findings(source)))


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.makedirs('x', exist_ok=True)",
        "import urllib.parse",
        "np.load('x.npy', allow_pickle=False)",
        "import keras; keras.applications.ResNet50(weights=None)",
        "import keras; keras.applications.ResNet50(weights=config.rows)",
        "import torch; torch.load('x.pt', weights_only=True)",
        "config.from_pretrained('./local')",
        "x = 'and/or' + '/suffix/of/it'",
        "x = f'{config.data_dir}/train/images'",
        "x = 'km/h'; y = '/'; z = '</s>'; w = '%d/%m/%Y'",
        "model = config; model.eval(); model.compile()",
        "print('see https://example.com')",
        "x = lambda y: y + 1",
        "x = [a for a in range(3) if (b := a)]; print(b)",
        "global COUNT; COUNT = 1",
        "def inner(a, *b, c=SCALE, **d): return a, b, c, d, inner",
        "try: pass\n    except OSError as error: print(error)",
    ],
)
def test_honest_line_has_no_finding(line: str) -> None:
    source, _ = with_line(line)
    assert findings(source) == []


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("def load_data(config):", "def load_table(config):", "missing-function"),
        ('if __name__ == "__main__":', "if True:", "missing-function"),
        ("# %% [predict]\n", "", "section"),
        ("# %% [predict]\n", "# %% [prediction]\n", "section"),
        ("# %% [predict]\n", "# %% [model]\n", "section"),
        ("SCALE = [index * 2 for index in range(3)]", "SCALE = train", "section-order"),
        ("SCALE = [index * 2 for index in range(3)]", "SCALE = [later]\nlater = 1", "undefined-name"),
        ("SCALE = [index * 2 for index in range(3)]", "SCALE = [1]\nprint(SCALE)", "side-effect"),
        ("import numpy as np", "import numpy as np\nfrom numpy import *", "import"),
    ],
)
def test_contract_violation_is_found(old: str, new: str, rule: str) -> None:
    assert rule in dict(findings(SOURCE.replace(old, new)))


def test_functions_use_the_config_they_are_given() -> None:
    """A function that takes `config` from the main section works as a script and breaks as modules."""
    assert dict(findings(SOURCE.replace("def train(config):", "def train():"))).keys() == {"section-order"}


@pytest.mark.parametrize(
    "text", ["", "\x00", "(" * 100_000, "x" * 2_000_000, "\ufeff", "def f(:", "-" * 200_000 + "1"]
)
def test_any_text_is_answered(text: str) -> None:
    assert all(isinstance(found, Finding) for found in check_source(text))
    assert check_source(text)


def test_same_source_same_findings() -> None:
    source, _ = with_line("import socket, subprocess, pickle; x = missing, absent")
    assert check_source(source) == check_source(source)


def test_attributes_are_asked_of_the_environment() -> None:
    source, number = with_line(
        "import json; json.dumpss(1); np.array_splitt; np.linalg.svd; json.JSONEncoder.x"
    )
    found = check_source(source, target=Target(Path(sys.executable)))
    messages = [(item.rule, item.line, item.message) for item in found]
    assert ("attribute", number, "json has no 'dumpss'; it has 'dumps'") in messages
    assert ("attribute", number, "numpy has no 'array_splitt'; it has 'array_split'") in messages
    assert len(messages) == 2


def test_modules_are_asked_of_the_environment() -> None:
    source, number = with_line("import pytest, no_such_package")
    assert findings(source, Target(Path(sys.executable), resolve=False)) == [("import", number)]
    assert [rule for rule, _ in findings(source)] == ["import", "import"]


def test_declared_module_is_no_finding() -> None:
    source, _ = with_line("import no_such_package")
    assert findings(source, Target(declared=frozenset({"no_such_package"}))) == []


def write_project(folder: Path, **changes: str) -> None:
    modules = {
        "config": "def parse_config(argv=None):\n    return None\n",
        "data": "def make_synthetic(config):\n    pass\n\n\ndef load_data(config):\n    pass\n",
        "model": "def build_model(config):\n    pass\n",
        "train": "from data import load_data\n\n\ndef train(config):\n    return load_data(config)\n",
        "evaluate": "def evaluate(config):\n    pass\n",
        "predict": "def predict(config):\n    pass\n",
    }
    for name, text in {**modules, **changes}.items():
        (folder / f"{name}.py").write_text(text)


def test_clean_project_has_no_finding(tmp_path: Path) -> None:
    write_project(tmp_path)
    assert check_project(tmp_path) == ()


def test_project_modules_are_held_against_each_other(tmp_path: Path) -> None:
    write_project(
        tmp_path, train="from data import load_table\n\n\ndef train(config):\n    return load_data(config)\n"
    )
    (tmp_path / "predict.py").unlink()
    assert [(item.file, item.line, item.rule) for item in check_project(tmp_path)] == [
        ("predict.py", 1, "missing-function"),
        ("train.py", 1, "import"),
        ("train.py", 5, "undefined-name"),
    ]
