"""The bundled samples keep the section contract, follow their plans and differ from each other."""

import ast
import functools
import hashlib
import io
import itertools
import json
import keyword
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dlcodegen_local.plan.categories import CATEGORIES
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.retrieval.samples import load_samples
from dlcodegen_local.sections import REQUIRED_FUNCTIONS, SECTION_NAMES, Sections
from dlcodegen_local.verification.compliance import measure_compliance
from dlcodegen_local.verification.static import check_source
from index.check import NEEDED, RECORD_KEYS, SAMPLES_DIR, report_of, run_sample, run_samples

SCRIPTS = sorted(SAMPLES_DIR.glob("*.py"))
ALLOWED_PACKAGES = {
    "keras": {"keras", "matplotlib", "numpy", "tensorflow"},
    "torch": {"PIL", "matplotlib", "numpy", "torch"},
}
FORBIDDEN_MODULES = {"socket", "subprocess", "urllib", "http", "ftplib", "pickle", "shelve", "ctypes"}
COMMON_DEFAULTS = {
    "data_dir": "data",
    "output_dir": "outputs",
    "synthetic": False,
    "synthetic_samples": 64,
    "seed": 42,
}
MAIN = """if __name__ == "__main__":
    config = parse_config()
    print(train(config))
    print(evaluate(config))
    print(predict(config).shape)"""

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def record_of(script: Path) -> dict[str, Any]:
    return json.loads(script.with_suffix(".json").read_text(encoding="utf-8"))


def config_defaults(body: str) -> dict[str, object]:
    """Return field -> literal default of `class Config`."""
    (cls,) = (n for n in ast.parse(body).body if isinstance(n, ast.ClassDef) and n.name == "Config")
    fields = [node for node in cls.body if isinstance(node, ast.AnnAssign)]
    return {node.target.id: ast.literal_eval(node.value) for node in fields}


def top_level_names(body: str) -> set[str]:
    """Return what a section defines: functions, classes and constants."""
    names: set[str] = set()
    for node in ast.parse(body).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            targets = ast.walk(ast.Tuple(elts=node.targets))
            names |= {name.id for name in targets if isinstance(name, ast.Name)}
    return names


