"""A team's policy: which models, licences, pools and runs are allowed here.

A policy is a TOML file. Every file that is in force is checked on its own, so that one can narrow what
another allows, and never widen it. A key that is left out restricts nothing; a key that nobody knows is an
error, since a misspelt rule would protect nobody. A file that cannot be read refuses everything.

    [models]
    sha256 = ["..."]                       # of a GGUF; for a planner, what `models info` shows
    licences = ["Apache-2.0", "MIT"]       # SPDX; `BSD-*` and "unknown" can be named, too
    [samples]
    licences = ["Apache-2.0", "MIT"]
    [pools]
    allowed = ["bundled", "team", "/srv/samples"]
    [code]
    run = "sandbox"                        # or "never"
    unsafe_run = false
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dlcodegen_local.errors import ConfigError

UNKNOWN = "unknown"
NOT_STATED = "not stated"
_MAX_BYTES = 1_000_000
_KEYS = {
    "models": ("sha256", "licences"),
    "samples": ("licences",),
    "pools": ("allowed",),
    "code": ("run", "unsafe_run"),
}
_SHA256 = re.compile("[0-9a-fA-F]{64}")
_ASK = "ask who keeps the policy"

Names = tuple[str, ...] | None


@dataclass(frozen=True)
class Policy:
    """Hold the rules of one file; None leaves a matter open."""

    path: Path
    models: Names = None
    model_licences: Names = None
    sample_licences: Names = None
    pools: Names = None
    run: str | None = None
    unsafe_run: bool | None = None


def read_policies(paths: Iterable[Path]) -> tuple[Policy, ...]:
    """Read every policy in force.

    Raises:
        ConfigError: one cannot be read, has an unknown key, or a value of a wrong kind.
    """
    return tuple(read_policy(path) for path in paths)


def read_policy(path: Path) -> Policy:
    """Read one policy file; see `read_policies`."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError(f"policy {path}: larger than {_MAX_BYTES} bytes", hint=_ASK)
        tables = tomllib.loads(content.decode("utf-8"))
    except OSError as exc:
        raise ConfigError(f"policy {path} cannot be read: {exc.strerror}", hint=_ASK) from exc
    except (ValueError, RecursionError) as exc:  # what is no UTF-8 or no TOML is a ValueError
        raise ConfigError(f"policy {path} is not readable as TOML: {exc}", hint=_ASK) from exc
    _refuse_unknown(path, tables)
    reader = _Reader(path, tables)
    run, unsafe = reader.value("code", "run", str), reader.value("code", "unsafe_run", bool)
    if run not in (None, "sandbox", "never"):
        raise reader.wrong("code", "run", '"sandbox" or "never"')
    if run is not None and unsafe is None:
        unsafe = False
    if run == "never" and unsafe:
        raise reader.wrong("code", "unsafe_run", 'false beside run = "never"')
    return Policy(
        path,
        models=reader.names("models", "sha256", _is_sha256),
        model_licences=reader.names("models", "licences"),
        sample_licences=reader.names("samples", "licences"),
        pools=reader.names("pools", "allowed"),
        run=run,
        unsafe_run=unsafe,
    )


def check_model(policies: Sequence[Policy], name: str, sha256: str, licences: Sequence[str]) -> None:
    """Refuse a model; `licences` are all that it and its owner state, "" for none.

    Raises:
        ConfigError: names the file and the rule.
    """
    for policy in policies:
        if policy.models is not None and sha256 not in policy.models:
            raise _refused(policy, f"{name} (sha256 {sha256}) is not allowed", "[models] sha256")
        for licence in licences or ("",):
            if not _is_allowed(licence, policy.model_licences):
                raise _refused(policy, f"{name} ({_shown(licence)}) is not allowed", "[models] licences")


def has_licence_rule(policies: Sequence[Policy]) -> bool:
    """Tell whether the licence of a model matters."""
    return any(policy.model_licences is not None for policy in policies)


def check_pool(policies: Sequence[Policy], name: str, folder: Path) -> None:
    """Refuse a pool by its name or its folder.

    Raises:
        ConfigError: names the file and the rule.
    """
    place = folder.resolve()
    for policy in policies:
        if policy.pools is None or (name in ("bundled", "team") and name in policy.pools):
            continue
        if not any(entry.startswith("/") and Path(entry).resolve() == place for entry in policy.pools):
            raise _refused(policy, f"the pool {name} is not allowed", "[pools] allowed")


