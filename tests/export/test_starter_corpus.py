"""What goes into the starter's pretraining text, and what stays out."""

import json
from pathlib import Path

import pytest

from export.starter_corpus import (
    clean,
    leak_shingles,
    notebook_source,
    read_corpus,
    read_sources,
    shingles,
)


def module(seed: int) -> str:
    """Return a module of some length with names of its own."""
    lines = [
        f"def step_{seed}_{i}(value_{i}, rate={i}):\n    return value_{i} * {seed} + {i}\n" for i in range(20)
    ]
    return "\n".join(lines)


def write_sources(folder: Path, licence: str = "MIT") -> Path:
    code = folder / "code"
    code.mkdir()
    for seed in range(4):
        (code / f"module_{seed}.py").write_text(f"# Copyright\n# Licence\n\n{module(seed)}")
    (code / "copy.py").write_text(module(0))
    (code / "broken.py").write_text("def f(:\n" * 200)
    entry = {"name": "code", "version": "1", "licence": licence, "path": "code", "repeat": 2}
    (folder / "sources.json").write_text(json.dumps({"sources": [entry]}))
    return folder / "sources.json"


def test_counts_and_repeats(tmp_path: Path) -> None:
    corpus = read_corpus(read_sources(write_sources(tmp_path)), set(), validation_share=0.0)
    (count,) = corpus.counts
    assert (count.files, count.unparsable, count.overlapping) == (4, 1, 0)
    assert len(corpus.training) == 8
    assert all("Copyright" not in document for document in corpus.training)


def test_drops_a_file_that_overlaps_an_evaluation_reference(tmp_path: Path) -> None:
    sources = read_sources(write_sources(tmp_path))
    leak = tmp_path / "tasks.jsonl"
    leak.write_text(json.dumps({"id": "a", "reference": "import os\n" + module(2)}) + '\n{"id": "b"}\n')
    corpus = read_corpus(sources, leak_shingles([leak]), validation_share=0.0)
    assert corpus.counts[0].overlapping == 1
    assert not any("step_2_0" in document for document in corpus.training)
    assert any("step_1_0" in document for document in corpus.training)


def test_a_short_passage_in_common_is_no_overlap() -> None:
    shared = " ".join(f"word{i}" for i in range(53))
    assert len(shingles("a b " + shared) & shingles(shared + " c d")) == 4


def test_refuses_a_licence_that_is_not_permissive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"GPL-3\.0"):
        read_sources(write_sources(tmp_path, "GPL-3.0"))


def test_same_folders_same_text(tmp_path: Path) -> None:
    sources = read_sources(write_sources(tmp_path))
    assert read_corpus(sources, set()).record() == read_corpus(sources, set()).record()


def test_validation_documents_are_not_trained_on(tmp_path: Path) -> None:
    corpus = read_corpus(read_sources(write_sources(tmp_path)), set(), validation_share=0.5)
    assert not set(corpus.training) & set(corpus.validation)


def test_notebooks_give_their_code_without_magics() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# title"]},
        {"cell_type": "code", "source": ["!pip install x\n", "import os\n", "%time print(1)"]},
        {"cell_type": "code", "source": ["%%bash\n", "ls"]},
    ]
    assert notebook_source(json.dumps({"cells": cells})).split() == ["import", "os"]


def test_docstrings_keep_their_first_line() -> None:
    source = 'def f():\n    """Do it.\n\n    At length, with "quotes".\n    """\n    return "a\\nb"\n'
    assert clean(source, ".py") == 'def f():\n    """Do it."""\n    return "a\\nb"\n'
