"""Build the sandbox's system-call filter as classic BPF, without a library.

A list of what is refused and not of what is allowed: training uses some two hundred calls that
differ between releases, what a program needs to reach past the sandbox is short and known. Memory
that no process maps (memfd, System V, message queues) is refused since nobody would count it. Calls
of another architecture and the x32 table end the process; `clone3` answers ENOSYS, so that the C
library falls back to `clone`, whose flags a filter can read. What needs a capability is refused by
the kernel as well: this is the second wall, not the first.
"""

import errno
import struct
from collections.abc import Sequence

Condition = tuple[int, int, int]

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_OR_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_NO_CALL = 0xFFFFFFFF
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}
_NEW_NAMESPACE_FLAGS = 0x7E020080
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_TUNSETIFF = 0x400454CA
_AF_UNIX, _AF_NETLINK, _NETLINK_ROUTE = 1, 16, 0

# name: (number on x86_64, number on aarch64); None where the machine has no such call
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
# What reaches other processes of the same user where no namespace hides them.
_REFUSED_WITHOUT_NAMESPACES: dict[str, tuple[int | None, int | None]] = {
    "ioprio_set": (251, 30),
    "pidfd_send_signal": (424, 424),
    "setpriority": (141, 140),
}
# What Landlock lets pass: it answers as if it were done, since honest copying of files asks for it.
_PRETENDED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "chown": (92, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, None),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "setxattr": (188, 5),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SOCKET, _IOCTL, _PRLIMIT64, _PERSONALITY = (41, 198), (16, 29), (302, 261), (135, 92)
_SOCKETPAIR = (53, 199)
_AROUND_THE_GUARD = ("io_uring_enter", "io_uring_register", "io_uring_setup", "pidfd_getfd")


def supported(machine: str) -> bool:
    """Say whether a filter exists for a machine, named as by `os.uname().machine`."""
    return machine in _AUDIT_ARCH


def build_filter(machine: str, *, namespaces: bool) -> bytes:
    """Return the filter as an array of `struct sock_filter`.

    With `namespaces` local sockets stay, since they reach nothing outside; without, every new socket
    is refused (a connected pair is not one), so are calls that touch others of the same user, and
    changes of a file's mode, owner or times do nothing.
    """
    column = _COLUMN[machine]
    refused = _REFUSED if namespaces else {**_REFUSED, **_REFUSED_WITHOUT_NAMESPACES}
    code = _load_number(machine)
    for _, numbers in sorted(refused.items()):
        if (number := numbers[column]) is not None:
            code += _when(number, [_refuse(errno.EPERM)])
    for _, numbers in sorted(() if namespaces else _PRETENDED.items()):
        if (number := numbers[column]) is not None:
            code += _when(number, [_refuse(0)])
    code += _when(_CLONE3[column], [_refuse(errno.ENOSYS)])
    code += _when(_CLONE[column], _unless_bits(0, _NEW_NAMESPACE_FLAGS))
    families = (_AF_UNIX,) if namespaces else ()
    code += _when(_SOCKET[column], _allow_only(0, families, errno.EAFNOSUPPORT))
    code += _when(_PRLIMIT64[column], _allow_only(0, (0,), errno.EPERM))
    code += _when(_PERSONALITY[column], _allow_only(0, (0, 0xFFFFFFFF), errno.EPERM))
    code += _when(_IOCTL[column], _refuse_values(1, (_TIOCSTI, _TIOCLINUX)))
    return b"".join([*code, _statement(_RETURN, _ALLOW)])


def build_guard(machine: str) -> bytes:
    """Return the filter under which every command runs: it refuses each socket that is not local, by EACCES.

    Refused as well is what makes or takes a socket past `socket`: io_uring, descriptors of other processes,
    tunnels. The routing table's own netlink socket stays: bubblewrap brings up the loopback of its empty
    network by it, and it carries nothing to another machine.
    """
    column = _COLUMN[machine]
    code = _load_number(machine)
    for name in _AROUND_THE_GUARD:
        if (number := _REFUSED[name][column]) is not None:
            code += _when(number, [_refuse(errno.EACCES)])
    family = [
        *(_load_argument(0), _jump(_JUMP_EQUAL, _AF_UNIX, 0, 1), _statement(_RETURN, _ALLOW)),
        *(_jump(_JUMP_EQUAL, _AF_NETLINK, 0, 3), _load_argument(2)),
        *(_jump(_JUMP_EQUAL, _NETLINK_ROUTE, 0, 1), _statement(_RETURN, _ALLOW)),
        _refuse(errno.EACCES),
    ]
    code += _when(_SOCKET[column], family)
    code += _when(_SOCKETPAIR[column], _allow_only(0, (_AF_UNIX,), errno.EACCES))
    code += _when(_IOCTL[column], _refuse_values(1, (_TUNSETIFF,)))
    return b"".join([*code, _statement(_RETURN, _ALLOW)])


