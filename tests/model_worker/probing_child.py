"""Try from inside what the model's process may not do; prints one JSON object: what each try came to.

Arguments: the descriptor of the model, bytes of memory, a file that must not be read, a folder that must
not be written.
"""

import json
import mmap
import os
import socket
import sys
import threading

from dlcodegen_local.model_worker import confinement


def opened(path, flags):
    os.close(os.open(path, flags, 0o600))


def threads():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def tries(model, secret, folder):
    inside = f"{folder}/new"
    return {
        "read the home folder": lambda: opened(secret, os.O_RDONLY),
        "list the home folder": lambda: os.listdir(os.path.dirname(secret)),
        "read another process": lambda: opened(f"/proc/{os.getppid()}/environ", os.O_RDONLY),
        "read the passwords": lambda: opened("/etc/passwd", os.O_RDONLY),
        "create a file": lambda: opened(inside, os.O_CREAT | os.O_WRONLY),
        "write to a file": lambda: opened(secret, os.O_WRONLY),
        "write to the model": lambda: opened(f"/proc/self/fd/{model}", os.O_RDWR),
        "cut the model": lambda: os.truncate(f"/proc/self/fd/{model}", 0),
        "write to /tmp": lambda: opened(f"/tmp/{os.getpid()}", os.O_CREAT | os.O_RDWR),
        "write to shared memory": lambda: opened(f"/dev/shm/{os.getpid()}", os.O_CREAT | os.O_RDWR),
        "make a folder": lambda: os.mkdir(inside),
        "make a link": lambda: os.symlink("/", inside),
        "make a pipe with a name": lambda: os.mkfifo(inside),
        "remove a file": lambda: os.unlink(secret),
        "rename a file": lambda: os.rename(secret, inside),
        "open an internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "open a datagram socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "open a local socket": lambda: socket.socket(socket.AF_UNIX),
        "open a pair of sockets": socket.socketpair,
        "start a program": lambda: os.execv("/bin/true", ["true"]),
        "start a process": os.fork,
        "signal the parent": lambda: os.kill(os.getppid(), 0),
        "leave the session": os.setsid,
        "hold memory of no process": lambda: os.memfd_create("x"),
        "hold too much memory": lambda: mmap.mmap(-1, 8 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
        "gain root": lambda: os.setuid(0) if os.getuid() else os.chroot("/"),
        "read the model": lambda: opened(f"/proc/self/fd/{model}", os.O_RDONLY),
        "read the library": lambda: opened(os.__file__, os.O_RDONLY),
        "start a thread": threads,
        "take some memory": lambda: mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
    }


def main(model, memory_bytes, secret, folder):
    landlock = confinement.confine(int(model), int(memory_bytes))
    found = {"landlock": landlock, "sealed": confinement.seal()}
    for name, attempt in tries(model, secret, folder).items():
        try:
            attempt()
        except Exception as exc:
            found[name] = type(exc).__name__
        else:
            found[name] = "done"
    os.chmod(f"/proc/self/fd/{model}", 0o777)  # pretended
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
