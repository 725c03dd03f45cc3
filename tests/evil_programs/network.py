"""Programs that reach for the network or for sockets of others."""

import ctypes
import os
import socket
import struct


def connect_to_loopback(outside):
    socket.create_connection(("127.0.0.1", outside["port"]), timeout=2)
    return "connected"


def send_to_loopback(outside):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"leak", ("127.0.0.1", outside["port"]))
    return None  # the listener outside says whether it arrived


def connect_over_ipv6(outside):
    socket.create_connection(("::1", outside["port"]), timeout=2)
    return "connected"


def connect_to_the_internet(outside):
    client = socket.socket()
    client.settimeout(1)
    client.connect(("1.1.1.1", 53))
    return "connected"


def resolve_a_name(outside):
    return socket.getaddrinfo("example.com", 80)


def connect_to_abstract_socket(outside):
    socket.socket(socket.AF_UNIX).connect("\0" + outside["mark"])
    return "connected"


def connect_to_socket_file(outside):
    socket.socket(socket.AF_UNIX).connect(os.path.join(outside["folder"], "socket"))
    return "connected"


def open_raw_socket(outside):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    return "opened"


def open_packet_socket(outside):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    return "opened"


def open_vsock(outside):
    socket.socket(40, socket.SOCK_STREAM)
    return "opened"


def open_netlink(outside):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    return "opened"


def connect_by_system_call(outside):
    libc = ctypes.CDLL(None)
    descriptor = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(outside["port"]), bytes([127, 0, 0, 1]))
    return "connected" if libc.connect(descriptor, address, len(address)) == 0 else None


def set_up_io_uring(outside):
    parameters = ctypes.create_string_buffer(120)
    return "opened" if ctypes.CDLL(None).syscall(425, 4, parameters) >= 0 else None


def see_interfaces(outside):
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    return ", ".join(names) or None


def open_each_family(outside):
    opened = []
    for family in range(2, 46):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
                opened.append(family)
            except OSError:
                continue
    return opened or None


def pair_of_network_sockets(outside):
    return str(socket.socketpair(socket.AF_INET))


def connect_to_service_of_system(outside):
    paths = ("run/docker.sock", "run/dbus/system_bus_socket", "run/systemd/private", "tmp/.X11-unix/X0")
    for path in paths:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect("/" + path)
            return path
        except OSError:
            continue
    return None


def read_interfaces_of_machine(outside):
    with open("/proc/self/net/dev") as file:
        names = {line.split(":")[0].strip() for line in file if ":" in line} - {"lo"}
    return sorted(names & set(outside["interfaces"])) or None


def read_connections_of_machine(outside):
    with open("/proc/self/net/tcp") as file:
        return "seen" if f":{outside['port']:04X} " in file.read() else None


def read_sockets_of_machine(outside):
    with open("/proc/self/net/unix") as file:
        return "seen" if outside["mark"] in file.read() else None
