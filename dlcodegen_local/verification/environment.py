"""Ask the environment that a project is for what it has, without importing it into ours.

Which modules exist is a look-up that imports nothing. Which attributes exist takes an import of the
framework (seconds), in one child process for all names at once, and is remembered: in memory, and
in a file where the caller gives one, under the versions it holds for.
"""

import contextlib
import difflib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcodegen_local.config import OFFLINE_ENVIRONMENT

# What a project may use when nobody said which environment it is for.
KNOWN_PACKAGES = frozenset({"PIL", "keras", "matplotlib", "numpy", "tensorflow", "torch"})
_TIMEOUT_S = 120
_NOT_RESOLVED = frozenset({"antigravity", "this", "turtle", "idlelib"})  # their import does something
_ENVIRONMENT = {
    **OFFLINE_ENVIRONMENT,
    "CUDA_VISIBLE_DEVICES": "",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_QUESTION_MODULES = """
import importlib.metadata, importlib.util, json, sys
def exists(name):
    try:
        return name in sys.builtin_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
names = json.load(sys.stdin)
versions = {name: version(name) for name in ("keras", "numpy", "tensorflow", "tensorflow-cpu", "torch")}
versions["python"] = sys.version
json.dump({"modules": {name: exists(name) for name in names}, "versions": versions}, sys.stdout)
"""
# Beside the answer it lists the public modules of the frameworks, so that one import serves for long.
# Without has_ipv6 false, urllib3, which keras imports, opens a socket when it loads.
_QUESTION_ATTRIBUTES = """
import importlib, json, os, socket, sys, types
socket.has_ipv6 = False
names = json.load(sys.stdin)
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
listings = {}
DEPTHS = {"keras": 3, "numpy": 1, "tensorflow": 2, "torch": 1}
def public(module):
    return sorted(name for name in dir(module) if not name.startswith("_"))
def root(module):
    return module.__name__.split(".")[0]
def list_modules(dotted, module, depth):
    if dotted in listings:
        return
    listings[dotted] = public(module)
    for name in listings[dotted] if depth else ():
        try:
            value = getattr(module, name)
            ours = isinstance(value, types.ModuleType) and root(value) == root(module)
        except Exception:
            continue
        if ours and name not in ("compat", "keras", "src"):
            list_modules(dotted + "." + name, value, depth - 1)
def missing(dotted):
    parts = dotted.split(".")
    value = importlib.import_module(parts[0])
    for end in range(1, len(parts)):
        try:
            value = getattr(value, parts[end])
        except AttributeError:
            try:
                value = importlib.import_module(".".join(parts[: end + 1]))
            except Exception:
                return [".".join(parts[:end]), parts[end], public(value)]
    return None
found = {}
for name in names:
    try:
        found[name] = missing(name)
    except Exception:
        found[name] = None
tops = {name.split(".")[0] for name in names}
for name in sorted((tops | ({"keras"} if "tensorflow" in tops else set())) & DEPTHS.keys()):
    try:
        module = importlib.import_module(name)
        list_modules(name, module, DEPTHS[name])
        if any(asked.startswith("tensorflow.keras.") for asked in names):
            list_modules("tensorflow.keras", sys.modules["tensorflow"].keras, DEPTHS["keras"])
    except Exception:
        continue
json.dump({"found": found, "listings": listings}, answer)
answer.flush()
os._exit(0)
"""
_LISTED_IN_FULL = ("keras.", "numpy.", "tensorflow.keras.")  # what these do not list is not there


@dataclass
class Target:
    """The environment that a project is for, by its interpreter.

    `python` is None for an environment that has the standard library and KNOWN_PACKAGES and cannot
    be asked. With `resolve` false no framework is imported, and attributes count as present.
    `declared` are modules that the project names as its requirements.
    """

    python: Path | None = None
    resolve: bool = True
    cache_file: Path | None = None
    declared: frozenset[str] = frozenset()
    _modules: dict[str, bool] = field(default_factory=dict, repr=False)
    _attributes: dict[str, str] = field(default_factory=dict, repr=False)
    _listings: dict[str, list[str]] = field(default_factory=dict, repr=False)
    _versions: dict[str, str] = field(default_factory=dict, repr=False)

    def missing_modules(self, names: Iterable[str]) -> set[str]:
        """Return those top-level modules that the environment lacks."""
        wanted = set(names) - self.declared
        if self.python is None:
            return {n for n in wanted if n not in sys.stdlib_module_names and n not in KNOWN_PACKAGES}
        if unknown := sorted(wanted - self._modules.keys()):
            answer = self._ask(_QUESTION_MODULES, unknown)
            if answer is None:
                return {n for n in wanted if n not in sys.stdlib_module_names and n not in KNOWN_PACKAGES}
            self._modules.update(answer["modules"])
            self._versions = answer["versions"]
        return {name for name in wanted if not self._modules[name]}

    def missing_attributes(self, dotted_names: Iterable[str]) -> dict[str, str]:
        """Return, for each dotted name that does not exist, what is wrong with it."""
        wanted = {n for n in dotted_names if "." in n and n.split(".")[0] not in _NOT_RESOLVED}
        if self.python is None or not self.resolve or not wanted:
            return {}
        gone = self.missing_modules({name.split(".")[0] for name in wanted})
        wanted = {name for name in wanted if name.split(".")[0] not in gone | self.declared}
        self._load_cache()
        known = {name: reason for name in wanted if (reason := self._known(name)) is not None}
        if unknown := sorted(wanted - known.keys()):
            answer = self._ask(_QUESTION_ATTRIBUTES, unknown)
            if answer is not None:
                self._attributes.update({n: _explain(*f) if f else "" for n, f in answer["found"].items()})
                self._listings.update(answer["listings"])
                self._save_cache()
        return {name: reason for name in sorted(wanted) if (reason := self._known(name))}

    def _known(self, dotted: str) -> str | None:
        """Return "" for a name that exists, what is wrong with one that does not, None for an unknown one."""
        if dotted in self._attributes:
            return self._attributes[dotted]
        parts = dotted.split(".")
        for end in range(1, len(parts)):
            owner = ".".join(parts[:end])
            if owner not in self._listings:
                return None
            if parts[end] not in self._listings[owner]:
                full = dotted.startswith(_LISTED_IN_FULL) and not parts[end].startswith("_")
                return _explain(owner, parts[end], self._listings[owner]) if full else None
        return ""

    def _ask(self, question: str, names: list[str]) -> dict[str, Any] | None:
        """Return the child's answer, None where it gives none: a check that cannot be made finds nothing."""
        try:
            child = subprocess.run(
                [os.fspath(self.python or ""), "-I", "-c", question],
                input=json.dumps(names).encode(),
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=True,
                env=_ENVIRONMENT,
            )
            answer = json.loads(child.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return answer if isinstance(answer, dict) else None

    def _load_cache(self) -> None:
        if self.cache_file is None or self._attributes:
            return
        with contextlib.suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
            cached = json.loads(self.cache_file.read_bytes())
            if cached["versions"] == self._versions:
                listings = {
                    str(owner): [str(name) for name in names] for owner, names in cached["listings"].items()
                }
                self._attributes = {str(name): str(reason) for name, reason in cached["attributes"].items()}
                self._listings = listings

    def _save_cache(self) -> None:
        if self.cache_file is None:
            return
        cached = {"versions": self._versions, "attributes": self._attributes, "listings": self._listings}
        text = json.dumps(cached, sort_keys=True)
        temporary = self.cache_file.with_name(f".{self.cache_file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # a cache that cannot be written is only slow
            self.cache_file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.cache_file)


def _explain(owner: str, attribute: str, names: list[str]) -> str:
    close = [name for name in names if name.lower() == attribute.lower()]
    close += difflib.get_close_matches(attribute, names, 2)
    close.sort(key=lambda name: name[:1].isupper() != attribute[:1].isupper())  # modules for modules
    return f"{owner} has no {attribute!r}" + (f"; it has {close[0]!r}" if close else "")
