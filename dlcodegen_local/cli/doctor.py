"""`dlcodegen doctor`: what works here, what does not, and the command that mends it."""

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import click

from dlcodegen_local.admission import policy_in_force
from dlcodegen_local.cli import options
from dlcodegen_local.config import (
    Paths,
    PlannerConfig,
    RetrievalConfig,
    VerificationConfig,
    find_paths,
    find_pools,
)
from dlcodegen_local.errors import ArtifactError, DlcodegenError
from dlcodegen_local.guard import find_wall

_PACKAGES = (
    "click",
    "codebleu",
    "llama-cpp-python",
    "numpy",
    "onnxruntime",
    "pathspec",
    "rich",
    "tantivy",
    "tokenizers",
)


@dataclass(frozen=True)
class Check:
    """Hold one line: `ok` False is a defect, None is something optional that is not there."""

    name: str
    ok: bool | None
    detail: str
    mend: str = ""


@click.command("doctor")
@click.option(
    "--prove-offline",
    is_flag=True,
    help="Run every kind of command under strace and in an empty network, and count network calls.",
)
@click.option(
    "--idle",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With --prove-offline: how long to wait after the job for what is sent late.",
)
@options.json_flag
def command(prove_offline: bool, idle: float, **flags: bool) -> int:
    """Say what works here, what does not, and the command that mends it.

    Exit code 1 where something needed is missing, or where the proof does not hold.
    """
    paths = find_paths()
    if prove_offline:
        return _prove_offline(paths, idle, as_json=flags["json"])
    checks = list(_checks(paths))
    if flags["json"]:
        options.print_json([check.__dict__ for check in checks])
    else:
        for check in checks:
            mark = {True: "ok     ", False: "MISSING", None: "absent "}[check.ok]
            click.echo(f"{mark}  {check.name}: {check.detail}")
            if check.ok is not True and check.mend:
                click.echo(f"         mend: {check.mend}")
    return 0 if all(check.ok is not False for check in checks) else 1


def _prove_offline(paths: Paths, idle_s: float, *, as_json: bool) -> int:
    from dlcodegen_local.offline_proof import prove_offline

    (bundled,) = find_pools(("bundled",), paths)
    sample = next(iter(sorted(bundled.folder.glob("*.py"))), None)
    if sample is None:
        raise ArtifactError(
            f"{bundled.folder} holds no sample", hint="restore index/samples from the release"
        )
    smoke = util.find_spec("tensorflow") is not None and _attempt("", _sandbox, "").ok is True
    proof = prove_offline(idle_s, sample, smoke=smoke, notify=options.print_note)
    if as_json:
        options.print_json(proof.to_dict())
    else:
        for line in proof.lines():
            click.echo(line)
    return 0 if proof.holds else 1


def _checks(paths: Paths) -> Iterator[Check]:
    supported = sys.version_info[:2] in ((3, 11), (3, 12))
    yield Check("Python", supported, platform.python_version(), "install Python 3.11 and make the venv anew")
    for name in _PACKAGES:
        yield _package(name)
    yield _attempt("planner", lambda: _planner(paths), "restore models/planner from the release")
    yield _attempt("code model", lambda: _code_model(paths), "restore models/starter from the release")
    yield _attempt("samples", lambda: _samples(paths), "restore index/samples from the release")
    yield _network_guard()
    yield _attempt("policy", policy_in_force, "correct the policy file")
    yield _attempt("sandbox", _sandbox, "apt-get install bubblewrap")
    yield _framework("keras", "tensorflow", "pip install 'dlcodegen[keras]'")
    yield _folder("run records", paths.state)
    yield _folder("index cache", paths.cache)


def _package(name: str) -> Check:
    try:
        return Check(f"package {name}", True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(f"package {name}", False, "not installed", "pip install dlcodegen")


def _attempt(name: str, action: Callable[[], str], mend: str) -> Check:
    try:
        return Check(name, True, action())
    except DlcodegenError as exc:
        return Check(name, False, exc.message, exc.hint or mend)
    except ImportError as exc:
        return Check(name, False, f"{exc.name or exc} cannot be imported", "pip install dlcodegen")


def _planner(paths: Paths) -> str:
    from dlcodegen_local.engines import load_planner

    config = PlannerConfig(paths.models / "planner")
    result = load_planner(config).plan("Classify images of cats and dogs")
    return f"{config.folder} plans in {result.seconds:.1f} s"


def _code_model(paths: Paths) -> str:
    from dlcodegen_local.engines import bundled_model
    from dlcodegen_local.generation.gguf_header import read_header

    model = bundled_model(paths.models)
    return f"{model}, {read_header(model).n_params / 1e6:.1f} million parameters"


def _samples(paths: Paths) -> str:
    from dlcodegen_local.engines import load_index
    from dlcodegen_local.retrieval.samples import load_samples

    (bundled,) = find_pools(("bundled",), paths)
    samples = load_samples(bundled.folder)
    index = load_index(RetrievalConfig((bundled,), paths.cache), options.print_note)
    index.search(samples[0].plan, 1)
    categories = {sample.plan.category for sample in samples}
    return f"{len(samples)} samples in {len(categories)} categories"


def _sandbox() -> str:
    from dlcodegen_local.engines import find_smoke_sandbox

    return f"{find_smoke_sandbox(VerificationConfig(run=False)).name}, probed"


def _network_guard() -> Check:
    """Say what holds, not what was tried."""
    name, need = "network guard", "a Linux kernel with seccomp"
    details = {
        "seccomp": "seccomp: no socket but local ones, in this process and in all that it starts",
        "hook": "Python hook alone: it binds this process's Python code, no child and no native code",
        "none": "nothing refuses sockets here",
    }
    wall = find_wall()
    ok = {"seccomp": True, "hook": None, "none": False}[wall]
    return Check(name, ok, details[wall], f"run it on {need} (x86-64 or aarch64)")


def _framework(name: str, module: str, mend: str) -> Check:
    if util.find_spec(module) is None:
        return Check(f"{name} for smoke runs", None, "not installed", mend)
    return Check(f"{name} for smoke runs", True, f"{module} is installed")


def _folder(name: str, folder: Path) -> Check:
    from dlcodegen_local.durable import write_file

    probe = folder / ".doctor"
    try:
        write_file(probe, "")
        probe.unlink()
    except DlcodegenError as exc:
        return Check(
            name, None, exc.message, "set HOME or XDG_STATE_HOME and XDG_CACHE_HOME to writable folders"
        )
    return Check(name, True, str(folder))
