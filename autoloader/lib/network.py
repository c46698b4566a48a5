"""Which endpoints a configuration may point to: never the cloud's metadata service, private networks only where the
operator lists them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from autoloader.lib.errors import AccessError, ConfigError, TransientError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SETTING = "AUTOLOADER_ALLOWED_NETWORKS"

#: names under which clouds serve the identity of the machine.
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
#: addresses that no setting opens: link-local (metadata on every cloud) and the metadata services outside it.
_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def check_endpoint_form(url: str, *, field: str = "source.credentials.endpoint_url") -> tuple[str, int]:
    """Host and port of an ``http(s)://host[:port]`` address, without asking the network. ConfigError otherwise."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(
            "invalid_endpoint",
            "The endpoint is not an http:// or https:// address.",
            "Write it like https://storage.example.com:9000.",
            field=field,
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            "invalid_endpoint",
            "The endpoint carries a user name, a query or a fragment.",
            "Give scheme, host and port only; keys belong into the credentials.",
            field=field,
        )
    if host.rstrip(".").lower() in _METADATA_NAMES:
        raise _closed(host, field)
    return host, port or (443 if parts.scheme == "https" else 80)


def check_endpoint(
    url: str, allowed_networks: Sequence[str], *, field: str = "source.credentials.endpoint_url"
) -> None:
    """Resolves the endpoint's host and refuses it if any of its addresses is closed (metadata, link-local, multicast,
    unspecified) or private without standing in ``allowed_networks`` (CIDR). Raises ConfigError; AccessError or
    TransientError where the name cannot be resolved.
    """
    host, port = check_endpoint_form(url, field=field)
    allowed_addresses(host, port, allowed_networks, field=field)


def allowed_addresses(host: str, port: int, allowed_networks: Sequence[str], *, field: str) -> list[str]:
    """The host's addresses, every one of them checked as in :func:`check_endpoint`. Who connects to one of these, and
    does not ask for the name again, cannot be led elsewhere by a name that changes in between.
    """
    allowed = parse_networks(allowed_networks)
    found = _resolve(host, port)
    for address in found:
        plain = _unwrapped(address)
        if any(plain in network for network in _CLOSED) or plain.is_multicast or plain.is_unspecified:
            raise _closed(host, field)
        if not plain.is_global and not any(plain in network for network in allowed):
            raise ConfigError(
                "private_endpoint",
                f"The endpoint {host} is at {plain}, in a private network that is not allowed.",
                f"If it is meant, let the operator add its network to {SETTING}, for example {_network_of(plain)}.",
                field=field,
            )
    return [str(address) for address in found]


def is_closed(address: str) -> bool:
    """Whether no setting opens this address: the machine's own services (metadata, link-local)."""
    plain = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    return any(plain in network for network in _CLOSED)


def parse_networks(networks: Sequence[str]) -> tuple[Network, ...]:
    """CIDR texts (or single addresses) as networks. ConfigError names the setting."""
    try:
        return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in networks if text.strip())
    except ValueError as error:
        raise ConfigError(
            "invalid_allowed_networks",
            f"{SETTING} holds something that is no network: {error}.",
            "List networks in CIDR form, separated by commas, for example 10.0.0.0/8,192.168.1.0/24.",
        ) from None


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise TransientError(
                "name_not_resolved", f"The name {host} cannot be resolved at the moment.", "It is tried again."
            ) from None
        raise AccessError(
            "unknown_host", f"There is no host {host}.", "Check the endpoint's spelling and the machine's DNS."
        ) from None
    except (UnicodeError, OSError):
        raise ConfigError("invalid_endpoint", f"{host!r} is not a host name.", "Check the endpoint.") from None
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _network_of(address: Address) -> str:
    return f"{address}/{address.max_prefixlen}"


def _closed(host: str, field: str) -> ConfigError:
    return ConfigError(
        "closed_endpoint",
        f"The endpoint {host} belongs to the machine's own services (metadata, link-local) and is never opened.",
        "Give the address of the object store; no setting opens this one.",
        field=field,
    )
