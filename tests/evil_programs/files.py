"""Programs that reach for files. Each returns what it got, or None. `outside` says what lies there."""

import ctypes
import os
import stat
import sys


def read_secret(outside):
    return open(outside["secret"]).read()


def read_secret_through_symlink(outside):
    os.symlink(outside["secret"], "innocent.txt")
    return open("innocent.txt").read()


def read_secret_through_hard_link(outside):
    os.link(outside["secret"], "innocent.txt")
    return open("innocent.txt").read()


def read_secret_through_root_of_init(outside):
    return open("/proc/1/root" + outside["secret"]).read()


def read_secret_through_dots(outside):
    return open("../" * 20 + outside["secret"]).read()


def read_secret_through_victim(outside):
    return open(f"/proc/{outside['victim']}/root" + outside["secret"]).read()


def read_secret_by_system_call(outside):
    libc = ctypes.CDLL(None)
    descriptor = libc.open(outside["secret"].encode(), os.O_RDONLY)
    return os.read(descriptor, 100) if descriptor >= 0 else None


def list_home(outside):
    found = set(os.listdir(outside["home"])) & set(outside["home_names"])
    return ", ".join(sorted(found)) or None


def list_folder_of_secret(outside):
    return os.listdir(os.path.dirname(outside["secret"]))


def see_other_runs(outside):
    return [
        name for name in os.listdir(os.path.dirname(outside["folder"])) if name in outside["folder"]
    ] or None


def read_shadow(outside):
    return open("/etc/shadow").read()


def read_machine_id(outside):
    return open("/etc/machine-id").read() or None


def read_kernel_log(outside):
    return os.read(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), 100)


def read_disk_device(outside):
    devices = [
        name for name in os.listdir("/dev") if name.startswith(("sd", "vd", "nvme", "dm-", "loop", "mem"))
    ]
    return os.read(os.open("/dev/" + devices[0], os.O_RDONLY), 10) if devices else None


def use_leaked_descriptor(outside):
    return outside["descriptors"] or None


def write_outside(outside):
    with open(os.path.join(outside["folder"], "written"), "w") as file:
        file.write("x")
    return "written"


def overwrite_secret(outside):
    with open(outside["secret"], "w") as file:
        file.write("x")
    return "overwritten"


def truncate_secret(outside):
    os.truncate(outside["secret"], 0)
    return "truncated"


def change_mode_of_secret(outside):
    os.chmod(outside["secret"], 0o777)
    return None  # the tester looks at the mode: one backend only pretends


def remove_secret(outside):
    os.unlink(outside["secret"])
    return "removed"


def move_file_out(outside):
    open("mine", "w").close()
    os.rename("mine", os.path.join(outside["folder"], "moved"))
    return "moved"


def write_home(outside):
    path = os.path.join(outside["home"], outside["mark"])
    open(path, "w").close()
    return path


def write_usr(outside):
    open("/usr/lib/" + outside["mark"], "w").close()
    return "written"


def write_etc(outside):
    open("/etc/" + outside["mark"], "w").close()
    return "written"


def write_interpreter(outside):
    with open(os.path.realpath(sys.executable), "r+b"):
        return "opened"


def write_library(outside):
    path = os.path.join(os.path.dirname(os.__file__), outside["mark"] + ".py")
    open(path, "w").close()
    return path


def write_core_pattern(outside):
    with open("/proc/sys/kernel/core_pattern", "w"):
        return "opened"


def write_sysrq(outside):
    with open("/proc/sysrq-trigger", "w"):
        return "opened"


def write_cgroup(outside):
    open("/sys/fs/cgroup/" + outside["mark"], "w").close()
    return "written"


def make_disk_device(outside):
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    return os.read(os.open("disk", os.O_RDONLY), 10)


def make_memory_device(outside):
    os.mknod("memory", stat.S_IFCHR | 0o600, os.makedev(1, 1))
    return "made"


def open_by_handle(outside):
    handle = (ctypes.c_uint32 * 8)(8, 1, 2, 0, 0, 0, 0, 0)
    root = os.open("/", os.O_RDONLY)
    descriptor = ctypes.CDLL(None).open_by_handle_at(root, handle, os.O_RDONLY)
    return os.listdir(descriptor) if descriptor >= 0 else None


def read_run_record(outside):
    return open(outside["run_record"]).read()


def list_run_records(outside):
    return os.listdir(os.path.dirname(outside["run_record"]))


def read_model(outside):
    return open(outside["model"]).read()


def overwrite_model(outside):
    with open(outside["model"], "r+") as file:
        file.write("x")
    return "overwritten"


def see_size_of_secret(outside):
    return os.stat(outside["secret"]).st_size


def link_folder_of_secret(outside):
    os.symlink(os.path.dirname(outside["secret"]), "folder")
    return os.listdir("folder")


def open_device(outside):
    opened = []
    for name in ("kvm", "fuse", "net/tun", "mem", "port", "vhost-vsock", "loop-control", "uinput", "console"):
        try:
            os.close(os.open("/dev/" + name, os.O_RDWR | os.O_NONBLOCK))
            opened.append(name)
        except OSError:
            continue
    return opened or None


def protect_from_memory_killer(outside):
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return "protected"


def make_file_immutable(outside):
    import fcntl

    with open("mine", "w") as file:
        fcntl.ioctl(file, 0x40086602, (0x10).to_bytes(8, "little"))
    return "made"
