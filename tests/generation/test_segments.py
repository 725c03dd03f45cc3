import re

import pytest

from dlcodegen_local.generation.imports import complete_imports, is_imports_only
from dlcodegen_local.generation.segments import (
    are_alike,
    cut_source,
    data_interface,
    is_sound,
    is_sound_script,
    reconcile,
)
from dlcodegen_local.generation.syntax import config_uses, is_broken_start, names_of, parse_module
from dlcodegen_local.sections import SECTION_NAMES, Sections
from tests.generation.foreign import NOTEBOOK
from tests.generation.scripts import BATCHES, TABLE, section

A, B = Sections.parse(TABLE), Sections.parse(BATCHES)
SOURCES = {"a": A, "b": B}


def mixed(**others):
    return reconcile({name: others.get(name, "a") for name in SECTION_NAMES}, SOURCES, A.header)


def test_code_without_markers_is_cut_by_what_its_statements_are():
    cut = cut_source(re.sub(r"^# %% .*\n", "", BATCHES, flags=re.MULTILINE))
    assert cut is not None
    assert {name: names_of(body)[0] for name, body in cut.bodies.items()} == {
        name: names_of(body)[0] for name, body in B.bodies.items()
    }
    assert cut.header.startswith("# SPDX")


def test_markers_that_are_not_the_contract_s_are_comments_of_what_is_cut():
    docstring = '"""Read rows.\n\nData: rows.\n# %% [data]\n# %% [data]\n"""\n'
    cut = cut_source(docstring + "# %% [setup]\nimport os\n\n\ndef load_data(config):\n    return os.sep\n")
    assert cut is not None
    assert list(Sections.parse(cut.to_source()).bodies) == ["imports", "data"]


def test_what_is_neither_marked_nor_code_cannot_be_cut():
    assert cut_source("def f(:") is None


@pytest.mark.parametrize("source", [TABLE, BATCHES])
def test_a_script_agrees_with_itself_and_stays_as_it_is(source):
    sections = Sections.parse(source)
    joined = reconcile(dict.fromkeys(SECTION_NAMES, "own"), {"own": sections}, sections.header)
    assert joined.sections.to_source() == source
    assert (joined.notes, joined.missing) == ((), ())


def test_names_and_uses_are_seen_through_scopes():
    code = "def f(a, *, b=C):\n    def g():\n        return a + D + len(b)\n    return [x for x in g()]"
    assert names_of(code) == ({"f"}, {"C", "D"})
    assert names_of("def f(:") == (frozenset(), frozenset())
    assert config_uses("def f(config):\n    return config.a + config.b.c + other.d") == {"a", "b"}


@pytest.mark.parametrize("code", ["(" * 100_000, "x = \0", "return 1", "def f(:", "a" * 500_000])
def test_code_that_does_not_compile_is_none(code):
    assert parse_module(code) is None


def test_a_field_that_the_config_lacks_is_taken_from_the_other_config():
    joined = mixed(data="b", train="b", evaluate="b", predict="b")
    assert joined.missing == ()
    assert joined.provenance["config"] == "a"
    assert "    epochs: int = 20\n    shuffle_size: int = 100\n" in joined.sections.bodies["config"]
    assert joined.notes == ("[config] completed with shuffle_size", "[imports] completed with tf")


def test_sections_that_share_data_follow_one_that_has_to_change():
    broken = B.replace(train=section(BATCHES, "train").replace("build_model", "build_network"))
    chosen = dict.fromkeys(SECTION_NAMES, "b")
    joined = reconcile(chosen, {"b": broken, "a": A}, "")
    taken = {name for name, origin in joined.provenance.items() if origin == "a"}
    assert taken == {"config", "data", "model", "train", "evaluate", "predict"}


