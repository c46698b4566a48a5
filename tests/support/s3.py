"""An S3 server of the tests' own (moto), that checks signatures and rights as the real one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from autoloader.lib.processes import dying_with_parent, free_port

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class S3Server:
    """Started by the constructor; ``key`` and ``secret`` may do everything, any other key gets 403."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tempfile.NamedTemporaryFile(prefix="autoloader-s3-", suffix=".log")  # noqa: SIM115  # kept open
        command = [sys.executable, "-m", "tests.support.moto_server", "-H", "127.0.0.1", "-p", str(self.port)]
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MOTO_"))}
        self._process = subprocess.Popen(
            dying_with_parent(command),
            cwd=ROOT,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._wait()
            self.key, self.secret = self.create_user()
            self._enforce()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        limit = time.monotonic() + 60
        while True:
            try:
                self._post("/moto-api/reset")
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    raise RuntimeError(f"moto did not start:\n{Path(self._log.name).read_text()[-3000:]}") from None
                time.sleep(0.1)

    def _post(self, path: str, body: bytes = b"") -> None:
        # not as a form, which would be taken apart and leave no body
        request = urllib.request.Request(
            self.url + path, data=body, method="POST", headers={"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def _enforce(self) -> None:
        """From the next call on, keys and policies count."""
        self._post("/moto-api/reset-auth", b"0")

    def aws(self, service: str, *, key: str | None = None, secret: str | None = None, token: str | None = None) -> Any:
        """A boto3 client of any service of this server, by default with the key that may do everything."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # its name is a variable here
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key or getattr(self, "key", "setup"),
            aws_secret_access_key=secret or getattr(self, "secret", "setup"),
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    @property
    def s3(self) -> S3Client:
        client: S3Client = self.aws("s3")
        return client

    def create_user(self, policy: dict[str, Any] | None = None) -> tuple[str, str]:
        """Key and secret of a new user with this policy (default: may do everything)."""
        iam = self.aws("iam")
        name = f"user-{uuid.uuid4().hex[:10]}"
        iam.create_user(UserName=name)
        document = json.dumps(policy or _ALL)
        arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def create_bucket(self, name: str = "") -> str:
        """A new bucket; its name is made up unless it is given."""
        bucket = name or f"bucket-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=bucket)
        return bucket

    def put(self, bucket: str, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def credentials(self) -> dict[str, Any]:
        """What an ingestion's ``source.credentials`` says to reach this server."""
        return {
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "endpoint_url": self.url,
            "region_name": REGION,
            "path_style": True,
        }

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
