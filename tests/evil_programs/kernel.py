"""Programs that reach for the kernel: privileges, namespaces, mounts, rarely used system calls."""

import ctypes
import mmap
import os

_libc = ctypes.CDLL(None, use_errno=True)


def _made(result, what):
    return what if result >= 0 else None


def _status():
    with open("/proc/self/status") as file:
        return dict(line.split(":\t", 1) for line in file if ":\t" in line)


def become_root(outside):
    os.setuid(0)
    return "root"


def run_as_root(outside):
    return "root" if os.geteuid() == 0 else None


def hold_capabilities(outside):
    status = _status()
    return status["CapEff"] if int(status["CapEff"], 16) or int(status["CapPrm"], 16) else None


def run_without_filter(outside):
    status = _status()
    return "no filter" if status["Seccomp"].strip() != "2" or status["NoNewPrivs"].strip() != "1" else None


def run_set_user_id_program(outside):
    for path in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd"):
        if os.path.exists(path) and os.stat(path).st_mode & 0o4000:
            pid = os.fork()
            if pid == 0:
                os.execv(path, [path, "-c", "id"] if path.endswith("su") else [path, "--bind", "/", "/tmp"])
            return "it worked" if os.waitpid(pid, 0)[1] == 0 else None
    return None


def new_user_namespace(outside):
    return _made(_libc.unshare(0x10000000), "unshared")


def new_mount_namespace(outside):
    return _made(_libc.unshare(0x00020000), "unshared")


def clone_into_user_namespace(outside):
    number = 56 if os.uname().machine == "x86_64" else 220
    pid = _libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return _made(pid, "cloned")


def clone3_into_user_namespace(outside):
    arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
    pid = _libc.syscall(435, arguments, 88)
    if pid == 0:
        os._exit(0)
    return _made(pid, "cloned")


def enter_namespace_of_victim(outside):
    return _made(_libc.setns(os.open(f"/proc/{outside['victim']}/ns/net", os.O_RDONLY), 0), "entered")


def mount_tmpfs(outside):
    return _made(_libc.mount(b"x", b".", b"tmpfs", 0, None), "mounted")


def remount_usr_writable(outside):
    return _made(_libc.mount(b"none", b"/usr", None, 32 | 4096, None), "remounted")


def remount_root_writable(outside):
    return _made(_libc.mount(b"none", b"/", None, 32 | 4096, None), "remounted")


def unmount_proc(outside):
    return _made(_libc.umount2(b"/proc", 2), "unmounted")


def open_file_system(outside):
    return _made(_libc.syscall(430, b"tmpfs", 0), "opened")


def open_tree(outside):
    return _made(_libc.syscall(428, -100, b"/", 1), "opened")


def change_root(outside):
    os.chroot(".")
    return "changed"


def pivot_root(outside):
    number = 155 if os.uname().machine == "x86_64" else 41
    return _made(_libc.syscall(number, b".", b"."), "pivoted")


def load_bpf(outside):
    number = 321 if os.uname().machine == "x86_64" else 280
    return _made(_libc.syscall(number, 0, (ctypes.c_uint32 * 18)(2, 4, 4, 1), 72), "loaded")


def watch_performance(outside):
    number = 298 if os.uname().machine == "x86_64" else 241
    return _made(_libc.syscall(number, (ctypes.c_uint32 * 32)(0, 128, 0), 0, -1, -1, 0), "opened")


def add_key(outside):
    number = 248 if os.uname().machine == "x86_64" else 217
    return _made(_libc.syscall(number, b"user", b"x", b"y", 1, -3), "added")


def catch_page_faults(outside):
    number = 323 if os.uname().machine == "x86_64" else 282
    return _made(_libc.syscall(number, 1), "opened")


def switch_off_randomisation(outside):
    return _made(_libc.personality(0x0040000), "switched off")


def rename_machine(outside):
    return _made(_libc.sethostname(b"evil", 4), "renamed")


def set_clock(outside):
    return _made(_libc.settimeofday((ctypes.c_int64 * 2)(1, 0), None), "set")


def use_x32_table(outside):
    pid = os.fork()
    if pid == 0:
        _libc.syscall(0x40000000 + 41, 2, 1, 0)
        os._exit(0)
    return "called" if os.waitpid(pid, 0)[1] == 0 and os.uname().machine == "x86_64" else None


def use_32_bit_table(outside):
    """Call 359 (socket) of the 32-bit table by `int 0x80`, as bytes of a program."""
    if os.uname().machine != "x86_64":
        return None
    code = bytes.fromhex("53 b867010000 bb02000000 b901000000 ba00000000 cd80 5b c3".replace(" ", ""))
    area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(code)
    pid = os.fork()
    if pid == 0:
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))
        os._exit(0 if call() >= 0 else 1)
    return "socket opened" if os.waitpid(pid, 0)[1] == 0 else None


def see_name_of_machine(outside):
    return outside["node"] if os.uname().nodename == outside["node"] else None


def step_clock(outside):
    import time

    time.clock_settime(time.CLOCK_REALTIME, time.time() + 3600)
    return "set"


def adjust_clock(outside):
    number = 159 if os.uname().machine == "x86_64" else 171
    return _made(_libc.syscall(number, (ctypes.c_uint64 * 32)(0x0002)), "adjusted")


def find_session_keys(outside):
    number = 250 if os.uname().machine == "x86_64" else 219
    return _made(_libc.syscall(number, 0, -3, 0, 0, 0), "found")


def switch_off_restart_keys(outside):
    number = 169 if os.uname().machine == "x86_64" else 142
    return _made(_libc.syscall(number, 0xFEE1DEAD, 672274793, 0, 0), "switched off")


def load_module(outside):
    number = 175 if os.uname().machine == "x86_64" else 105
    if _libc.syscall(number, None, 0, b"") >= 0 or ctypes.get_errno() != 1:
        return "was let in"
    return None


def make_memory_file(outside):
    return _made(_libc.memfd_create(b"x", 0), "made")


def share_memory_of_system(outside):
    return _made(_libc.shmget(0x7F001234, 4096, 0o1600), "made")


def leave_semaphores(outside):
    return _made(_libc.semget(0x7F001234, 1, 0o1600), "made")


def leave_message_queue(outside):
    return _made(_libc.msgget(0x7F001234, 0o1600), "made")


def leave_posix_queue(outside):
    number = 240 if os.uname().machine == "x86_64" else 180
    return _made(_libc.syscall(number, outside["mark"].encode(), 0o101, 0o600, None), "made")


def raise_core_limit(outside):
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    return "raised"


def raise_process_limit(outside):
    import resource

    resource.setrlimit(resource.RLIMIT_NPROC, (1 << 20, 1 << 20))
    return "raised"


def leave_core_dump(outside):
    pid = os.fork()
    if pid == 0:
        os.abort()
    status = os.waitpid(pid, 0)[1]
    return "dumped" if os.WCOREDUMP(status) else None


def run_before_everyone(outside):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "scheduled"


def raise_priority(outside):
    return os.nice(-10)
