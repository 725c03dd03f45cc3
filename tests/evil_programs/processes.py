"""Programs that reach for other processes. The victim outside belongs to the user who runs us."""

import ctypes
import os
import resource
import signal


def see_victim(outside):
    return open(f"/proc/{outside['victim']}/cmdline").read()


def read_environment_of_victim(outside):
    return open(f"/proc/{outside['victim']}/environ").read()


def read_memory_of_victim(outside):
    return open(f"/proc/{outside['victim']}/mem", "rb").read(0) is not None or None


def see_any_other_process(outside):
    others = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) > 2 and int(name) not in (os.getpid(), os.getppid()):
            with open(f"/proc/{name}/cmdline") as file:
                others.append(file.read())
    return others or None


def signal_victim(outside):
    os.kill(outside["victim"], signal.SIGTERM)
    return "sent"


def signal_tester(outside):
    os.kill(outside["tester"], 0)
    return "sent"


def end_supervisor(outside):
    os.kill(outside["supervisor"], signal.SIGKILL)
    return None  # the tester sees whether the run still ended well


def signal_everyone(outside):
    os.kill(-1, signal.SIGWINCH)  # harmless to all but the victim, who ends of it
    return None


def signal_by_descriptor(outside):
    descriptor = os.pidfd_open(outside["victim"])
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    return "sent"


def steal_descriptor(outside):
    descriptor = os.pidfd_open(outside["victim"])
    return "stolen" if ctypes.CDLL(None).syscall(438, descriptor, 0, 0) >= 0 else None


def trace_victim(outside):
    return "attached" if ctypes.CDLL(None).ptrace(16, outside["victim"], 0, 0) == 0 else None


def trace_parent(outside):
    return "attached" if ctypes.CDLL(None).ptrace(0x4206, os.getppid(), 0, 0) == 0 else None


def read_victim_by_system_call(outside):
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_void_p * 2)(0x400000, 8)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.process_vm_readv(outside["victim"], local, 1, remote, 1, 0) >= 0:
        return "read"
    return "was looked up" if ctypes.get_errno() == 14 else None  # EFAULT: allowed, bad address


def limit_victim(outside):
    resource.prlimit(outside["victim"], resource.RLIMIT_NOFILE, (8, 8))
    return "limited"


def slow_down_victim(outside):
    os.setpriority(os.PRIO_PROCESS, outside["victim"], 19)
    return "slowed"


def end_session_of_terminal(outside):
    return "opened" if os.open("/dev/tty", os.O_RDWR) >= 0 else None


def type_into_terminal(outside):
    import fcntl

    for descriptor in (0, 1, 2):
        try:
            fcntl.ioctl(descriptor, 0x5412, b"x")
        except OSError:
            continue
        return "typed"
    return None


def notice_victim(outside):
    try:
        os.kill(outside["victim"], 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "it is there"
    return "it can be signalled"


def read_environment_of_supervisor(outside):
    with open(f"/proc/{outside['supervisor']}/environ") as file:
        text = file.read()
    return text if outside["secret"] in text or "PYTHONDONTWRITEBYTECODE" in text else None


def write_memory_of_a_freer_process(outside):
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/status") as status, open(f"/proc/{name}/mem", "r+b"):
                if "Seccomp:\t2" not in status.read():
                    return name
        except OSError:
            continue
    return None


def write_victim_by_system_call(outside):
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.process_vm_writev(outside["supervisor"], local, 1, local, 1, 0) >= 0:
        return "written"
    return "was looked up" if ctypes.get_errno() == 14 else None


def paste_from_console(outside):
    import fcntl

    for descriptor in (0, 1, 2):
        try:
            fcntl.ioctl(descriptor, 0x541C, b"\x03")
        except OSError:
            continue
        return "pasted"
    return None
