"""Programs that take more than they may. What counts is how the run ends and what is left of it."""

import mmap
import os
import signal
import socket
import sys
import threading
import time


def fork_bomb(outside):
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)


def thread_bomb(outside):
    started = 0
    try:
        while started < 100_000:
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    print(started, flush=True)
    os._exit(0)


def take_memory(outside):
    taken = []
    while True:
        taken.append(bytearray(64 << 20))


def take_memory_in_children(outside):
    for _ in range(16):
        if os.fork() == 0:
            taken = bytearray(b"x") * (200 << 20)
            time.sleep(60)
            return len(taken)
    time.sleep(60)
    return None


def take_shared_memory(outside):
    areas = []
    while True:
        area = mmap.mmap(-1, 64 << 20)
        area.write(b"x" * (64 << 20))
        areas.append(area)


def fill_temporary_folder(outside):
    return _fill(os.environ["TMPDIR"])


def fill_shared_memory_folder(outside):
    return _fill("/dev/shm")


def write_one_big_file(outside):
    return _fill(".", files=1)


def write_many_files(outside):
    return _fill(".", files=10_000, each=8 << 20)


def take_every_inode(outside):
    for index in range(20_000):
        open(str(index), "w").close()
    time.sleep(outside["nap_s"])


def _fill(folder, files=1000, each=1 << 40):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    total = 0
    for index in range(files):
        with open(os.path.join(folder, f"fill{index}"), "wb", buffering=0) as file:
            written = 0
            while written < each and total < (8 << 30):
                got = file.write(b"x" * (1 << 20))
                written, total = written + got, total + got
    return f"wrote {total}"


def endless_output(outside):
    while True:
        sys.stdout.write("x" * 65536)


def endless_errors(outside):
    while True:
        sys.stderr.write("x" * 65536)


def sleeping_grandchild(outside):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(outside["nap_s"])
        os._exit(0)
    os.wait()


def ignore_every_signal(outside):
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_IGN)
    time.sleep(outside["nap_s"])


def stop_oneself(outside):
    os.kill(os.getpid(), signal.SIGSTOP)


def spin(outside):
    while True:
        pass


def wait_for_input(outside):
    return sys.stdin.read() or None


def wait_for_socket(outside):
    left, right = socket.socketpair()
    left.recv(1)
    right.close()


def dig_deep(outside):
    for _ in range(300):
        os.mkdir("d")
        os.chdir("d")


def leave_traps(outside):
    os.symlink(outside["secret"], "link.json")
    os.symlink(os.path.dirname(outside["secret"]), "folder")
    os.mkfifo("pipe.json")
    with open("honest.json", "w") as file:
        file.write("{}")
    os.link("honest.json", "again.json")
    with open("plain.json", "w") as file:
        file.write("{}")
    with open("line\nbreak.json", "w") as file:
        file.write("{}")
    with open("huge.bin", "wb") as file:
        file.truncate(1 << 25)
    os.mkdir("locked")
    open("locked/file", "w").close()
    os.chmod("locked", 0)
    os.symlink(".", "loop")


def breed_daemons(outside):
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
                if os.fork():
                    os._exit(0)
                time.sleep(outside["nap_s"])
        except OSError:
            time.sleep(0.01)


def take_every_descriptor(outside):
    taken = []
    try:
        while len(taken) < 1 << 20:
            taken.append(os.pipe())
    except OSError:
        pass
    return len(taken)


def watch_every_file(outside):
    import ctypes

    libc = ctypes.CDLL(None)
    while libc.inotify_init() >= 0:
        pass
    time.sleep(outside["nap_s"])
