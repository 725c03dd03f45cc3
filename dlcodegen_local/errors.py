"""The exception tree: what a user can mend. Imports nothing.

    DlcodegenError
    ├── ConfigError       exit code 2   usage, configuration, an input that is refused
    ├── ArtifactError     exit code 3   a model, index or bundle is missing or damaged
    ├── PlanningError     exit code 4   no plan could be made
    ├── GenerationError   exit code 5   no code could be made
    └── SandboxError      exit code 6   the sandbox cannot start

A programmer's mistake is a built-in exception with its traceback. A project that fails its
checks, or an empty list of hits, is a value and not an error.
"""


class DlcodegenError(Exception):
    """Say what failed (`message`) and what to do about it (`hint`, may be empty)."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(DlcodegenError):
    """Refuse a usage, a configuration or an input."""

    exit_code = 2


class ArtifactError(DlcodegenError):
    """Report a model, index or bundle that is missing or damaged."""

    exit_code = 3


class PlanningError(DlcodegenError):
    """Report that no plan could be made."""

    exit_code = 4


class GenerationError(DlcodegenError):
    """Report that no code could be made."""

    exit_code = 5


class ModelEndedError(GenerationError):
    """The code model's process ended over a request, twice: another attempt may come out otherwise."""


class SandboxError(DlcodegenError):
    """Report that the sandbox cannot start."""

    exit_code = 6
