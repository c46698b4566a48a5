"""Spark Connect URLs: ``sc://host[:port][/;key=value;…]``, with the token kept apart."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote, unquote

from autoloader.lib.errors import ConfigError

SCHEME = "sc://"
#: shown instead of a token that is set; sent back, it keeps that token.
MASK = "***"
TOKEN = "token"  # noqa: S105  # the name of the part
_FORM = "Write it as sc://host:port/;key=value, for example sc://spark.example.com:15002/;use_ssl=true;user_id=loader."
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True)
class ConnectUrl:
    """One URL in its parts. ``host`` is without the brackets of an IPv6 address, ``params`` are decoded and in the
    order they were written, without the token."""

    host: str
    port: int
    params: Mapping[str, str] = field(default_factory=dict)
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """The URL without its token: fit for pages, logs and the database."""
        params = ";".join(f"{key}={quote(value, safe=_UNQUOTED)}" for key, value in self.params.items())
        return f"{SCHEME}{self.endpoint}" + (f"/;{params}" if params else "")

    @property
    def endpoint(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def use_ssl(self) -> bool:
        """What the URL itself asks for; a token always travels over TLS, whatever stands here."""
        return self.params.get("use_ssl", "").lower() == "true"

    @property
    def user_id(self) -> str | None:
        return self.params.get("user_id") or None


@dataclass(frozen=True)
class Target:
    """How to reach a cluster: its URL without the token, and the token."""

    url: str
    token: str | None = field(default=None, repr=False)


#: characters that may stand in a value as they are.
_UNQUOTED = "!$&'()*+,/:=?@[]~"


def parse(text: str, *, default_port: int) -> ConnectUrl:
    """The URL's parts. Raises :class:`ConfigError` (field ``spark_connect_url``) that says what is wrong and never
    repeats a token."""
    text = text.strip()
    if not text.lower().startswith(SCHEME):
        raise _wrong("The Spark Connect URL must start with sc://.", _FORM)
    if _FORBIDDEN.search(text):
        raise _wrong("The Spark Connect URL holds a space or a control character.", "Write such characters as %20.")
    address, semicolon, rest = text[len(SCHEME) :].partition(";")
    authority, slash, path = address.partition("/")
    if path or (semicolon and not slash):
        raise _wrong("The Spark Connect URL has a path.", f"Parameters begin with “/;” right behind the port. {_FORM}")
    if "?" in authority or "#" in authority:
        raise _wrong("The Spark Connect URL has a query.", _FORM)
    if "@" in authority:
        raise _wrong(
            "The Spark Connect URL has a user name or password before the host.",
            "Put the user into ;user_id=… and enter the token in its own field.",
        )
    host, port = _host_and_port(authority, default_port)
    params = _params(rest)
    token = params.pop(TOKEN, None) or None
    return ConnectUrl(host, port, MappingProxyType(params), token)


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    if authority.startswith("["):
        address, bracket, after = authority[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise _wrong("The IPv6 address in the Spark Connect URL is not closed.", "Write it as sc://[::1]:15002.")
        try:
            host = str(ipaddress.IPv6Address(address))
        except ValueError:
            raise _wrong(f"{address} is not an IPv6 address.", "Write it as sc://[::1]:15002.") from None
        return host, _port(after[1:], default_port)
    if authority.count(":") > 1:
        raise _wrong("The host of the Spark Connect URL has several colons.", "Write an IPv6 address in brackets.")
    host, _, port = authority.partition(":")
    return _host(host), _port(port, default_port)


def _host(host: str) -> str:
    if not host:
        raise _wrong("The Spark Connect URL names no host.", _FORM)
    try:
        ascii_host = host.encode("idna").decode().lower()
    except UnicodeError:
        ascii_host = ""
    labels = ascii_host.removesuffix(".").split(".")
    if len(ascii_host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _wrong("The host of the Spark Connect URL is not a host name.", _FORM)
    if labels[-1].isdigit():  # a name never ends in a number: it is meant as an address
        try:
            ipaddress.IPv4Address(ascii_host)
        except ValueError:
            raise _wrong(f"{ascii_host} is not an IP address.", _FORM) from None
    return ascii_host


def _port(text: str, default_port: int) -> int:
    if not text:
        return default_port
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise _wrong("The port of the Spark Connect URL is not a number from 1 to 65535.", _FORM)
    return int(text)


def _params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for number, part in enumerate(filter(None, text.split(";")), start=1):
        key, equals, value = part.partition("=")
        if not equals or not _KEY.fullmatch(key):
            # Not named: it may be a token that lost its name.
            raise _wrong(f"Parameter {number} of the Spark Connect URL is not of the form key=value.", _FORM)
        if key in params:
            raise _wrong(f"The Spark Connect URL sets {key} twice.", "Keep one of them.")
        params[key] = unquote(value)
        if re.search(r"[\x00-\x1f\x7f]", params[key]):
            raise _wrong(f"The value of {key} in the Spark Connect URL holds a control character.", "Remove it.")
    _check_values(params)
    return params


def _check_values(params: Mapping[str, str]) -> None:
    if params.get("use_ssl", "true").lower() not in ("true", "false"):
        raise _wrong("use_ssl in the Spark Connect URL is neither true nor false.", "Write ;use_ssl=true.")
    for key, value in params.items():
        if not value.isascii() and key not in ("user_id", "user_agent"):  # the others become HTTP headers
            raise _wrong(f"The value of {key} in the Spark Connect URL is not plain ASCII.", _FORM)
    if "session_id" in params:
        try:
            uuid.UUID(params["session_id"])
        except ValueError:
            raise _wrong(
                "session_id in the Spark Connect URL is not a UUID.", "Remove it: sessions are ours."
            ) from None


def _wrong(message: str, hint: str) -> ConfigError:
    return ConfigError("invalid_spark_connect_url", message, hint, field="spark_connect_url")
