import ast
import json
import subprocess
import sys

import pytest

from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.project.definition import Project
from dlcodegen_local.project.layouts import MODULES, render_notebook, render_project, split_modules
from dlcodegen_local.sections import Sections

SOURCE = '''# SPDX-License-Identifier: Apache-2.0
"""Count words.

Data: `words.txt`.
"""

# %% [imports]
import argparse
import dataclasses
import math
from collections import Counter, OrderedDict


# %% [config]
@dataclasses.dataclass
class Config:
    """Settings."""

    epochs: int = 1


def parse_config(argv=None) -> Config:
    """Read the options."""
    argparse.ArgumentParser().parse_args(argv)
    return Config()


# %% [data]
def load_data(config: Config) -> Counter:
    """Return counts."""
    return Counter("abca")


# %% [model]
def build_model(config: Config):
    """Return a number."""
    return math.sqrt(4)


# %% [train]
def train(config: Config):
    """Train."""
    return {"loss": build_model(config) + len(load_data(config))}


# %% [evaluate]
def evaluate(config: Config):
    """Evaluate."""
    return train(config)


# %% [predict]
class Answer:
    """Hold a shape."""

    shape = (2, 3)


def predict(config: Config) -> Answer:
    """Predict."""
    return Answer()


# %% [main]
if __name__ == "__main__":
    config = parse_config()
    print(train(config))
'''
PLAN = Plan("Text Classification", "(batch_size, 4)", "(batch_size, 2)", "none", ("Dense(2)",), "adam")


def make_project(**changes) -> Project:
    verification = {
        "static": {"ok": True, "findings": []},
        "compliance": {"score": 0.5, "fields": {}},
        "smoke": {"ok": True, "seconds": 9.1, "message": ""},
    }
    fields = {
        "requirement": "count | words",
        "plan": PLAN,
        "source": SOURCE,
        "origin": "merge",
        "provenance": {"model": "model"},
        "licences": {},
        "pools": {},
        "facts": {"parameters": 1234, "versions": {"keras": "3.0"}},
        "verification": verification,
        "record": {},
    }
    return Project(**{**fields, **changes})


def test_modules_run_on_their_own(tmp_path):
    for name, text in split_modules(Sections.parse(SOURCE)).items():
        (tmp_path / f"{name}.py").write_text(text)
    for name, expected in (("train", "{'loss': 5.0}"), ("evaluate", "{'loss': 5.0}"), ("predict", "(2, 3)")):
        answer = subprocess.run(
            [sys.executable, f"{name}.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert answer.stdout.strip() == expected


def test_modules_import_only_what_they_use():
    modules = split_modules(Sections.parse(SOURCE))
    assert "from collections import Counter\n" in modules["data"]
    assert "OrderedDict" not in "".join(modules.values())
    assert "import math" in modules["model"]
    assert "math" not in modules["train"]
    assert "from data import load_data\nfrom model import build_model" in modules["train"]


def test_imports_stand_in_groups():
    source = SOURCE.replace("import math", "import math\nimport keras").replace(
        "math.sqrt(4)", "math.sqrt(keras.x)"
    )
    assert "import math\n\nimport keras\n\nfrom config" in split_modules(Sections.parse(source))["model"]


def test_layouts_hold_the_same_code():
    notebook = json.loads(render_notebook(Sections.parse(SOURCE)))
    code = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    for function in ("parse_config", "load_data", "build_model", "train", "evaluate", "predict"):
        assert f"def {function}(" in code
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert {"project.py", "README.md"} <= render_project(make_project(), "script").keys()
    files = render_project(make_project(), "project")
    assert {f"{name}.py" for name in MODULES} <= files.keys()
    for name, text in files.items():
        if name.endswith(".py"):
            ast.parse(text)


def test_same_project_same_bytes():
    assert render_project(make_project(), "project") == render_project(make_project(), "project")


def test_readme_states_what_was_measured():
    text = render_project(make_project(), "project")["README.md"]
    assert "Parameters of the network: 1,234" in text
    assert "Smoke run: passed in under 60 s" in text
    assert "Compliance with the plan: 0.50" in text


def test_readme_of_a_failed_project_says_so():
    verification = dict(
        make_project().verification, smoke={"ok": False, "seconds": 1.0, "message": "train: boom"}
    )
    text = render_project(make_project(verification=verification), "project")["README.md"]
    assert "**failed** (train: boom)" in text


def test_requirements_name_the_versions_of_the_smoke_run():
    source = SOURCE.replace("import math", "import math\nimport keras")
    project = make_project(source=source, facts={"versions": {"keras": "3.1", "tensorflow": "2.2"}})
    lines = render_project(project, "script")["requirements.txt"].splitlines()
    assert lines[1:] == ["keras==3.1", "tensorflow-cpu==2.2"]


@pytest.mark.parametrize("text", ["print(1)", "# %% [nonsense]\n", "# %% [data]\n# %% [data]\n"])
def test_bad_markers_are_refused(text):
    with pytest.raises(ValueError):
        Sections.parse(text)


def test_sections_round_trip():
    sections = Sections.parse(SOURCE)
    assert Sections.parse(sections.to_source()) == sections
