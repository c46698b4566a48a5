"""A webhook: an HTTPS server with a certificate of an authority of its own, that answers as it is told."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import ssl
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.serving import Serving


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Webhook(Serving):
    """``mode`` is a status, ``hang``, ``drip`` (a byte of the answer now and then) or ``close``; ``url`` its address;
    ``authority`` the file of certificates by which it is trusted (``SSL_CERT_FILE``)."""

    def __init__(self, folder: Path, *, mode: int | str = 200) -> None:
        self.mode = mode
        self.received: list[Received] = []
        super().__init__()
        self.authority = folder / "authority.pem"
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append(Received(self.path, dict(self.headers), body))
                with contextlib.suppress(OSError):
                    _answer(self, hook)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(folder, self.authority))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that trusts it not
        self.port = self.serve(server)
        self.url = f"https://127.0.0.1:{self.port}/hooks/alerts?key=sesame-sesame"


def _answer(handler: BaseHTTPRequestHandler, hook: Webhook) -> None:
    if hook.mode == "hang":
        hook.ended.wait(60)
    elif hook.mode == "drip":
        while not hook.ended.is_set():
            handler.wfile.write(b"H")
            time.sleep(0.05)
    elif hook.mode == "close":
        handler.connection.close()
    else:
        handler.send_response(int(hook.mode))
        if int(hook.mode) in (301, 302, 307):
            handler.send_header("Location", f"{hook.url}&elsewhere=1")
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def _certificate(folder: Path, authority: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority.write_bytes(public)
    both = folder / "server.pem"
    both.write_bytes(private + public)
    return both
