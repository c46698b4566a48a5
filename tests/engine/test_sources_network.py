from __future__ import annotations

import socket
from typing import Any

import pytest

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError, TransientError
from autoloader.lib.network import check_endpoint, check_endpoint_form

EVERYTHING = ["0.0.0.0/0", "::/0"]


def verdict(url: str, allowed: list[str]) -> str:
    try:
        check_endpoint(url, allowed)
    except AutoloaderError as error:
        return error.code if error.hint else f"{error.code}, without a hint"
    return "open"


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "100.100.100.200",
        "168.63.129.16",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "2852039166",  # 169.254.169.254 as one number
    ],
)
def test_the_machines_own_services_are_closed_whatever_is_allowed(host: str) -> None:
    assert verdict(f"http://{host}/", EVERYTHING) == "closed_endpoint"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "[::1]", "100.64.1.1", "[fd12::1]"]
)
def test_private_networks_need_the_operators_word(host: str) -> None:
    assert verdict(f"https://{host}:9000", []) == "private_endpoint"
    assert verdict(f"https://{host}:9000", ["203.0.113.0/24"]) == "private_endpoint"
    assert verdict(f"https://{host}:9000", EVERYTHING) == "open"


def test_a_refusal_names_the_setting_and_the_field() -> None:
    with pytest.raises(ConfigError) as caught:
        check_endpoint("http://10.1.2.3", [])
    assert "AUTOLOADER_ALLOWED_NETWORKS" in caught.value.hint
    assert "10.1.2.3/32" in caught.value.hint
    assert caught.value.field == "source.credentials.endpoint_url"


def test_a_public_address_is_open() -> None:
    assert verdict("https://8.8.8.8", []) == "open"
    assert verdict("https://[2001:4860:4860::8888]:443", []) == "open"


def test_one_closed_address_of_several_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(*_arguments: Any, **_named: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert verdict("https://rebinding.example.com", EVERYTHING) == "closed_endpoint"


@pytest.mark.parametrize(("number", "class_"), [(socket.EAI_AGAIN, TransientError), (socket.EAI_NONAME, AccessError)])
def test_a_name_that_does_not_resolve(number: int, class_: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_arguments: Any, **_named: Any) -> list[Any]:
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    with pytest.raises(class_):
        check_endpoint("https://storage.example.com", [])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "storage:9000",
        "ftp://host",
        "http://",
        "http://user:secret@host",
        "http://host/?x=1",
        "http://host#x",
        "http://host:99999",
        "http://[::1",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_endpoint_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_endpoint_form(url)
    assert caught.value.code == "invalid_endpoint"
    assert "secret" not in str(caught.value)


def test_host_and_port_are_told() -> None:
    assert check_endpoint_form("https://storage.example.com") == ("storage.example.com", 443)
    assert check_endpoint_form("http://[::1]:9000/") == ("::1", 9000)


def test_a_setting_that_is_no_network_is_named() -> None:
    with pytest.raises(ConfigError, match="AUTOLOADER_ALLOWED_NETWORKS"):
        check_endpoint("https://8.8.8.8", ["10.0.0.0/99"])
