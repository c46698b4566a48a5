"""A fast S3 server for the benchmarks: versitygw, built by ``tools.bootstrap s3-server``. It serves a folder."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from autoloader.lib.processes import dying_with_parent, free_port
from tools.bootstrap import S3_SERVER_PROGRAM

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

REGION = "us-east-1"
START_SECONDS = 30.0


class FastS3:
    """Started by the constructor below ``folder``; ``key`` and ``secret`` may do everything."""

    def __init__(self, folder: Path) -> None:
        if not S3_SERVER_PROGRAM.exists():
            raise SystemExit("The benchmarks' S3 server is not built yet: `make bench` does that, with Go.")
        self.key, self.secret = "bench", secrets.token_hex(16)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        objects, identities = folder / "objects", folder / "identities"
        for each in (objects, identities):
            each.mkdir(parents=True)
        command = [
            str(S3_SERVER_PROGRAM), "--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive",
            "--iam-dir", str(identities), "posix", str(objects),
        ]  # fmt: skip
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                dying_with_parent(command),
                env={**os.environ, "ROOT_ACCESS_KEY": self.key, "ROOT_SECRET_KEY": self.secret},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait(folder / "server.log")

    def _wait(self, log: Path) -> None:
        limit = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    self.stop()
                    raise RuntimeError(f"versitygw did not start:\n{log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def client(self) -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=20),
        )

    def credentials(self) -> dict[str, Any]:
        """What an ingestion's ``source.credentials`` says to reach this server."""
        return {
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "endpoint_url": self.url,
            "region_name": REGION,
        }

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
