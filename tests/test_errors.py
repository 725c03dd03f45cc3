from dlcodegen_local import errors


def test_exit_codes_are_the_documented_ones():
    codes = {
        "ConfigError": 2,
        "ArtifactError": 3,
        "PlanningError": 4,
        "GenerationError": 5,
        "SandboxError": 6,
    }
    assert {name: getattr(errors, name).exit_code for name in codes} == codes
    for name in codes:
        assert issubclass(getattr(errors, name), errors.DlcodegenError)


def test_message_and_hint_are_kept():
    error = errors.ConfigError("what failed", hint="what to do")
    assert (str(error), error.message, error.hint) == ("what failed", "what failed", "what to do")
