"""The filter, run by an interpreter of classic BPF written for this test."""

import errno
import struct

import pytest

from dlcodegen_local.verification.seccomp import build_filter, build_guard, supported

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000


def verdict(code: bytes, machine: str, number: int, *arguments: int) -> int:
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    given = struct.pack("=IIQ6Q", number, ARCHITECTURE[machine], 0, *padded)
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator = position = 0
    while True:
        operation, if_true, if_false, operand = program[position]
        position += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", given, operand)[0]
        elif operation == 0x06:
            return operand
        else:
            holds = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }
            position += if_true if holds[operation] else if_false


def refused(error: int) -> int:
    return 0x00050000 | error


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("namespaces", [True, False])
def test_ordinary_calls_pass(machine: str, namespaces: bool) -> None:
    code = build_filter(machine, namespaces=namespaces)
    ordinary = {"x86_64": (0, 1, 9, 59, 202, 257), "aarch64": (63, 64, 222, 221, 98, 56)}[machine]
    assert [verdict(code, machine, number) for number in ordinary] == [ALLOW] * 6


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (101, (), refused(errno.EPERM)),
        (435, (), refused(errno.ENOSYS)),
        (56, (0x10000011,), refused(errno.EPERM)),
        (56, (0x003D0F00,), ALLOW),
        (41, (1,), ALLOW),
        (41, (2,), refused(errno.EAFNOSUPPORT)),
        (41, (10,), refused(errno.EAFNOSUPPORT)),
        (16, (0, 0x5412), refused(errno.EPERM)),
        (16, (0, 0x5413), ALLOW),
        (302, (0,), ALLOW),
        (302, (1,), refused(errno.EPERM)),
        (90, (), ALLOW),
        (0x40000000 + 41, (2,), KILL),
    ],
)
def test_verdict_with_namespaces(number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(build_filter("x86_64", namespaces=True), "x86_64", number, *arguments) == expected


def test_without_namespaces_no_socket_opens_and_modes_stay() -> None:
    code = build_filter("x86_64", namespaces=False)
    assert verdict(code, "x86_64", 41, 1) == refused(errno.EAFNOSUPPORT)
    assert verdict(code, "x86_64", 53, 1) == ALLOW
    assert verdict(code, "x86_64", 90) == refused(0)


@pytest.mark.parametrize(
    ("machine", "number", "arguments", "expected"),
    [
        ("x86_64", 41, (1, 1, 0), ALLOW),
        ("x86_64", 41, (2, 1, 0), refused(errno.EACCES)),
        ("x86_64", 41, (10, 2, 0), refused(errno.EACCES)),
        ("x86_64", 41, (16, 3, 0), ALLOW),
        ("x86_64", 41, (16, 3, 16), refused(errno.EACCES)),
        ("x86_64", 41, (255, 1, 0), refused(errno.EACCES)),
        ("x86_64", 53, (1, 1, 0), ALLOW),
        ("x86_64", 53, (2, 1, 0), refused(errno.EACCES)),
        ("x86_64", 425, (), refused(errno.EACCES)),
        ("x86_64", 438, (), refused(errno.EACCES)),
        ("x86_64", 16, (3, 0x400454CA), refused(errno.EPERM)),
        ("x86_64", 16, (3, 0x5401), ALLOW),
        ("x86_64", 59, (), ALLOW),
        ("x86_64", 0x40000000 + 41, (2,), KILL),
        ("aarch64", 198, (1, 1, 0), ALLOW),
        ("aarch64", 198, (2, 1, 0), refused(errno.EACCES)),
        ("aarch64", 41, (2, 1, 0), ALLOW),  # pivot_root there
        ("aarch64", 425, (), refused(errno.EACCES)),
    ],
)
def test_guard_lets_local_sockets_alone_pass(machine, number, arguments, expected) -> None:
    assert verdict(build_guard(machine), machine, number, *arguments) == expected


def test_other_architecture_ends_the_process() -> None:
    assert verdict(build_filter("x86_64", namespaces=True), "aarch64", 64) == KILL


def test_filter_is_short_enough_for_the_kernel() -> None:
    assert len(build_filter("x86_64", namespaces=False)) // 8 < 4096
    assert not supported("riscv64")
