"""A mail server: it accepts, refuses, drops the line or says nothing, as it is told."""

from __future__ import annotations

import contextlib
import email
import email.policy
import socketserver
import time
from email.message import EmailMessage

from tests.support.serving import Serving


class MailServer(Serving):
    """``mode`` is ``accept``, ``refuse`` (the recipient), ``drop`` (in the middle of the message), ``hang`` or ``drip``
    (a byte now and then)."""

    def __init__(self) -> None:
        self.mode = "accept"
        self.received: list[EmailMessage] = []
        self.lines: list[str] = []
        super().__init__()
        mail = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    _talk(self, mail)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = self.serve(server)

    def environment(self) -> dict[str, str]:
        return {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(self.port)}


def _talk(handler: socketserver.StreamRequestHandler, mail: MailServer) -> None:
    def say(text: str) -> None:
        handler.wfile.write(f"{text}\r\n".encode())

    if mail.mode == "hang":
        mail.ended.wait(60)
        return
    if mail.mode == "drip":
        while not mail.ended.is_set():
            handler.wfile.write(b"2")
            time.sleep(0.1)
        return
    say("220 here")
    for raw in handler.rfile:
        line = raw.decode().strip()
        mail.lines.append(line)
        verb = line.partition(" ")[0].upper()
        if verb == "QUIT":
            say("221 bye")
            return
        if verb == "RCPT" and mail.mode == "refuse":
            say("550 5.1.1 nobody of that name")
            continue
        if verb != "DATA":
            say("250 fine")
            continue
        say("354 go on")
        if mail.mode == "drop":
            return
        lines = iter(handler.rfile.readline, b".\r\n")
        body = b"".join(line[1:] if line.startswith(b"..") else line for line in lines)
        mail.received.append(email.message_from_bytes(body, policy=email.policy.default))
        say("250 taken")
