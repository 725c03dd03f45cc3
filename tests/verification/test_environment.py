"""Questions to an environment, and what is remembered of the answers."""

import json
import sys
from pathlib import Path

from dlcodegen_local.verification.environment import Target

HERE = Path(sys.executable)


def test_without_a_python_the_known_packages_count() -> None:
    assert Target().missing_modules(["json", "keras", "numpy", "pandas"]) == {"pandas"}
    assert Target().missing_attributes(["json.nothing"]) == {}


def test_modules_and_attributes_of_an_environment() -> None:
    target = Target(HERE)
    assert target.missing_modules(["json", "pytest", "no_such_module"]) == {"no_such_module"}
    asked = ["json.dumps", "json.dump_all", "os.path.join", "xml.etree.ElementTree", "no_such_module.x"]
    assert target.missing_attributes(asked).keys() == {"json.dump_all"}


def test_wrong_case_is_named_first() -> None:
    found = Target(HERE).missing_attributes(["collections.ordereddict"])
    assert found == {"collections.ordereddict": "collections has no 'ordereddict'; it has 'OrderedDict'"}


def test_a_module_that_does_not_import_is_no_finding() -> None:
    assert Target(HERE).missing_attributes(["idlelib.nothing", "antigravity.nothing"]) == {}


def test_answers_are_kept_in_a_file(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "attributes.json"
    assert Target(HERE, cache_file=cache).missing_attributes(["json.nothing"])
    kept = json.loads(cache.read_text())
    kept["attributes"]["json.dumps"] = "from the cache"
    cache.write_text(json.dumps(kept))
    assert Target(HERE, cache_file=cache).missing_attributes(["json.dumps"]) == {
        "json.dumps": "from the cache"
    }


def test_answers_for_other_versions_and_damaged_files_are_ignored(tmp_path: Path) -> None:
    cache = tmp_path / "attributes.json"
    for text in (
        '{"versions": {}, "attributes": {"json.dumps": "old"}, "listings": {}}',
        "[]",
        "{",
        '{"versions": 1}',
    ):
        cache.write_text(text)
        assert Target(HERE, cache_file=cache).missing_attributes(["json.dumps"]) == {}


def test_python_that_does_not_answer_finds_nothing_it_cannot_know(tmp_path: Path) -> None:
    target = Target(tmp_path / "python")
    assert target.missing_modules(["json", "no_such_module"]) == {"no_such_module"}
    assert target.missing_attributes(["json.nothing"]) == {}


def test_one_question_serves_for_other_names_of_a_framework(tmp_path: Path) -> None:
    """The listing answers for names never asked before: here a Python that is gone cannot be asked again."""
    cache = tmp_path / "attributes.json"
    Target(HERE, cache_file=cache).missing_attributes(["numpy.ones"])
    kept = json.loads(cache.read_text())
    kept["listings"]["numpy"].append("never_heard_of")
    cache.write_text(json.dumps(kept))
    found = Target(HERE, cache_file=cache).missing_attributes(
        ["numpy.never_heard_of", "numpy.linalg.svd", "numpy.linalg.SVD", "numpy.zeross"]
    )
    assert found == {
        "numpy.linalg.SVD": "numpy.linalg has no 'SVD'; it has 'svd'",
        "numpy.zeross": "numpy has no 'zeross'; it has 'zeros'",
    }