def refuse_calls(machine: str, numbers: tuple[int, ...]) -> bytes:
    """Return a filter that refuses some calls and allows all others: to try what happens without them."""
    code = _load_number(machine)
    for number in numbers:
        code += _when(number, [_refuse(errno.EPERM)])
    return b"".join([*code, _statement(_RETURN, _ALLOW)])


def refuse_arguments(
    machine: str,
    *,
    with_bits: Sequence[Condition] = (),
    without_bits: Sequence[Condition] = (),
    other_values: Sequence[Condition] = (),
) -> bytes:
    """Return a filter that refuses calls by one of their arguments and allows all others.

    A condition is a call's number, the index of an argument, and a value: the call is refused where
    the argument has any of these bits, has none of them, or is another value.
    """
    code = _load_number(machine)
    for number, index, bits in with_bits:
        code += _when(number, _unless_bits(index, bits))
    for number, index, bits in without_bits:
        jump = _jump(_JUMP_ANY_BIT, bits, 1, 0)
        block = [_load_argument(index), jump, _refuse(errno.EPERM), _statement(_RETURN, _ALLOW)]
        code += _when(number, block)
    for number, index, value in other_values:
        code += _when(number, _allow_only(index, (value,), errno.EPERM))
    return b"".join([*code, _statement(_RETURN, _ALLOW)])


def _load_number(machine: str) -> list[bytes]:
    """Load the number of the call, where it is one of this machine's own table."""
    code = [
        _statement(_LOAD, 4),
        _jump(_JUMP_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        _statement(_RETURN, _KILL_PROCESS),
        _statement(_LOAD, 0),
    ]
    # What a tracer took back is no call at all; the kernel answers ENOSYS.
    code += [_jump(_JUMP_EQUAL, _NO_CALL, 0, 1), _statement(_RETURN, _ALLOW)]
    if machine == "x86_64":
        code += [_jump(_JUMP_GREATER_OR_EQUAL, 0x40000000, 0, 1), _statement(_RETURN, _KILL_PROCESS)]
    return code


def _statement(operation: int, operand: int) -> bytes:
    return struct.pack("=HBBI", operation, 0, 0, operand)


def _jump(operation: int, operand: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, operand)


def _refuse(error: int) -> bytes:
    return _statement(_RETURN, _ERRNO | error)


def _when(number: int, block: list[bytes]) -> list[bytes]:
    """Run a block that returns for one call number, and pass it by for any other."""
    return [_jump(_JUMP_EQUAL, number, 0, len(block)), *block]


def _load_argument(index: int) -> bytes:
    return _statement(_LOAD, 16 + 8 * index)  # the low word: both machines are little-endian


def _unless_bits(index: int, bits: int) -> list[bytes]:
    return [
        _load_argument(index),
        _jump(_JUMP_ANY_BIT, bits, 0, 1),
        _refuse(errno.EPERM),
        _statement(_RETURN, _ALLOW),
    ]


def _allow_only(index: int, values: tuple[int, ...], error: int) -> list[bytes]:
    block = [_load_argument(index)]
    for value in values:
        block += [_jump(_JUMP_EQUAL, value, 0, 1), _statement(_RETURN, _ALLOW)]
    return [*block, _refuse(error)]


def _refuse_values(index: int, values: tuple[int, ...]) -> list[bytes]:
    block = [_load_argument(index)]
    for value in values:
        block += [_jump(_JUMP_EQUAL, value, 0, 1), _refuse(errno.EPERM)]
    return [*block, _statement(_RETURN, _ALLOW)]
