"""S3 without a store: what a configuration means, and what answers of stores are told as."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError, FileError, TransientError
from autoloader.lib.processes import free_port
from ingestions.engine import config
from ingestions.engine.sources import open_source, validate
from ingestions.engine.sources.base import Source
from ingestions.engine.sources.s3_errors import translated
from tests.engine.stores import LOOPBACK


def s3(path: str = "s3://bucket/in/", **credentials: Any) -> Source:
    source = config.Source(type="s3", path=path)
    keys = config.Credentials.model_validate({"aws_access_key_id": "k", "aws_secret_access_key": "s", **credentials})
    return open_source(source, keys, local_roots=(), allowed_networks=LOOPBACK, alias_key="k")


def test_an_endpoint_in_a_private_network_needs_the_operators_word() -> None:
    source = config.Source(type="s3", path="s3://bucket/")
    for endpoint, code in (
        ("http://127.0.0.1:9000", "private_endpoint"),
        ("http://169.254.169.254", "closed_endpoint"),
    ):
        keys = config.Credentials(aws_access_key_id="k", aws_secret_access_key="s", endpoint_url=endpoint)
        with pytest.raises(ConfigError) as caught:
            open_source(source, keys, local_roots=(), allowed_networks=(), alias_key="k")
        assert caught.value.code == code


def test_path_style_follows_the_endpoint_unless_it_is_given() -> None:
    def style(path: str = "s3://bucket/", **credentials: Any) -> str:
        with closing(s3(path, region_name="eu-west-1", **credentials)) as source:
            return source.spark_access().conf["fs.s3a.path.style.access"]

    assert style() == "false"
    assert style("s3://with.dots/") == "true"
    assert style(endpoint_url="http://127.0.0.1:9000") == "true"
    assert style(endpoint_url="http://127.0.0.1:9000", path_style=False) == "false"


def test_tls_is_off_only_for_a_plain_endpoint() -> None:
    with closing(s3(endpoint_url="https://127.0.0.1:9000")) as source:
        assert source.spark_access().conf["fs.s3a.connection.ssl.enabled"] == "true"
    with closing(s3(region_name="eu-central-1")) as source:
        conf = source.spark_access().conf
    assert conf["fs.s3a.endpoint.region"] == "eu-central-1"
    assert "fs.s3a.endpoint" not in conf


def test_an_endpoint_that_does_not_answer_may_answer_later() -> None:
    with (
        closing(s3(endpoint_url=f"http://127.0.0.1:{free_port()}")) as source,
        pytest.raises(TransientError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "storage_unreachable"
    assert "endpoint_url" in caught.value.hint


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """An HTTP server that gives the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error_body(code: str, message: str = "m") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "answer", "class_", "code"),
    [
        (403, "RequestTimeTooSkewed", AccessError, "clock_skew"),
        (400, "ExpiredToken", AccessError, "expired_token"),
        (400, "AuthorizationHeaderMalformed", ConfigError, "wrong_region"),
        (404, "NoSuchKey", FileError, "file_gone"),
        (403, "InvalidObjectState", FileError, "archived_object"),
        (400, "KMS.DisabledException", AccessError, "kms_denied"),
        (403, "SomethingNew", AccessError, "access_denied"),
        (409, "SomethingElse", AccessError, "storage_refused"),
    ],
)
def test_each_answer_of_the_store_is_told_apart(status: int, answer: str, class_: type[Exception], code: str) -> None:
    with (
        answering(status, error_body(answer), Content_Type="application/xml") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(AutoloaderError) as caught,
    ):
        source.read_range("s3://bucket/in/x.csv", 0, 10)
    assert (type(caught.value), caught.value.code) == (class_, code)
    assert "s3://bucket/in/x.csv" in caught.value.message
    assert caught.value.hint


def test_a_store_that_is_busy_may_answer_later() -> None:
    with (
        answering(503, error_body("SlowDown")) as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(TransientError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "storage_busy"


def test_the_right_region_is_named_where_the_store_tells_it() -> None:
    body = error_body("PermanentRedirect")
    with (
        answering(301, body, x_amz_bucket_region="eu-west-3") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(ConfigError, match="eu-west-3") as caught,
    ):
        list(source.list())
    assert caught.value.code == "wrong_region"


def test_a_web_page_in_place_of_a_store_is_told() -> None:
    with (
        answering(200, b"<html><p>Welcome", Content_Type="text/html") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(ConfigError) as caught,
    ):
        list(source.list())
    assert caught.value.code == "not_s3"


def test_a_connection_that_breaks_in_the_middle_is_tried_again_and_then_told() -> None:
    with (
        answering(200, b"half", Content_Length="4000") as url,
        closing(s3(endpoint_url=url)) as source,
        pytest.raises(TransientError) as caught,
    ):
        source.read_range("s3://bucket/in/x.csv", 0, 4000)
    assert caught.value.code == "connection_lost"


def test_what_the_store_says_is_quoted_without_our_secrets() -> None:
    from botocore.exceptions import ClientError

    answer: Any = {"Error": {"Code": "AccessDenied", "Message": "the key KEYID with TOPSECRET may not"}}
    with pytest.raises(AccessError) as caught, translated("s3://b/x", ("KEYID", "TOPSECRET")):
        raise ClientError(answer, "GetObject")
    assert "It says: the key *** with *** may not" in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("bucket/in/", "s3://"),
        ("gs://bucket/in/", "s3://"),
        ("s3://", "bucket"),
        ("s3:///in/", "bucket"),
        ("s3://bucket/a/../b/", ".."),
        ("s3://bucket/a//b/", "empty"),
        ("s3://buc ket/in/", "bucket"),
    ],
)
def test_paths_that_no_bucket_can_have_are_refused(path: str, part: str) -> None:
    with pytest.raises(ConfigError, match=r"path|bucket") as caught:
        validate(config.Source(type="s3", path=path), None, local_roots=())
    assert caught.value.field == "source.path"
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "credentials",
    [
        {"aws_access_key_id": "k"},
        {"aws_secret_access_key": "s"},
        {"aws_session_token": "t"},
        {"aws_access_key_id": "k", "aws_secret_access_key": "s", "ambient": True},
        {"aws_access_key_id": "k", "aws_secret_access_key": "s", "endpoint_url": "localhost:9000"},
        {"aws_access_key_id": "k", "aws_secret_access_key": "s", "endpoint_url": "http://u:p@host"},
    ],
)
def test_credentials_that_cannot_work_are_refused_before_any_request(credentials: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(config.Source(type="s3", path="s3://bucket/"), config.Credentials(**credentials), local_roots=())
    assert (caught.value.field or "").startswith("source.credentials")


def test_other_spellings_of_the_scheme_mean_the_same_store() -> None:
    for path in ("s3a://bucket/in", "s3n://bucket/in/", "S3://bucket/in/"):
        with closing(s3(path, endpoint_url=f"http://127.0.0.1:{free_port()}")) as source:
            assert repr(source) == "S3Source('s3://bucket/in/')"


def test_a_store_without_etags_has_versions_of_time_and_size() -> None:
    body = (
        b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>in/x</Key>"
        b"<LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag></ETag><Size>7</Size></Contents></ListBucketResult>"
    )
    with answering(200, body, Content_Type="application/xml") as url, closing(s3(endpoint_url=url)) as source:
        (file,) = list(source.list())
    assert file.version == "1767323045678000000-7"
    assert file.modified_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises((AccessError, TransientError)) as caught:
        s3(endpoint_url="https://no-such-host.invalid")
    assert caught.value.code in ("unknown_host", "name_not_resolved")
    assert socket.getdefaulttimeout() is None
