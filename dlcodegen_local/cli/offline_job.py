"""The job that `doctor --prove-offline` watches: each kind of command once, in one process, then idling.

Run as `python -m dlcodegen_local.cli.offline_job JSON` in a folder of its own. One process for all, since
a library that phones home does so from a thread that the end of the process would end. Names each step on
stdout before it begins; what the commands print goes to `log.txt`, how they ended to `ended.json`.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

from dlcodegen_local.cli import main
from dlcodegen_local.verification.isolation import enter_empty_network

REQUIREMENT = "Predict the price of a house from a table of numbers"
_COUNTERS = {
    "snmp": ("Ip.OutRequests", "Ip.OutNoRoutes", "Tcp.ActiveOpens", "Udp.OutDatagrams"),
    "snmp6": ("Ip6OutRequests", "Ip6OutNoRoutes", "Udp6OutDatagrams"),
}


def run_job(idle_s: float, sample: str, *, smoke: bool, isolated: bool) -> None:
    """Run every step, idle, and write down how it went."""
    if isolated:
        enter_empty_network()
    progress = os.fdopen(os.dup(1), "w", encoding="utf-8")
    log = os.open("log.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    ended: dict[str, int] = {}
    steps = job_steps(sample, smoke=smoke)
    for number, arguments in enumerate(steps, start=1):
        name = " ".join(word for word in arguments[:2] if word.isalpha())
        print(f"{number} of {len(steps)}: {name}", file=progress, flush=True)
        ended[name] = exit_code_of(arguments)
    print(f"idle for {idle_s:g} s", file=progress, flush=True)
    time.sleep(idle_s)
    packets = sent_packets() if isolated else None
    Path("ended.json").write_text(json.dumps({"steps": ended, "packets": packets}), encoding="utf-8")


def job_steps(sample: str, *, smoke: bool) -> tuple[tuple[str, ...], ...]:
    """Return the arguments of each command; writes the files that they read."""
    Path("wanted.jsonl").write_text(json.dumps({"id": "a", "requirement": REQUIREMENT}) + "\n", "utf-8")
    Path("programs").mkdir()
    shutil.copy(sample, "programs/a.py")
    return (
        ("plan", "--batch", "wanted.jsonl", "-o", "plans.jsonl"),
        ("search", REQUIREMENT, "--why"),
        ("generate", REQUIREMENT, "-o", "project", *(() if smoke else ("--no-run",))),
        ("verify", "project"),
        ("pool", "add", sample),
        ("pool", "list"),
        ("evaluate", "plans", "--predictions", "plans.jsonl", "--references", "plans.jsonl"),
        ("evaluate", "code", "--predictions", "programs", "--references", "programs"),
        ("models", "list"),
        ("runs", "list"),
        ("doctor",),
    )


def exit_code_of(arguments: tuple[str, ...]) -> int:
    """Run one command as a user's shell would, in this process."""
    sys.argv = ["dlcodegen", *arguments]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def sent_packets() -> int:
    """Count what this network was asked to send: the kernel counts what it has no way for, too."""
    counts: dict[str, int] = {}
    for name in _COUNTERS:
        lines = [line.split() for line in Path(f"/proc/self/net/{name}").read_text("ascii").splitlines()]
        if name == "snmp6":
            counts.update((key, int(count)) for key, count in lines)
            continue
        for keys, values in zip(lines[::2], lines[1::2], strict=True):
            counts.update(
                (keys[0].replace(":", f".{key}"), int(n)) for key, n in zip(keys[1:], values[1:], strict=True)
            )
    return sum(counts.get(key, 0) for keys in _COUNTERS.values() for key in keys)


if __name__ == "__main__":
    run_job(**json.loads(sys.argv[1]))