@functools.cache
def shingles(source: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of nine tokens of code, blind to layout, comments, values and the names it chose."""
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    texts = [""]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_own_name = token.type == tokenize.NAME and not keyword.iskeyword(token.string) and texts[-1] != "."
        if token.type not in layout:
            is_value = token.type in (tokenize.STRING, tokenize.NUMBER)
            texts.append("name" if is_own_name else "value" if is_value else token.string)
    return frozenset(zip(*(texts[i:] for i in range(9)), strict=False))


def likeness(left: str, right: str) -> float:
    """Return the Jaccard index of two codes' shingles."""
    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def test_there_are_enough_samples_for_every_category() -> None:
    samples = load_samples(SAMPLES_DIR)
    assert len(samples) >= 64
    counts = Counter(sample.plan.category for sample in samples)
    assert {category: counts[category] for category in CATEGORIES if counts[category] < 3} == {}
    assert Counter(sample.framework for sample in samples)["torch"] >= 16
    assert len({sample.requirement for sample in samples}) == len(samples)


@each_script
def test_record_is_complete_and_names_this_file(script: Path) -> None:
    record = record_of(script)
    assert tuple(record) == RECORD_KEYS
    assert record["id"] == script.stem
    assert record["framework"] in NEEDED
    assert record["licence"] == "Apache-2.0"
    assert record["sha256"] == hashlib.sha256(script.read_bytes()).hexdigest()
    assert record["smoke"]["ok"] is True
    assert set(record["smoke"]["versions"]) == {"python", *NEEDED[record["framework"]]}


@each_script
def test_sections_stand_in_order_with_their_functions(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    sections = Sections.parse(source)
    assert tuple(sections.bodies) == SECTION_NAMES
    assert Sections.parse(sections.to_source()) == sections
    assert sections.header.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert "\nData: " in (ast.get_docstring(ast.parse(source)) or "")
    assert sections.bodies["main"] == MAIN
    for section, functions in REQUIRED_FUNCTIONS.items():
        assert set(functions) <= top_level_names(sections.bodies[section])
    assert 100 <= len(source.splitlines()) <= 350


@each_script
def test_no_section_uses_a_later_one(script: Path) -> None:
    bodies = Sections.parse(script.read_text(encoding="utf-8")).bodies
    for place, section in enumerate(SECTION_NAMES):
        later = set().union(*(top_level_names(bodies[name]) for name in SECTION_NAMES[place + 1 : -1]))
        loaded = {node.id for node in ast.walk(ast.parse(bodies[section])) if isinstance(node, ast.Name)}
        assert not loaded & later, section


@each_script
def test_config_agrees_with_the_plan(script: Path) -> None:
    defaults = config_defaults(Sections.parse(script.read_text(encoding="utf-8")).bodies["config"])
    plan = Plan.from_dict(record_of(script)["plan"])
    assert COMMON_DEFAULTS.items() <= defaults.items()
    for field in ("optimizer", "loss", "metric", "learning_rate", "batch_size", "epochs"):
        assert defaults[field] == getattr(plan, field), field


@each_script
def test_code_follows_the_plan(script: Path) -> None:
    plan = Plan.from_dict(record_of(script)["plan"])
    compliance = measure_compliance(script.read_text(encoding="utf-8"), plan)
    assert compliance.score is not None
    assert compliance.score >= 0.9, compliance.fields


@each_script
def test_only_known_packages_and_no_way_out(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(r"https?://|^/|^~|^[A-Z]:\\", node.value), node.value
    allowed = ALLOWED_PACKAGES[record_of(script)["framework"]]
    assert modules <= allowed | set(sys.stdlib_module_names)
    assert not modules & FORBIDDEN_MODULES
    assert not [finding for finding in check_source(source) if finding.severity == "error"]


def test_no_two_samples_are_nearly_the_same() -> None:
    sources = {script.stem: script.read_text(encoding="utf-8") for script in SCRIPTS}
    for left, right in itertools.combinations(sources, 2):
        assert likeness(sources[left], sources[right]) < 0.45, (left, right)


def test_a_sample_with_names_changed_is_nearly_the_same() -> None:
    source = SCRIPTS[0].read_text(encoding="utf-8")
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    renamed = re.sub(rf"(?<!\.)\b({'|'.join(sorted(names))})\b", lambda match: match[0] + "_x", source)
    assert likeness(source, renamed) > 0.9


def sample_beside(folder: Path, name: str, code: str) -> Path:
    """Write a sample whose code is `code` and whose plan asks for two numbers an item."""
    script = folder / f"{name}.py"
    script.write_text(code, encoding="utf-8")
    plan = {**record_of(SCRIPTS[0])["plan"], "Task Category": "Tabular Classification"}
    plan["Dataset"] = {"Input": "", "Output": "(batch_size, 2)"}
    script.with_suffix(".json").write_text(json.dumps({"framework": "keras", "plan": plan}), encoding="utf-8")
    return script


TINY = """
import dataclasses
import numpy as np
from pathlib import Path
@dataclasses.dataclass
class Config: pass
def parse_config(argv): return Config()
def make_synthetic(config): pass
def load_data(config): pass
def build_model(config): pass
def train(config):
    Path("outputs").mkdir()
    Path("outputs/model.txt").write_text("weights")
    return {"loss": LOSS}
def evaluate(config): return {"accuracy": 1.0}
def predict(config): return np.zeros((4, WIDTH))
"""


@pytest.mark.parametrize(
    ("loss", "width", "expected"),
    [("0.5", 2, ""), ("float('nan')", 2, "loss is not finite"), ("0.5", 3, "shape")],
)
def test_a_run_counts_only_with_a_finite_loss_and_the_planned_shape(
    tmp_path: Path, loss: str, width: int, expected: str
) -> None:
    code = TINY.replace("LOSS", loss).replace("WIDTH", str(width))
    run = run_sample(sample_beside(tmp_path, "tiny", code), timeout_s=60)
    assert run.ok is (not expected)
    assert expected in run.message


def test_a_script_that_hangs_is_ended_and_reported(tmp_path: Path) -> None:
    hanging = sample_beside(tmp_path, "hangs", "import time\ntime.sleep(60)\n")
    (run,) = run_samples([hanging], timeout_s=1.0, jobs=2)
    assert "limit on time" in run.message
    report = report_of([run])
    assert (report["samples"], report["failed"]) == (1, 1)
    assert report["runs"][0]["id"] == "hangs"


@pytest.mark.smoke
def test_the_two_quickest_samples_run() -> None:
    scripts = [script for script in SCRIPTS if record_of(script)["framework"] == "keras"]
    quickest = sorted(scripts, key=lambda path: (record_of(path)["smoke"]["cpu_seconds"], path.stem))[:2]
    for run in run_samples(quickest, timeout_s=120, jobs=2):
        assert run.ok, run.message
