import pytest

from dlcodegen_local.bundle.wheels import Target, choose_wheels
from dlcodegen_local.errors import ArtifactError, ConfigError
from tests.bundle.making import PLATFORM, make_wheel, make_wheels

TARGET = Target(PLATFORM, "3.11")


def test_what_is_required_is_chosen_and_nothing_else(tmp_path):
    make_wheels(tmp_path)
    make_wheel(tmp_path, "unrelated")
    plain = choose_wheels(tmp_path, TARGET, ())
    assert set(plain.wheels) == {"dlcodegen", "llama-cpp-python", "pip"}
    assert "unrelated-1.0-py3-none-any.whl" in plain.unused
    assert choose_wheels(tmp_path, TARGET, ("keras",)).requires["dlcodegen"] == ("llama-cpp-python", "train")


def test_a_lacking_wheel_is_named_with_who_needs_it(tmp_path):
    make_wheels(tmp_path)
    make_wheel(tmp_path, "train", "2.0", metadata="Requires-Dist: deep>=3\n")
    make_wheel(tmp_path, "deep", "2.9")
    with pytest.raises(ArtifactError, match=r"lacks deep>=3 for train \(has deep-2.9-py3-none-any.whl\)"):
        choose_wheels(tmp_path, TARGET, ("keras",))


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp311-cp311-manylinux_2_5_x86_64", True),
        ("cp39-abi3-manylinux1_x86_64", True),
        ("cp311-cp311-manylinux_2_17_x86_64", False),
        ("cp312-cp312-manylinux_2_5_x86_64", False),
        ("cp311-cp311-win_amd64", False),
        ("cp311-cp311-manylinux_2_5_aarch64", False),
    ],
)
def test_wheels_must_fit_platform_and_python(tmp_path, tag, fits):
    make_wheels(tmp_path)
    next(tmp_path.glob("train-*")).unlink()
    make_wheel(tmp_path, "train", tag=tag)
    if fits:
        assert choose_wheels(tmp_path, TARGET, ("keras",)).wheels["train"].path.name == f"train-1.0-{tag}.whl"
    else:
        with pytest.raises(ArtifactError, match="lacks train"):
            choose_wheels(tmp_path, TARGET, ("keras",))


def test_markers_are_those_of_the_target(tmp_path):
    make_wheels(tmp_path)
    metadata = 'Requires-Dist: old; python_version < "3.12"\nRequires-Dist: never; sys_platform == "win32"\n'
    make_wheel(tmp_path, "train", "2.0", metadata=metadata)
    make_wheel(tmp_path, "old")
    assert "old" in choose_wheels(tmp_path, TARGET, ("keras",)).wheels
    assert "old" not in choose_wheels(tmp_path, Target(PLATFORM, "3.12"), ("keras",)).wheels


def test_a_wheel_that_refuses_the_python_is_not_taken(tmp_path):
    make_wheels(tmp_path)
    make_wheel(tmp_path, "train", "2.0", metadata="Requires-Python: >=3.12\n")
    assert str(choose_wheels(tmp_path, TARGET, ("keras",)).wheels["train"].version) == "1.0"


def test_an_engine_for_one_processor_is_refused(tmp_path):
    make_wheels(tmp_path)
    files = {"llama_cpp/lib/libggml-cpu.so": "native"}
    make_wheel(tmp_path, "llama-cpp-python", "0.3.37", files=files)
    with pytest.raises(ArtifactError, match="built for one processor alone"):
        choose_wheels(tmp_path, TARGET, ())


@pytest.mark.parametrize(
    "target", [Target("windows", "3.11"), Target(PLATFORM, "three"), Target("any", "3.11")]
)
def test_a_target_that_is_none_is_refused(tmp_path, target):
    with pytest.raises(ConfigError):
        choose_wheels(tmp_path, target, ())


def test_what_is_no_wheel_is_named(tmp_path):
    make_wheels(tmp_path)
    (tmp_path / "train-9.0-py3-none-any.whl").write_bytes(b"no zip")
    with pytest.raises(ArtifactError, match=r"train-9.0-py3-none-any.whl is no wheel"):
        choose_wheels(tmp_path, TARGET, ("keras",))
