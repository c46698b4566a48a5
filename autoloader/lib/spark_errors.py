"""What Spark and gRPC raise, turned into the product's own errors.

Nothing here imports PySpark: an exception is known by its class name, its ``code()`` and its text, so that the engine
and the clusters can share this. The 3.5 client knows no error classes (``getErrorClass()`` is ``None``) and loses the
gRPC status, so both are read out of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from autoloader.lib.errors import AccessError, AutoloaderError, DeadlineError, FatalError, TransientError

#: characters of Spark's own words that a message of ours may hold.
LONGEST_MESSAGE = 600

_STACK = re.compile(r"\n\s*(?:JVM stacktrace:|Driver stacktrace:|== SQL|== SQL ==|\s+at [\w.$]+\()")
_LEADING_CLASS = re.compile(r"^\s*(?:\([\w.$]+\)\s*)?\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")
_ANY_CLASS = re.compile(r"\[([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?:\.[A-Z0-9_]+)*)\]")
_STATUS = re.compile(r"status = StatusCode\.([A-Z_]+)")
_DETAILS = re.compile(r'details = "((?:[^"\\]|\\.)*)"')
_JAVA_CLASS = re.compile(r"^\s*\([\w.$]+\)\s*")
_TASK = re.compile(
    r"Job aborted due to stage failure:.*?\(TID \d+\)(?: \([^)]*\))?:\s*(?:[\w.$]+(?:Exception|Error):\s*)?", re.S
)
_SQLSTATE = re.compile(r"\s*SQLSTATE: [0-9A-Z]{5}")

_SENSITIVE = (
    r"[\w.-]*(?:secret|password|passwd|token|access[._-]?key|account[._-]?key|private[._-]?key|credential|sas)[\w.-]*"
)
_SCRUB: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|$)", re.S), "***"),
    (re.compile(rf"(?i)(\b{_SENSITIVE}[\"']?\s*(?:=|:|->)\s*[\"']?)(?!\s)[^\s\"',;&}}]+"), r"\1***"),
    (re.compile(rf"(?i)(\bkey: \"{_SENSITIVE}\"\s+value: \")[^\"]*"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?i)([?&](?:sig|x-amz-signature|x-amz-credential|x-goog-signature)=)[^&\s\"']+"), r"\1***"),
    (re.compile(r"(\w://)[^/\s:@]+:[^/\s@]+@"), r"\1***@"),
    # The alias scheme of a store is as good as its key: whoever knows it reads through the server's open connections.
    (re.compile(r"\bal[0-9a-f]{6,64}(?=:/)"), "store"),
)


def error_class(exc: BaseException) -> str | None:
    """Spark's error class (``TABLE_OR_VIEW_NOT_FOUND``, ``INVALID_HANDLE.SESSION_CLOSED``), ``None`` where the text
    names none. Where a task failed, the class of the task's own error."""
    text = str(exc)
    found = _LEADING_CLASS.search(text) or _ANY_CLASS.search(_STACK.split(text, maxsplit=1)[0])
    return found.group(1) if found else None


def grpc_status(exc: BaseException) -> str | None:
    """The name of the gRPC status (``UNAVAILABLE``), ``None`` where the exception carries none."""
    code = getattr(exc, "code", None)
    if callable(code):
        name = getattr(code(), "name", None)
        if isinstance(name, str):
            return name
    found = _STATUS.search(str(exc))
    return found.group(1) if found else None


def short_message(exc: BaseException) -> str:
    """What Spark said, without stack traces, plans, Java class names and secrets; one paragraph at most
    ``LONGEST_MESSAGE`` characters long."""
    text = str(exc)
    if details := _DETAILS.search(text):
        text = details.group(1).replace('\\"', '"')
    text = _STACK.split("\n" + text, maxsplit=1)[0]
    text = _TASK.sub("", _JAVA_CLASS.sub("", text.strip()))
    text = _LEADING_CLASS.sub("", text).strip()
    text = _SQLSTATE.sub("", text).partition("\n")[0].strip().rstrip(";")
    text = scrub(text) or type(exc).__name__
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def scrub(text: str) -> str:
    """The text without anything that looks like a secret."""
    for pattern, replacement in _SCRUB:
        text = pattern.sub(replacement, text)
    return text


def is_spark_error(exc: BaseException) -> bool:
    """Whether the Spark client or gRPC raised it: these are the errors that :func:`translate` is for."""
    return any(kind.__module__.split(".")[0] in ("pyspark", "grpc") for kind in type(exc).__mro__)


def translate(exc: BaseException, what: str) -> AutoloaderError:
    """The product's error for ``exc``; one that is the product's own already is given back as it is.

    ``what`` says what was being done, so that it fits behind “while” (``staging a batch into lake.shop.orders``).
    """
    if isinstance(exc, AutoloaderError):
        return exc
    return _by_status(exc, what) or _by_class(exc, what) or _by_text(exc, what) or _unknown(exc, what)


@dataclass(frozen=True)
class _Rule:
    """One kind of failure. ``said``: Spark's own words belong into the message."""

    kind: type[AutoloaderError]
    code: str
    message: str
    hint: str
    said: bool = True

    def make(self, exc: BaseException, what: str) -> AutoloaderError:
        message = f"{self.message} while {what}"
        return self.kind(self.code, f"{message}: {short_message(exc)}" if self.said else f"{message}.", self.hint)


