"""What S3 and its SDK say went wrong, in the product's own errors. The only place that reads the SDK's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import botocore.exceptions as sdk
from boto3.exceptions import Boto3Error

from autoloader.lib.errors import AccessError, AutoloaderError, ConfigError, FileError, TransientError

Made = Callable[[str, str], AutoloaderError]


def _access(code: str, message: str, hint: str) -> Made:
    return lambda what, detail: AccessError(code, message.format(what=what, detail=detail), hint)


def _config(code: str, message: str, hint: str, field: str) -> Made:
    return lambda what, detail: ConfigError(code, message.format(what=what, detail=detail), hint, field=field)


def _file(code: str, message: str, hint: str) -> Made:
    return lambda what, detail: FileError(code, message.format(what=what, detail=detail), hint, path=what)


def _transient(code: str, message: str, hint: str) -> Made:
    return lambda what, detail: TransientError(code, message.format(what=what, detail=detail), hint)


_NO_BUCKET = _access(
    "no_such_bucket",
    "There is no bucket for {what}.",
    "Check the bucket's name in source.path, and the endpoint it lies on.",
)
_DENIED = _access(
    "access_denied",
    "The storage refused access to {what}.{detail}",
    "The identity needs s3:ListBucket on the bucket and s3:GetObject on its objects.",
)
_UNKNOWN_KEY = _access(
    "unknown_access_key",
    "The storage does not know the access key given for {what}.",
    "Check aws_access_key_id, and that it belongs to this endpoint.",
)
_WRONG_SECRET = _access(
    "wrong_secret_key",
    "The secret key does not fit the access key given for {what}.",
    "Enter aws_secret_access_key again, without spaces around it.",
)
_EXPIRED = _access(
    "expired_token",
    "The session token given for {what} has expired or is not valid.",
    "Get new temporary keys, or use an assumed role, which renews them by itself.",
)
_REGION = _config(
    "wrong_region",
    "{what} lies in another region than the one given.{detail}",
    "Correct region_name in the credentials, or leave it empty for AWS.",
    "source.credentials.region_name",
)
_SKEW = _access(
    "clock_skew",
    "The clocks of this machine and of the storage differ too much ({what}).",
    "Set this machine's clock, best by NTP.",
)
_BUSY = _transient(
    "storage_busy", "The storage asks for fewer requests or is not available ({what}).", "It is tried again by itself."
)
_GONE = _file("file_gone", "{what} is not there any more.", "Put it back and retry it, or skip it in the ledger.")
_ARCHIVED = _file(
    "archived_object",
    "{what} lies in an archive storage class and cannot be read at once.",
    "Restore the object in the bucket, then retry it.",
)
_KEY_MANAGEMENT = _access(
    "kms_denied",
    "The storage could not decrypt {what} for this identity.{detail}",
    "Give the identity kms:Decrypt on the bucket's key, and check that the key is enabled.",
)
_BAD_NAME = _config("invalid_path", "The storage does not accept the name {what}.", "Check source.path.", "source.path")
_NOT_S3 = _config(
    "not_s3",
    "What answers at the endpoint does not speak the S3 protocol ({what}).",
    "Check endpoint_url: the address of the S3 service, not of its web console.",
    "source.credentials.endpoint_url",
)

#: code of S3's or STS's answer -> what it means.
_BY_CODE: dict[str, Made] = {
    "NoSuchBucket": _NO_BUCKET,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "NotSignedUp": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "UnrecognizedClientException": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": _WRONG_SECRET,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "301": _REGION,
    "RequestTimeTooSkewed": _SKEW,
    "RequestExpired": _SKEW,
    "NoSuchKey": _GONE,
    "NoSuchVersion": _GONE,
    "MethodNotAllowed": _GONE,
    "404": _GONE,
    "InvalidObjectState": _ARCHIVED,
    "InvalidBucketName": _BAD_NAME,
    "KeyTooLongError": _BAD_NAME,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "TooManyRequests": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "RequestTimeout": _BUSY,
    "BandwidthLimitExceeded": _BUSY,
}

_UNREACHABLE = _transient(
    "storage_unreachable",
    "The storage does not answer ({what}).",
    "Check endpoint_url and the network between; it is tried again by itself.",
)
_BROKEN = _transient("connection_lost", "The connection broke while reading {what}.", "It is tried again by itself.")
_TLS = _access(
    "tls_failed",
    "No trusted TLS connection to the storage came about ({what}).",
    "Check that the endpoint's certificate is valid, or write http:// where it has none.",
)
_NO_IDENTITY = _access(
    "no_ambient_identity",
    "This machine has no identity of its own for {what}.",
    "Give keys, or run where the environment has an AWS identity (role, profile, variables).",
)
_UNUSABLE = _config(
    "invalid_source",
    "The storage's client does not accept the settings for {what}.",
    "Check path, region and endpoint.",
    "source.path",
)

#: the SDK's own exceptions, the first that fits counts.
_BY_CLASS: tuple[tuple[type[Exception], Made], ...] = (
    (sdk.SSLError, _TLS),
    (sdk.NoCredentialsError, _NO_IDENTITY),
    (sdk.PartialCredentialsError, _NO_IDENTITY),
    (sdk.CredentialRetrievalError, _NO_IDENTITY),
    (sdk.ProfileNotFound, _NO_IDENTITY),
    (sdk.TokenRetrievalError, _NO_IDENTITY),
    (sdk.ResponseStreamingError, _BROKEN),
    (sdk.IncompleteReadError, _BROKEN),
    (sdk.HTTPClientError, _UNREACHABLE),  # connect, read and proxy failures are kinds of it
    (sdk.ConnectionError, _UNREACHABLE),
    (sdk.ParamValidationError, _BAD_NAME),
    (sdk.BotoCoreError, _UNUSABLE),
    (Boto3Error, _UNUSABLE),
)


@contextmanager
def translated(what: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Runs SDK calls about ``what`` (an address); their errors come out as ours, free of ``secrets``."""
    try:
        yield
    except sdk.ClientError as error:
        raise _of_answer(error, what, secrets) from None
    except (sdk.BotoCoreError, Boto3Error) as error:
        # It is no BotoCoreError of its own module's public list, and means an answer that is not S3's XML.
        if type(error).__name__ == "ResponseParserError":
            raise _NOT_S3(what, "") from None
        raise next(made for class_, made in _BY_CLASS if isinstance(error, class_))(what, "") from None


