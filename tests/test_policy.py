"""What a policy allows, and that nothing but a rule ever widens it."""

from pathlib import Path

import pytest

from dlcodegen_local import policy
from dlcodegen_local.errors import ConfigError
from dlcodegen_local.policy import Policy, read_policies, read_policy

SHA = "a" * 64


def written(tmp_path, text, name="policy.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_all_rules_are_read(tmp_path):
    text = f"""
        [models]
        sha256 = ["{SHA.upper()}"]
        licences = ["MIT"]
        [samples]
        licences = []
        [pools]
        allowed = ["team"]
        [code]
        run = "sandbox"
    """
    path = written(tmp_path, text)
    expected = Policy(path, (SHA,), ("MIT",), (), ("team",), "sandbox", unsafe_run=False)
    assert read_policy(path) == expected
    shown = policy.describe([expected])
    assert str(path) in shown and "1 models by sha256" in shown and "samples under no licence" in shown
    assert "in the sandbox" in shown and "--unsafe-run not allowed" in shown


def test_an_empty_file_restricts_nothing(tmp_path):
    found = read_policy(written(tmp_path, ""))
    assert found == Policy(found.path)
    policy.check_model([found], "m", SHA, [])
    policy.check_run([found], unsafe=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models]\nsha = []", r"unknown key: \[models\] sha"),
        ("[model]\nsha256 = []", "unknown key: model"),
        ("run = 'never'", "unknown key: run"),
        ("models = 3", r"\[models\] must be a table"),
        ("[models]\nsha256 = 'x'", r"\[models\] sha256 must be"),
        ("[models]\nsha256 = ['x']", "64 hex digits"),
        ("[models]\nlicences = [3]", r"\[models\] licences must be a list"),
        ("[models]\nlicences = ['']", r"\[models\] licences must be a list"),
        ("[code]\nrun = 'sometimes'", r"\[code\] run must be"),
        ("[code]\nrun = true", r"\[code\] run must be"),
        ("[code]\nunsafe_run = 'no'", r"\[code\] unsafe_run must be true or false"),
        ("[code]\nrun = 'never'\nunsafe_run = true", "unsafe_run must be false"),
        ("[code", "not readable as TOML"),
        ("x = " + "[" * 50_000, "not readable as TOML"),
    ],
)
def test_a_rule_that_nobody_knows_is_an_error_that_names_it(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as raised:
        read_policy(path)
    assert str(path) in raised.value.message and "\n" not in raised.value.message


def test_what_cannot_be_read_refuses_everything(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"[models]\n# \xff\n")
    for path in (tmp_path / "missing.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(ConfigError, match="policy"):
            read_policies([path])


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("mit", True),
        ("Apache-2.0 OR GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND BSD-3-Clause", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR BSD-2-Clause) AND GPL-3.0-only", False),
        ("(MIT OR BSD-2-Clause)", True),
        ("MIT WITH Some-exception", True),
        ("GPL-3.0-only WITH Some-exception", False),
        ("", False),
        ("other", False),
    ],
)
def test_licences_are_read_as_expressions(licence, allowed):
    rules = [Policy(Path("p"), model_licences=("MIT", "BSD-*"))]
    if allowed:
        policy.check_model(rules, "m", SHA, [licence])
    else:
        with pytest.raises(ConfigError, match=r"\[models\] licences of the policy p"):
            policy.check_model(rules, "m", SHA, [licence])


def test_every_stated_licence_has_to_be_allowed():
    rules = [Policy(Path("p"), model_licences=("MIT", "unknown"))]
    policy.check_model(rules, "m", SHA, [])
    with pytest.raises(ConfigError, match="licence other"):
        policy.check_model(rules, "m", SHA, ["MIT", "other"])


def test_another_policy_can_only_narrow():
    machine, own = Policy(Path("machine"), models=(SHA,)), Policy(Path("own"), models=(SHA, "b" * 64))
    policy.check_model([machine, own], "m", SHA, [])
    with pytest.raises(ConfigError, match="policy machine"):
        policy.check_model([machine, own], "m", "b" * 64, [])
    with pytest.raises(ConfigError, match="policy own"):
        policy.check_model([machine, Policy(Path("own"), models=())], "m", SHA, [])


def test_pools_are_allowed_by_name_or_by_folder(tmp_path):
    rules = [Policy(Path("p"), pools=("bundled", str(tmp_path / "samples")))]
    policy.check_pool(rules, "bundled", Path("/usr/share/x"))
    policy.check_pool(rules, "../samples", tmp_path / "work" / ".." / "samples")
    for name, folder in (("team", tmp_path / "team"), ("./bundled", tmp_path / "bundled")):
        with pytest.raises(ConfigError, match=r"\[pools\] allowed of the policy p"):
            policy.check_pool(rules, name, folder)


def test_samples_are_asked_for_their_licences_where_a_rule_exists():
    def never():
        raise AssertionError("no rule is about samples")

    policy.check_samples([Policy(Path("p"))], "team", never)
    with pytest.raises(ConfigError, match="licence is not stated") as raised:
        policy.check_samples([Policy(Path("p"), sample_licences=("MIT",))], "team", lambda: ["MIT", ""])
    assert "pool add --deny-license 'unknown'" in raised.value.hint


def test_running_is_refused_as_the_rule_says():
    sandbox = [Policy(Path("p"), run="sandbox", unsafe_run=False)]
    policy.check_run(sandbox)
    with pytest.raises(ConfigError, match="--unsafe-run"):
        policy.check_run(sandbox, unsafe=True)
    with pytest.raises(ConfigError, match="may not be run"):
        policy.check_run([Policy(Path("p"), run="never", unsafe_run=False)])
