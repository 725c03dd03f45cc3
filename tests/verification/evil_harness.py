"""Run the evil programs through one backend and report what they reached, as whoever starts this.

Needs the standard library and the package only, so that it runs under any Python and user:
`python evil_harness.py BACKEND`. Prints one JSON object.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, os.fspath(ROOT))

from dlcodegen_local.verification import sandbox as sandboxes  # noqa: E402

PROGRAMS = ROOT / "tests" / "evil_programs"
MODULES = ("files", "kernel", "network", "processes")
GENEROUS = sandboxes.Limits(wall_s=60, cpu_s=30, memory_bytes=1 << 30, processes=64)
TIGHT = sandboxes.Limits(
    wall_s=2,
    cpu_s=30,
    memory_bytes=256 << 20,
    processes=40,
    file_size_bytes=64 << 20,
    disk_bytes=128 << 20,
    output_bytes=100_000,
)
NAP_S = 300
VICTIM = "import os, signal, time; signal.signal(signal.SIGWINCH, lambda *_: os._exit(3)); time.sleep(600)"


class Outside:
    """What lies outside: a secret, a home, a victim, listeners. Says afterwards what was reached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"dlcodegen-evil-{os.getpid()}"
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "private.txt").write_text("private")
        self.run_record = self.home / ".local" / "state" / "dlcodegen" / "runs" / "record.json"
        self.run_record.parent.mkdir(parents=True)
        self.model = folder / "models" / "model.gguf"
        self.model.parent.mkdir()
        for file in (self.run_record, self.model):
            file.write_text("private")
        self.secret = folder / "secret"
        self.secret.write_text("secret")
        self.mode = self.secret.stat().st_mode
        self.victim = subprocess.Popen([sys.executable, "-S", "-c", VICTIM, self.mark])
        self.arrived: list[str] = []
        stream, datagram, path = (
            socket.socket(),
            socket.socket(type=socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX),
        )
        stream.bind(("127.0.0.1", 0))
        self.port = stream.getsockname()[1]
        datagram.bind(("127.0.0.1", self.port))
        path.bind(os.fspath(folder / "socket"))
        os.chmod(folder / "socket", 0o777)
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind("\0" + self.mark)
        for listener in (stream, path, abstract):
            listener.listen()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        threading.Thread(target=self._receive, args=(datagram,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()
                self.arrived.append("connection")

    def _receive(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.arrived.append(listener.recv(100).decode())

    def facts(self) -> dict[str, object]:
        return {
            "folder": os.fspath(self.folder),
            "home": os.fspath(self.home),
            "home_names": ["private.txt"],
            "interfaces": [name for _, name in socket.if_nameindex() if name != "lo"],
            "mark": self.mark,
            "model": os.fspath(self.model),
            "nap_s": NAP_S,
            "node": os.uname().nodename,
            "port": self.port,
            "run_record": os.fspath(self.run_record),
            "secret": os.fspath(self.secret),
            "tester": os.getpid(),
            "victim": self.victim.pid,
        }

    def damage(self) -> list[str]:
        found = [f"arrived: {text}" for text in self.arrived]
        if self.victim.poll() is not None:
            found.append("the victim ended")
        if not self.secret.is_file() or self.secret.read_text() != "secret":
            found.append("the secret changed")
        elif self.secret.stat().st_mode != self.mode:
            found.append("the secret's mode changed")
        if self.model.read_text() != "private" or self.run_record.read_text() != "private":
            found.append("a model or a run record changed")
        if os.getpriority(os.PRIO_PROCESS, self.victim.pid) != os.getpriority(os.PRIO_PROCESS, 0):
            found.append("the victim was slowed")
        names = {path.name for path in self.folder.iterdir()} - {
            "home",
            "models",
            "secret",
            "socket",
            "tmp",
            "work",
        }
        found += [f"left outside: {name}" for name in sorted(names)]
        for place in (Path("/dev/shm"), Path("/tmp"), Path("/usr/lib"), self.home):
            found += [f"left in {place}" for path in place.glob(f"*{self.mark}*")]
        return found


def attack(backend: str, folder: Path) -> dict[str, object]:
    """Return what each program reached, how each greedy one ended, and what is damaged."""
    outside = Outside(folder)
    os.environ["HOME"] = os.fspath(outside.home)
    sandbox = sandboxes.LauncherSandbox(backend, shutil.which("bwrap") or "")
    reached: dict[str, str] = {}
    temporary = folder / "tmp"
    temporary.mkdir()
    tempfile.tempdir = os.fspath(temporary)
    try:
        for module in MODULES:
            result, _ = run(sandbox, module, outside, GENEROUS)
            try:
                answers = json.loads(result.stdout)
            except ValueError:
                answers = {"all": f"ESCAPED: the run broke: {result}"}
            reached |= {f"{module}.{name}": answer for name, answer in answers.items()}
        names = greedy_names()
        with ThreadPoolExecutor(8) as pool:
            endings = dict(
                zip(names, pool.map(lambda name: greedy(sandbox, name, outside), names), strict=True)
            )
        return {
            "reached": reached,
            "endings": endings,
            "damage": outside.damage(),
            "left": left_behind(outside),
        }
    finally:
        outside.victim.kill()
        outside.victim.wait()


def greedy_names() -> list[str]:
    lines = (PROGRAMS / "exhaustion.py").read_text().splitlines()
    return [
        line[4:].split("(")[0] for line in lines if line.startswith("def ") and not line.startswith("def _")
    ]


def greedy(sandbox: sandboxes.Sandbox, name: str, outside: Outside) -> dict[str, object]:
    started = time.monotonic()
    kept = None if name == "leave_traps" else ()
    result, work = run(sandbox, f"exhaustion.{name}", outside, TIGHT, kept)
    seconds = time.monotonic() - started
    returned = sorted(
        path.name for path in work.iterdir() if path.name not in ("outside.json", "evil_programs")
    )
    return {
        "exit_code": result.exit_code,
        "stopped_by": result.stopped_by,
        "output": result.stdout[-200:],
        "error": result.stderr[-200:],
        "output_bytes": max(len(result.stdout), len(result.stderr)),
        "seconds": seconds,
        "returned": returned[:20],
    }


def left_behind(outside: Outside) -> list[str]:
    """Return processes of the programs that still run, and work folders that still lie there."""
    found = [path.name for path in Path(tempfile.gettempdir()).iterdir()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = path.read_bytes()
            if b"evil_programs\0" in text and outside.mark.encode() in text:
                found.append(text.decode())
    return found


def run(
    sandbox: sandboxes.Sandbox,
    program: str,
    outside: Outside,
    limits: sandboxes.Limits,
    returned: tuple[str, ...] | None = (),
) -> tuple[sandboxes.SandboxResult, Path]:
    work = outside.folder / "work" / program
    shutil.copytree(PROGRAMS, work / "evil_programs", ignore=shutil.ignore_patterns("__pycache__"))
    (work / "outside.json").write_text(json.dumps(outside.facts()))
    argv = [sys.executable, "-I", "-S", "evil_programs", program, "outside.json", outside.mark]
    readable = sandboxes.interpreter_paths(sys.prefix, sys.base_prefix)
    ran = sandbox.run(argv, workdir=work, limits=limits, env={}, readable=readable, returned=returned)
    return ran, work


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="dlcodegen-outside-") as temporary:
        print(json.dumps(attack(sys.argv[1], Path(temporary))))