def check_samples(policies: Sequence[Policy], pool: str, licences: Callable[[], Iterable[str]]) -> None:
    """Refuse a pool that holds a sample of another licence; `licences` is asked where a rule exists.

    Raises:
        ConfigError: names the licence, the file and the rule.
    """
    if not any(policy.sample_licences is not None for policy in policies):
        return
    found = sorted(set(licences()))
    for policy in policies:
        for licence in found:
            if not _is_allowed(licence, policy.sample_licences):
                raise _refused(
                    policy,
                    f"the pool {pool} holds samples that are not allowed ({_shown(licence)})",
                    "[samples] licences",
                    f"leave them out: dlcodegen pool add --deny-license '{licence or UNKNOWN}'",
                )


def check_run(policies: Sequence[Policy], *, unsafe: bool = False) -> None:
    """Refuse to run generated code; `unsafe` asks whether it may run outside of a sandbox.

    Raises:
        ConfigError: names the file and the rule.
    """
    for policy in policies:
        if policy.run == "never":
            raise _refused(
                policy, "generated code may not be run here", '[code] run = "never"', "generate with --no-run"
            )
        if unsafe and policy.unsafe_run is False:
            raise _refused(policy, "--unsafe-run is not allowed here", "[code] unsafe_run", "leave it out")


def describe(policies: Sequence[Policy]) -> str:
    """Say in one line what is in force."""
    return "; ".join(_described(policy) for policy in policies) or "none: everything is allowed"


def _described(policy: Policy) -> str:
    rules = [
        f"{len(names)} {what}"
        for names, what in ((policy.models, "models by sha256"), (policy.pools, "pools"))
        if names is not None
    ]
    for names, what in ((policy.model_licences, "models"), (policy.sample_licences, "samples")):
        if names is not None:
            rules.append(f"{what} under {', '.join(names) or 'no licence'}")
    if policy.run is not None:
        rules.append(f"generated code runs: {'never' if policy.run == 'never' else 'in the sandbox'}")
    if policy.unsafe_run is not None:
        rules.append(f"--unsafe-run {'allowed' if policy.unsafe_run else 'not allowed'}")
    return f"{policy.path} allows {', '.join(rules) or 'everything'}"


def _is_allowed(licence: str, allowed: Names) -> bool:
    """Tell whether one choice of an expression is allowed in all its parts; in brackets, all its choices."""
    if allowed is None:
        return True
    is_nested = "(" in licence
    choices = licence.replace("(", "").replace(")", "").split(" OR ")
    are_allowed = (all(_is_named(part, allowed) for part in choice.split(" AND ")) for choice in choices)
    return all(are_allowed) if is_nested else any(are_allowed)


def _is_named(part: str, allowed: Sequence[str]) -> bool:
    """Tell whether a licence is named; an exception to it (`WITH`) only adds rights."""
    names = (part.strip() or UNKNOWN, part.partition(" WITH ")[0].strip() or UNKNOWN)
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for name in names for pattern in allowed)


def _shown(licence: str) -> str:
    return f"licence {licence}" if licence else "its licence is not stated"


def _refused(policy: Policy, what: str, rule: str, hint: str = _ASK) -> ConfigError:
    return ConfigError(f"{what} by {rule} of the policy {policy.path}", hint=hint)


def _refuse_unknown(path: Path, tables: dict[str, Any]) -> None:
    unknown = sorted(set(tables) - set(_KEYS))
    for name in _KEYS:
        table = tables.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"policy {path}: [{name}] must be a table", hint=_ASK)
        unknown += [f"[{name}] {key}" for key in sorted(set(table) - set(_KEYS[name]))]
    if unknown:
        known = "; ".join(f"[{name}] {', '.join(keys)}" for name, keys in _KEYS.items())
        raise ConfigError(f"policy {path}: unknown key: {', '.join(unknown)}", hint=f"known are {known}")


class _Reader:
    """Take checked values out of the tables of one file."""

    def __init__(self, path: Path, tables: dict[str, Any]) -> None:
        self._path = path
        self._tables = tables

    def value(self, table: str, key: str, kind: type) -> Any:
        found = self._tables.get(table, {}).get(key)
        if found is not None and not isinstance(found, kind):
            raise self.wrong(table, key, "true or false" if kind is bool else "a text")
        return found

    def names(self, table: str, key: str, is_fit: Callable[[str], bool] = bool) -> Names:
        found = self.value(table, key, list)
        if found is None:
            return None
        if not all(isinstance(name, str) and is_fit(name) for name in found):
            raise self.wrong(
                table, key, "a list of texts" if is_fit is bool else "a list of 64 hex digits each"
            )
        return tuple(name.lower() for name in found) if is_fit is _is_sha256 else tuple(found)

    def wrong(self, table: str, key: str, wanted: str) -> ConfigError:
        return ConfigError(f"policy {self._path}: [{table}] {key} must be {wanted}", hint=_ASK)


def _is_sha256(name: str) -> bool:
    return _SHA256.fullmatch(name) is not None
