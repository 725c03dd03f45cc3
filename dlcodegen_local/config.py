"""Settings: frozen dataclasses, one an engine; the environment and the TOML file, read here alone.

Precedence: flag, then `DLCODEGEN_*` variable, then `dlcodegen.toml`, then the default below. The
file has one table a command (`[generate]`, `[plan]`, ...); its keys are the command's long flags.
"""

import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlcodegen_local.errors import ConfigError

# Each is read by a library when it loads: those of our own first, then those of trackers and data
# libraries that a team's environment may bring into a smoke run, then the C library's name look-up.
OFFLINE_ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "CLEARML_OFFLINE_MODE": "1",
    "NEPTUNE_MODE": "offline",
    "RAY_USAGE_STATS_ENABLED": "0",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "ANONYMIZED_TELEMETRY": "False",
    "NO_GCE_CHECK": "true",
    "OTEL_SDK_DISABLED": "true",
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "SYSTEMD_NSS_RESOLVE_NETWORK": "0",
}
# Idle threads of llama.cpp that spin take the time of those that work on a busy machine.
THREADING_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
MACHINE_POLICY = Path("/etc/dlcodegen/policy.toml")
MAX_REQUIREMENT_BYTES = 20_000
# All that a model's process gets of the environment: how threads of llama.cpp work.
_MODEL_VARIABLES = ("GGML_", "GOMP_", "LD_LIBRARY_PATH", "OMP_")


@dataclass(frozen=True)
class Paths:
    """Name the folders the tool reads and writes; only `state`, `cache` and `data` are ever written."""

    config: Path
    state: Path
    cache: Path
    data: Path
    models: Path
    index: Path


@dataclass(frozen=True)
class PlannerConfig:
    """Set the planner: 3 beams as in the paper; `threads` None leaves the choice to the engine."""

    folder: Path
    num_beams: int = 3
    threads: int | None = None


@dataclass(frozen=True)
class PoolPlace:
    """Name a pool and the folder where it lies: `bundled`, `team`, or a folder as it was given."""

    name: str
    folder: Path


@dataclass(frozen=True)
class RetrievalConfig:
    """Set retrieval: `k` samples from `pools`, of which the earlier win ties."""

    pools: tuple[PoolPlace, ...]
    cache: Path
    k: int = 2


@dataclass(frozen=True)
class GenerationConfig:
    """Set the code model. `max_repairs` bounds how often a finding goes back to it.

    `effort` `fast` takes the likeliest answers only; `best` tries several temperatures and takes the version
    that the verifier finds best.
    """

    model: Path
    merge: Literal["auto", "free", "segments"] = "auto"
    temperature: float = 0.0
    seed: int = 0
    n_ctx: int | None = None
    threads: int | None = None
    max_repairs: int = 2
    effort: Literal["fast", "normal", "best"] = "normal"


@dataclass(frozen=True)
class VerificationConfig:
    """Set verification: a draft under `min_compliance` does not stand for its plan.

    `unsafe_run` runs a project without a sandbox where this machine has none.
    """

    run: bool = True
    python: Path = field(default_factory=lambda: Path(sys.executable))
    sandbox: str | None = None
    unsafe_run: bool = False
    min_compliance: float = 0.8
    timeout_s: float = 300.0


def prepare_environment() -> None:
    """Set what libraries read when they load; must run before any of them is imported.

    Those that phone home are told not to, whatever the user's environment says.
    """
    os.environ.update(OFFLINE_ENVIRONMENT)
    for name, value in THREADING_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def model_environment() -> dict[str, str]:
    """Return the environment of the process that a code model runs in."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_MODEL_VARIABLES)}
    # numpy's threads would stand outside a filter that the process loads later; nothing there needs them.
    single = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "GGML_NO_BACKTRACE": "1"}
    return {**kept, **OFFLINE_ENVIRONMENT, **single, "PYTHONDONTWRITEBYTECODE": "1"}


def find_paths() -> Paths:
    """Return the XDG folders, and where the bundled models and samples lie.

    The bundled artefacts are beside the package in a clone, else under the installation's `share`.
    """
    home = Path.home()

    def xdg(variable: str, default: str) -> Path:
        value = os.environ.get(variable, "")
        return (Path(value) if value.startswith("/") else home / default) / "dlcodegen"

    root = Path(__file__).resolve().parent.parent
    is_clone = (root / "models" / "planner" / "manifest.json").is_file()
    share = root if is_clone else Path(sys.prefix) / "share" / "dlcodegen"
    return Paths(
        config=xdg("XDG_CONFIG_HOME", ".config"),
        state=xdg("XDG_STATE_HOME", ".local/state"),
        cache=xdg("XDG_CACHE_HOME", ".cache"),
        data=xdg("XDG_DATA_HOME", ".local/share"),
        models=share / "models",
        index=share / "index",
    )


def find_policy_files(paths: Paths) -> tuple[Path, ...]:
    """Return the policies in force: the machine's, the user's own, and the one of `DLCODEGEN_POLICY`.

    Each can only narrow what the others allow, whoever wrote it. One that is named and missing is
    returned, too: reading it is an error, not a freedom.
    """
    named = os.environ.get("DLCODEGEN_POLICY", "")
    found = [path for path in (MACHINE_POLICY, paths.config / "policy.toml") if _may_exist(path)]
    return (*found, *((Path(named),) if named else ()))


def _may_exist(path: Path) -> bool:
    """Tell whether a file is there, or is kept from us."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def find_pools(names: Sequence[str], paths: Paths) -> tuple[PoolPlace, ...]:
    """Return the pools of these names (`bundled`, `team`, or folders), the bundled one last.

    Without names: the team's where there is one, and the bundled one. The team's is the user's own, else the
    one that a bundle has brought.
    """
    brought = paths.models.parent / "pool"
    own = paths.data / "pool"
    has_own = (own / "pool.sqlite").is_file() or not (brought / "pool.sqlite").is_file()
    known = {"team": own if has_own else brought, "bundled": paths.index / "samples"}
    if not names:
        has_team = (known["team"] / "pool.sqlite").is_file()
        names = ("team", "bundled") if has_team else ("bundled",)
    chosen = sorted(dict.fromkeys(names), key=lambda name: name == "bundled")
    return tuple(PoolPlace(name, known.get(name, Path(name))) for name in chosen)


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """Read `dlcodegen.toml`: tables of keys; an absent file is an empty one.

    Raises:
        ConfigError: the file is not TOML, or a key stands outside a table.
    """
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path} is not readable as TOML: {exc}", hint="correct the file") from exc
    if stray := [key for key, value in settings.items() if not isinstance(value, dict)]:
        raise ConfigError(
            f"{path}: unknown key: {', '.join(sorted(stray))}", hint="put it under its command's table"
        )
    return settings


def program_path() -> str:
    """Return the folders in which programs are looked for."""
    return os.environ.get("PATH", os.defpath)


def terminal_editor() -> str:
    """Return the user's editor command: `$VISUAL`, `$EDITOR`, else vi."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