def _of_answer(error: sdk.ClientError, what: str, secrets: tuple[str, ...]) -> AutoloaderError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    meta = answer.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    detail = _clean(str(answer.get("Error", {}).get("Message", "")), secrets)
    if code.startswith("KMS"):
        return _KEY_MANAGEMENT(what, detail)
    if (made := _BY_CODE.get(code)) is not None:
        if made is _REGION:
            region = meta.get("HTTPHeaders", {}).get("x-amz-bucket-region") or answer.get("Error", {}).get("Region")
            detail = f" It is in {region}." if region else ""
        return made(what, detail)
    page = "html" in str(meta.get("HTTPHeaders", {}).get("content-type", ""))
    if page and status == 500:  # the SDK's word for a page in place of an answer
        return _NOT_S3(what, "")
    if status >= 500 or status == 429:
        return _BUSY(what, "")
    if status == 403:
        return _DENIED(what, detail)
    if not code or code == str(status):
        return _NOT_S3(what, "")
    return AccessError(
        "storage_refused", f"The storage refused the request for {what} ({code}).{detail}", "See the storage's own log."
    )


def _clean(message: str, secrets: tuple[str, ...]) -> str:
    """The storage's own sentence with a space before it, cut to 300 characters, secrets masked."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, "***")
    text = " ".join(message.split())[:300]
    return f" It says: {text}" if text and text.lower() not in ("access denied", "forbidden") else ""
