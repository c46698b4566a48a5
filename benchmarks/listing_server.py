"""An S3 server that only lists: real HTTP and XML, keys made up as they are asked for, a page in a few milliseconds.

``python -m benchmarks.listing_server PORT KEYS`` serves the bucket ``bench`` with ``in/orders-0000000.csv`` and so on.
``POST /keys?count=N`` changes how many there are. Signatures are not looked at.
"""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BUCKET, PREFIX = "bench", "in/"
PAGE = 1000
_KEY = re.compile(r"in/orders-(\d{0,7})")
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>bench</Name><Prefix>in/</Prefix><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>"
)
_ENTRY = (
    "<Contents><Key>in/orders-%07d.csv</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;0123456789abcdef%016x&quot;</ETag><Size>100</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def key(number: int) -> str:
    return f"{PREFIX}orders-{number:07d}.csv"


def etag(number: int) -> str:
    return f"0123456789abcdef{number:016x}"


def _first(query: dict[str, list[str]]) -> int:
    """The number of the first key to list."""
    if "continuation-token" in query:
        return int(query["continuation-token"][0])
    after = query.get("start-after", [""])[0]
    match = _KEY.match(after)
    if match is None:
        return 0
    number = int(match[1].ljust(7, "0") or 0)
    return number + (len(match[1]) == 7 and after >= key(number))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys = 0

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "location" in query:
            self._answer(b"<LocationConstraint/>")
            return
        start, most = _first(query), int(query.get("max-keys", ["1000"])[0])
        match = _KEY.match(query.get("prefix", [""])[0])
        if match is not None and len(match[1]) == 7:  # a look at one object
            start = int(match[1])
        end = min(start + most, Handler.keys)
        entries = "".join([_ENTRY % (number, number) for number in range(start, end)])
        more = end < Handler.keys
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        tail = f"<KeyCount>{max(0, end - start)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        self._answer(f"{_HEAD}{entries}{tail}</ListBucketResult>".encode())

    def do_POST(self) -> None:
        Handler.keys = int(parse_qs(urlsplit(self.path).query)["count"][0])
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a million keys are a thousand lines."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    disable_nagle_algorithm = True


def main() -> None:
    port, Handler.keys = int(sys.argv[1]), int(sys.argv[2])
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
