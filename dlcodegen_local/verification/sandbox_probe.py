"""Try the walls of the sandbox from inside: standard library alone, no import of ours.

Arguments: the home folder, then files and folders outside that must not be seen. Prints `walls
hold`, or exits with what does not.
"""

import os
import socket
import sys


def main(home: str, *secrets: str) -> None:
    """Try each wall once.

    Raises:
        SystemExit: names the wall that does not hold.
    """
    for secret in secrets:
        try:
            os.close(os.open(secret, os.O_RDONLY))
        except OSError:
            continue
        raise SystemExit(f"{secret} can be read")
    for path in ("/usr/.dlcodegen-probe", f"{home}/.dlcodegen-probe", f"{secrets[0]}.probe"):
        try:
            with open(path, "w", encoding="ascii"):
                pass
        except OSError:
            continue
        raise SystemExit(f"{path} can be written")
    if not _has_loopback_alone() and not _sockets_are_refused():
        raise SystemExit("the network can be reached")
    with open("/proc/self/status", encoding="utf-8") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    if int(status["CapEff"], 16) or int(status["CapPrm"], 16) or status["NoNewPrivs"].strip() != "1":
        raise SystemExit("it holds privileges")
    if status["Seccomp"].strip() != "2":
        raise SystemExit("no filter of system calls is loaded")
    with open("kept", "w", encoding="ascii") as file:
        file.write("a file in the work folder")
    print("walls hold")


def _has_loopback_alone() -> bool:
    """Tell whether the network namespace is empty; asks for no socket, so that none is ever seen."""
    try:
        with open("/proc/self/net/dev", encoding="ascii") as file:
            return [line.split(":")[0].strip() for line in file if ":" in line] in ([], ["lo"])
    except OSError:
        return False


def _sockets_are_refused() -> bool:
    try:
        socket.socket().close()
    except OSError:
        return True
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
