import json
import shutil
from pathlib import Path

import pytest

from dlcodegen_local.errors import ArtifactError
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.planner.planner import Planner
from export.planner_manifest import write_manifest

TINY = Path(__file__).parent / "fixtures" / "tiny"


@pytest.fixture(scope="module")
def planner():
    return Planner(TINY, threads=1)


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "planner"))


REQUIREMENTS = [
    "Tell cats from dogs.",
    "",
    " \n\t ",
    "🙂" * 40,
    "<|end|><|plan|><|layer|>",
    "\udcff broken \x00 text \u202e",
    "w" * 100_000,
    "Ein Netz, das Äpfel von Birnen unterscheidet",
    '{"Task Category": "x"}' * 50,
]


@pytest.mark.parametrize("requirement", REQUIREMENTS)
@pytest.mark.parametrize("num_beams", [1, 3])
def test_any_text_gives_a_valid_plan(planner, requirement, num_beams):
    result = planner.plan(requirement, dataset=requirement[:50], num_beams=num_beams)
    assert Plan.from_dict(json.loads(result.plan.to_json())) == result.plan
    assert result.steps > 0 and result.seconds > 0 and result.log_prob <= 0
    assert all(0 <= value <= 1 for value in result.confidence.values())
    assert {"category", "optimizer", "epochs", "input", "layers"} <= set(result.confidence)


def test_a_long_requirement_is_cut_with_a_note(planner):
    assert any("longer than" in note for note in planner.plan("x" * 100_000).notes)
    assert planner.plan("short").notes == ()


def test_the_same_text_gives_the_same_plan(planner):
    first, second = (planner.plan("Count cars on photos.") for _ in range(2))
    assert first.plan == second.plan and first.log_prob == second.log_prob
    assert first.alternatives == second.alternatives and first.plan not in first.alternatives


def test_stated_facts_stand_in_the_plan(planner):
    result = planner.plan("Classify flowers with the Adagrad optimizer, 37 epochs, batch size 16.")
    assert (result.plan.optimizer, result.plan.epochs, result.plan.batch_size) == ("adagrad", 37, 16)
    assert result.confidence["epochs"] == 1.0
    assert "epochs 37 is stated in the requirement" in result.notes


def test_a_layer_style_can_be_asked_for(planner):
    assert planner.plan("Classify flowers.", layer_style="outline").confidence["style"] == 1.0
    with pytest.raises(ValueError, match="layer_style"):
        planner.plan("Classify flowers.", layer_style="poem")


def test_progress_ends_at_one(planner):
    seen = []
    planner.plan("Classify flowers.", on_progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 2


@pytest.mark.parametrize(
    "name", ["manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json", "planner.json"]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        Planner(folder)


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "tokenizer.json", "planner.json"])
def test_a_flipped_bit_is_found(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"damaged"):
        Planner(folder)


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data"])
def test_a_link_is_refused(folder, name):
    (folder / name).rename(folder / "elsewhere")
    (folder / name).symlink_to(folder / "elsewhere")
    with pytest.raises(ArtifactError, match="plain file"):
        Planner(folder)


def changed_settings(folder, change):
    settings = json.loads((folder / "planner.json").read_text())
    change(settings)
    (folder / "planner.json").write_text(json.dumps(settings))
    write_manifest(folder, "changed", "Apache-2.0")


@pytest.mark.parametrize(
    "change",
    [
        lambda settings: settings.pop("vocabulary"),
        lambda settings: settings.pop("model"),
        lambda settings: settings["model"].update(n_layer=3),
        lambda settings: settings["model"].update(n_head=True),
        lambda settings: settings["model"].update(vocab_size=99),
        lambda settings: settings["model"].update(n_positions=400),
        lambda settings: settings["vocabulary"].update(vocab_size=1),
        lambda settings: settings["vocabulary"]["fields"][1].update(values=["Cooking"]),
        lambda settings: settings["vocabulary"]["fields"][5].update(values=["fast"]),
        lambda settings: settings["vocabulary"]["borders"].pop("end"),
        lambda settings: settings["vocabulary"]["fields"].reverse(),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, change):
    changed_settings(folder, change)
    with pytest.raises(ArtifactError):
        Planner(folder)


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08\xff\xff\xff\xff", b"[1]"])
@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "planner.json"])
def test_files_of_another_kind_are_refused(folder, name, content):
    (folder / name).write_bytes(content)
    write_manifest(folder, "changed", "Apache-2.0")
    with pytest.raises(ArtifactError):
        Planner(folder)


@pytest.mark.parametrize(
    "manifest",
    ["{}", "[]", "{", '{"kind": "planner"}', '{"kind": "planner", "files": [{"path": "model.onnx"}]}'],
)
def test_a_manifest_that_says_too_little_is_refused(folder, manifest):
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        Planner(folder)
