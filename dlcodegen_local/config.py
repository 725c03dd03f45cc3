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

OFFLINE_ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "PIP_NO_INDEX": "1",
}
# Idle threads of llama.cpp that spin take the time of those that work on a busy machine.
THREADING_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
MAX_REQUIREMENT_BYTES = 20_000


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
    """Set verification: a draft under `min_compliance` does not stand for its plan."""

    run: bool = True
    python: Path = field(default_factory=lambda: Path(sys.executable))
    sandbox: str | None = None
    min_compliance: float = 0.8
    timeout_s: float = 300.0


def prepare_environment() -> None:
    """Set what libraries read when they load; must run before any of them is imported.

    Those that phone home are told not to, whatever the user's environment says.
    """
    os.environ.update(OFFLINE_ENVIRONMENT)
    for name, value in THREADING_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


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


def terminal_editor() -> str:
    """Return the user's editor command: `$VISUAL`, `$EDITOR`, else vi."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
