"""Which addresses are this machine's own, and which of them other machines reach."""

from __future__ import annotations

import contextlib
import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether only this machine can be meant."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"


def own_addresses() -> list[str]:
    """Addresses of this machine that other machines can reach: of its name, and of its way to the outside."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)]
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:  # connecting a datagram socket sends nothing
                sock.connect((outside, 9))
                found.append(str(sock.getsockname()[0]))
        except OSError:
            continue
    return [address for address in dict.fromkeys(found) if not ipaddress.ip_address(address.split("%")[0]).is_loopback]


def answers(address: str, port: int) -> bool:
    """Whether something accepts connections there, within a second."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
