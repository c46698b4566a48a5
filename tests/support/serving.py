"""Small servers of the tests' own, each in threads of this process."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Self


class Serving:
    """Serves until its ``with`` ends. ``ended``: what hangs on purpose lets go then."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def serve(self, server: socketserver.TCPServer) -> int:
        """Its port."""
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return int(server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