def test_a_section_that_lacks_a_name_is_taken_from_where_it_is_defined():
    broken = A.replace(train=section(TABLE, "train").replace("build_model(config)", "make_network(config)"))
    joined = reconcile(dict.fromkeys(SECTION_NAMES, "new"), {"new": broken, "a": A}, "")
    assert joined.provenance["train"] == "a"
    assert joined.missing == ()
    assert joined.notes == ("[train] taken from a: [train] of new lacks make_network",)


def test_names_that_nobody_defines_are_named():
    broken = A.replace(train="def train(config):\n    return nothing(config)")
    joined = reconcile(dict.fromkeys(SECTION_NAMES, "new"), {"new": broken}, "")
    assert joined.missing == ("nothing",)


def test_imports_are_completed_dropped_and_otherwise_kept():
    imports, added = complete_imports({**A.bodies, "data": B.bodies["data"]}, [B.bodies["imports"]])
    assert added == ("tf",)
    assert (
        imports
        == "import argparse\nimport dataclasses\n\nimport keras\nimport numpy as np\nimport tensorflow as tf"
    )
    kept, added = complete_imports({**A.bodies, "imports": "import os\n" + A.bodies["imports"]}, [])
    assert "import os" not in kept
    assert complete_imports(A.bodies, []) == (A.bodies["imports"], ())
    usual, added = complete_imports({"imports": "", "data": "x = np.zeros(Path('a'))"}, [])
    assert usual == "from pathlib import Path\n\nimport numpy as np"


def test_only_absolute_imports_of_names_are_an_import_section():
    assert is_imports_only("import os\nfrom a import b as c")
    assert not is_imports_only("from a import *")
    assert not is_imports_only("from . import a")
    assert not is_imports_only("import os\nos.remove('x')")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("train", ""),
        ("train", "def train(config"),
        ("train", "def fit(config):\n    pass"),
        ("data", "def load_data(config):\n    pass"),
        ("config", "def parse_config():\n    pass"),
        ("config", section(TABLE, "config").replace("0.001", "{{learning_rate}}")),
        ("imports", "print('hello')"),
        ("predict", "def predict(config):\n    pass\nreturn 1"),
    ],
)
def test_an_unsound_section_is_seen(name, body):
    assert not is_sound(name, body)


def test_a_script_is_sound_where_all_its_sections_are():
    assert is_sound_script(TABLE)
    assert not is_sound_script(TABLE.replace("def evaluate", "def measure"))
    assert not is_sound_script(TABLE[:900])


def test_the_data_interface_tells_arrays_from_batches_and_labels():
    assert data_interface(A) != data_interface(B)
    assert data_interface(A) == data_interface(A.replace(model="x = 1"))
    one_hot = section(TABLE, "config").replace("sparse_categorical", "categorical")
    assert data_interface(A) != data_interface(A.replace(config=one_hot))


def test_scripts_are_alike_where_they_read_nearly_the_same_data():
    assert are_alike(A, A.replace(data=section(TABLE, "data").replace("Write rows.", "Write all rows.")))
    other = "def load_data(config):\n    return read(config.data_dir)"
    assert not are_alike(A, A.replace(data=other))
    assert not are_alike(A, B)


def test_a_start_that_cannot_parse_any_more_is_seen():
    assert is_broken_start("def f(x:\n    return x\n\n\ndef g():\n")
    assert is_broken_start("x = (1,\n\n\nimport os\n")
    assert not is_broken_start("def f(x):\n    return x\n\n\ndef g(:\n")
    for source in (TABLE, BATCHES):
        lines = source.split("\n")
        assert not any(is_broken_start("\n".join(lines[:end])) for end in range(len(lines)))


def test_a_notebook_s_statements_are_cut_by_what_they_call():
    cut = cut_source(NOTEBOOK)
    assert "np.loadtxt" in cut.bodies["data"]
    assert "Sequential" in cut.bodies["model"] and ".compile(" in cut.bodies["model"]
    assert ".fit(" in cut.bodies["train"]
    assert ".evaluate(" in cut.bodies["evaluate"] and ".predict(" in cut.bodies["predict"]