_GONE = _Rule(
    TransientError,
    "spark_unavailable",
    "The Spark cluster could not be reached",
    "Look whether the cluster runs; test its connection.",
    said=False,
)
_LATE = _Rule(
    DeadlineError,
    "spark_deadline",
    "The Spark cluster did not answer in time",
    "It may be asleep or busy; try again in a minute, or test its connection.",
    said=False,
)
_LOST = _Rule(
    TransientError,
    "spark_session_lost",
    "The cluster no longer knew our Spark session",
    "The cluster restarted or dropped the session; the work starts again in a new one.",
    said=False,
)
_INTERRUPTED = _Rule(
    TransientError,
    "spark_interrupted",
    "The statement was interrupted on the cluster",
    "It is tried again.",
    said=False,
)
_REFUSED = _Rule(
    AccessError,
    "spark_access_denied",
    "Access was denied",
    "Check the credentials of the source, and what the cluster's user may do.",
)
_CONTENTION = _Rule(
    TransientError, "commit_contention", "Somebody else changed the table", "It is tried again.", said=False
)
_STORE_BUSY = _Rule(
    TransientError, "storage_unavailable", "The cluster could not reach the storage", "It is tried again."
)
_MEMORY = _Rule(
    FatalError, "spark_resources", "The cluster ran out of memory or disk", "Use smaller batches or a larger cluster."
)

_STATUSES: dict[str, _Rule] = {
    "UNAVAILABLE": _GONE,
    "ABORTED": _GONE,
    "DEADLINE_EXCEEDED": _LATE,
    "CANCELLED": _INTERRUPTED,
    "UNAUTHENTICATED": _Rule(
        AccessError,
        "spark_unauthenticated",
        "The Spark cluster did not accept the token",
        "Enter a valid token for this cluster.",
        said=False,
    ),
    "PERMISSION_DENIED": _Rule(
        AccessError,
        "spark_permission_denied",
        "The Spark cluster refused us",
        "Check the token, and that its owner may use this cluster.",
    ),
    "UNIMPLEMENTED": _Rule(
        FatalError,
        "not_spark_connect",
        "The server does not speak Spark Connect",
        "Check host and port: Spark Connect listens on 15002 unless configured otherwise.",
        said=False,
    ),
}

#: by the error class or the part of it before the first dot.
_CLASSES: dict[str, _Rule] = {
    "INVALID_HANDLE": _LOST,
    "NO_ACTIVE_SESSION": _LOST,
    "OPERATION_CANCELED": _INTERRUPTED,
    "PATH_NOT_FOUND": _Rule(
        AccessError,
        "path_not_found",
        "A path was not found",
        "Check that it exists and that the cluster can reach its storage.",
    ),
    "TABLE_OR_VIEW_NOT_FOUND": _Rule(
        FatalError, "table_not_found", "A table was not found", "Check catalog, database and table of the destination."
    ),
    "SCHEMA_NOT_FOUND": _Rule(
        FatalError, "database_not_found", "A database was not found", "Create it, or choose another destination."
    ),
    "CATALOG_NOT_FOUND": _Rule(
        FatalError, "catalog_not_found", "A catalog was not found", "Configure it on the cluster, or choose another."
    ),
}

#: by what the text says, first match first; for what has no error class of its own.
_TEXTS: tuple[tuple[re.Pattern[str], _Rule], ...] = (
    (re.compile(r"INVALID_HANDLE|SESSION_(?:CLOSED|CHANGED|NOT_FOUND)"), _LOST),
    (re.compile(r"(?i)stopped SparkContext|SparkContext (?:was|has been) (?:shut down|stopped)"), _GONE),
    (
        re.compile(r"(?i)cancel?led by (?:the )?user|operation.{0,60}interrupted|part of cancelled job (?:group|tag)"),
        _INTERRUPTED,
    ),
    (
        re.compile(
            r"CommitFailedException|CommitStateUnknownException|metadata refresh is required"
            r"|Version \d+ already exists|is not an ancestor of"
        ),
        _CONTENTION,
    ),
    (
        re.compile(
            r"AccessDenied|Access Denied|Status Code: 40[13]|\b403 Forbidden|\b401 Unauthorized|InvalidAccessKeyId"
            r"|SignatureDoesNotMatch|AuthorizationFailure|AuthenticationFailed|AccessControlException|NoSuchBucket"
            r"|(?i:not authorized|permission denied|does not have .{0,40}(?:permission|privilege))"
        ),
        _REFUSED,
    ),
    (re.compile(r"OutOfMemoryError|No space left on device|exceeds .{0,40}maxResultSize"), _MEMORY),
    (
        re.compile(
            r"UnknownHostException|ConnectException|ConnectTimeout|SocketTimeout|Connection (?:refused|reset)"
            r"|SlowDown|Status Code: 50[0234]|Read timed out"
        ),
        _STORE_BUSY,
    ),
)


def _by_status(exc: BaseException, what: str) -> AutoloaderError | None:
    if isinstance(exc, TimeoutError) or type(exc).__name__ == "FutureTimeoutError":
        return _LATE.make(exc, what)
    if isinstance(exc, OSError):
        return _GONE.make(exc, what)
    status = grpc_status(exc)
    if status == "RESOURCE_EXHAUSTED":
        return (_MEMORY if "larger than max" in str(exc) else _GONE).make(exc, what)
    rule = _STATUSES.get(status or "")
    return rule.make(exc, what) if rule else None


def _by_class(exc: BaseException, what: str) -> AutoloaderError | None:
    name = error_class(exc)
    rule = _CLASSES.get(name.partition(".")[0]) if name else None
    return rule.make(exc, what) if rule else None


def _by_text(exc: BaseException, what: str) -> AutoloaderError | None:
    text = str(exc)
    for pattern, rule in _TEXTS:
        if pattern.search(text):
            return rule.make(exc, what)
    return None


def _unknown(exc: BaseException, what: str) -> AutoloaderError:
    return FatalError(
        (error_class(exc) or "spark_error").lower(),
        f"Spark failed while {what}: {short_message(exc)}",
        "The cluster's log has the details.",
    )
