"""One Spark Connect session: opened, configured, watched, released. Nothing else in ``clusters`` imports PySpark.

Import this module only where a session is wanted: PySpark starts threads when it is imported, which a process that
forks later must not have.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import grpc  # type: ignore[import-untyped]  # its stubs are a package of their own
import pyspark.sql.connect.proto as pb2
from pyspark.sql.connect.client import ChannelBuilder
from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator
from pyspark.sql.connect.proto import base_pb2_grpc
from pyspark.sql.connect.session import SparkSession

from autoloader.lib.errors import DeadlineError, TransientError
from autoloader.lib.spark_errors import translate
from clusters import conf, url
from clusters.url import ConnectUrl, Target

#: a TCP connection, and then the HTTP/2 and TLS handshakes.
CONNECT_SECONDS = 10.0
#: the first answer: a server may be waking up.
FIRST_ANSWER_SECONDS = 60.0
#: any small question after that.
ANSWER_SECONDS = 20.0
RELEASE_SECONDS = 3.0
#: the user whose session it is, where the URL names none. Sessions are found again by user and id, so it must not
#: depend on who runs the process, as the client's own default does.
DEFAULT_USER = "autoloader"

#: the client's own policy waits ten minutes and more for a server that is gone.
_RETRIES = {"max_retries": 3, "initial_backoff": 50, "max_backoff": 500, "backoff_multiplier": 2.0}
_CHANNEL_OPTIONS = [
    # The port was tried directly before, so a proxy of the environment is not used here either.
    ("grpc.enable_http_proxy", 0),
    # Finds out that a silent connection is dead. Servers refuse to be asked more often than every five minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]
#: SQL that changes the session in ways that are not undone by restoring its configuration.
_CHANGES_SESSION = re.compile(
    r"(?is)(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:use|set\s+(?:catalog|path|variable|var)|cache|add|declare|create\s+(?:or\s+replace\s+)?(?:global\s+)?(?:temp|temporary))\b"
)


# The client acknowledges results from a thread of its own; one that comes after the session's end is no news.
warnings.filterwarnings("ignore", "ReleaseExecute failed", UserWarning)


def _fresh_release_threads() -> None:
    """PySpark's pool of threads that acknowledge results does not survive a fork, and does not notice."""
    ExecutePlanResponseReattachableIterator._release_thread_pool = None


os.register_at_fork(after_in_child=_fresh_release_threads)


def try_port(parts: ConnectUrl, seconds: float = CONNECT_SECONDS) -> None:
    """Raises :class:`TransientError` where nothing accepts connections."""
    where = parts.endpoint
    try:
        socket.create_connection((parts.host, parts.port), timeout=seconds).close()
    except socket.gaierror:
        raise TransientError(
            "host_unknown",
            f"The name {parts.host} of the Spark cluster does not resolve.",
            "Check the host in the Spark Connect URL, and the name service of this machine.",
        ) from None
    except TimeoutError:
        raise DeadlineError(
            "spark_deadline",
            f"The Spark cluster at {where} did not accept a connection within {seconds:g} s.",
            "Look whether it runs, and whether a firewall stands between.",
        ) from None
    except OSError as error:
        raise TransientError(
            "spark_unavailable",
            f"The Spark cluster at {where} cannot be reached: {(error.strerror or 'no connection').lower()}.",
            "Look whether it runs; test its connection.",
        ) from None


class Builder(ChannelBuilder):
    """The client's channel builder over parts that are parsed already: IPv6 hosts, values with ``=``, a token that
    never stands in a URL."""

    def __init__(
        self, parts: ConnectUrl, token: str | None, *, session_id: str = "", watch: _Watch | None = None
    ) -> None:
        super().__init__("sc://parsed", _CHANNEL_OPTIONS)
        self.host, _, _ = parts.endpoint.rpartition(":")
        self.port = parts.port
        self.params = {**parts.params, "user_id": parts.user_id or DEFAULT_USER, "session_id": session_id}
        if not session_id:
            del self.params["session_id"]
        if token:
            self.params[url.TOKEN] = token
        self._watch = watch

    def metadata(self) -> list[tuple[str, str]]:
        return [(key.lower(), value) for key, value in super().metadata()]

    def toChannel(self) -> grpc.Channel:
        channel = super().toChannel()
        return self._watch.over(channel) if self._watch else channel


class _Watch(grpc.UnaryStreamClientInterceptor, grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # untyped
    """Sees each request of a session: notes what will have to be undone, and lets no statement run in a session that
    a restarted server has made anew, without zone, views and credentials."""

    def __init__(self) -> None:
        self.channel: grpc.Channel = None
        self.verify: Callable[[], None] | None = None
        self.forget()

    def forget(self) -> None:
        """A new lease begins."""
        self.views: dict[str, bool] = {}  # name → global
        self.kept: list[Any] = []  # cached relations
        self.tainted = False

    def over(self, channel: grpc.Channel) -> grpc.Channel:
        self.channel = channel
        return grpc.intercept_channel(channel, self)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if isinstance(request, pb2.ExecutePlanRequest):
            self._note(request.plan)
            if self.verify is not None:
                self.verify()
        return continuation(details, request)

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        if isinstance(request, pb2.AnalyzePlanRequest):
            if request.HasField("persist"):
                self.kept.append(request.persist.relation)
            elif request.HasField("unpersist"):
                self.kept = [each for each in self.kept if each != request.unpersist.relation]
        elif details.timeout is None:  # answered from memory: an answer that takes long is none
            details = details._replace(timeout=ANSWER_SECONDS)
        return continuation(details, request)

    def _note(self, plan: Any) -> None:
        if plan.HasField("command"):
            match plan.command.WhichOneof("command_type"):
                case "create_dataframe_view":
                    view = plan.command.create_dataframe_view
                    self.views[view.name] = view.is_global
                case "sql_command":
                    self.tainted |= bool(_CHANGES_SESSION.match(plan.command.sql_command.sql))
                case "register_function" | "register_table_function":
                    self.tainted = True
        elif plan.root.HasField("catalog"):
            changes = ("set_current_database", "set_current_catalog", "cache_table")
            self.tainted |= plan.root.catalog.WhichOneof("cat_type") in changes


def _nothing() -> None:
    """Instead of the client's own close."""


def _untold(message: object) -> str:
    """Instead of the client's own text of a plan, which it makes for its log before it asks whether it has one: that of
    a thousand files takes longer than sending it."""
    return type(message).__name__


class Session:
    """A session on a server, configured as ``clusters.conf`` says. Errors are the product's own."""

    def __init__(self, target: Target, *, first_answer_seconds: float = FIRST_ANSWER_SECONDS) -> None:
        parts = url.parse(target.url, default_port=1)
        self.where = parts.endpoint
        try_port(parts)
        self._watch = _Watch()
        self._builder = Builder(parts, target.token, session_id=str(uuid.uuid4()), watch=self._watch)
        self.spark = SparkSession(connection=self._builder)
        self.session_id: str = self.spark.session_id
        self._client = self.spark.client
        # A session that is collected closes threads that all sessions of the process share, on whichever thread the
        # collector runs: seen to lock up for ever against a session that was just being used. We release by ourselves.
        self._client.close = _nothing  # type: ignore[method-assign]  # the collector calls it, see above
        self._client._proto_to_string = _untold  # type: ignore[method-assign,assignment]  # it has no switch for that
        self._client._retry_policy.update(_RETRIES)
        self._stub = _stub(self._watch.channel)
        self._marker = secrets.token_hex(8)
        self._baseline: dict[str, str] = {}
        try:
            self._await_channel()
            self._set({**conf.REDACTION, conf.MARKER: self._marker}, seconds=first_answer_seconds)
            self._set(conf.BASE)
            self._baseline = self._all()
        except BaseException:
            self.release()
            raise
        self._watch.verify = self._verify

    # ---- what a lease does

    def prepare(self, settings: Mapping[str, str]) -> None:
        """Sets what one lease needs beyond the base; it may hold secrets."""
        self._watch.forget()
        if settings:
            self._set(settings)

    def check(self) -> None:
        """Raises where the server is gone, or has lost the session."""
        try:
            self._verify(seconds=CONNECT_SECONDS)
        except grpc.RpcError as error:
            raise translate(error, f"looking after a session on {self.where}") from None

    def restore(self) -> bool:
        """Undoes what a lease has done. ``False``: something is left that cannot be undone."""
        if self._watch.tainted:
            return False
        for name, is_global in self._watch.views.items():
            (self.spark.catalog.dropGlobalTempView if is_global else self.spark.catalog.dropTempView)(name)
        for relation in list(self._watch.kept):
            self._client._analyze(method="unpersist", relation=relation, blocking=False)
        self._client.thread_local = threading.local()  # tags of every thread
        now = self._all()
        if changed := {key: value for key, value in self._baseline.items() if now.get(key) != value}:
            self._set(changed)
        if added := [key for key in now if key not in self._baseline]:
            self._config(pb2.ConfigRequest.Operation(unset=pb2.ConfigRequest.Unset(keys=added)))
        self._watch.forget()
        return True

    def interrupt_all(self, *, seconds: float = RELEASE_SECONDS) -> int:
        """Ends everything that still runs in the session; how many operations that were."""
        request = pb2.InterruptRequest(
            **self._identity(), interrupt_type=pb2.InterruptRequest.InterruptType.INTERRUPT_TYPE_ALL
        )
        return len(self._call(self._stub.Interrupt, request, seconds).interrupted_ids)

    def release(self) -> None:
        """Has the server end the session and all that runs in it, then closes the connection; never raises.

        The client's own ``stop`` ends neither, and closes threads that the process's other sessions use. A server
        before 4.0 knows no release: there the secrets are taken out of the session and its work is interrupted.
        """
        with contextlib.suppress(Exception):
            self._release()
        with contextlib.suppress(Exception):
            self._client._channel.close()
        self._client._closed = True

    def _release(self) -> None:
        # The 3.5 client has no message for this; the fields in question are those of an empty request to analyse.
        release = self._watch.channel.unary_unary(
            "/spark.connect.SparkConnectService/ReleaseSession",
            request_serializer=pb2.AnalyzePlanRequest.SerializeToString,
            response_deserializer=bytes,
        )
        try:
            self._call(release, pb2.AnalyzePlanRequest(**self._identity()), RELEASE_SECONDS)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            self.interrupt_all()
            extra = [key for key in self._all() if key not in self._baseline]
            self._config(pb2.ConfigRequest.Operation(unset=pb2.ConfigRequest.Unset(keys=extra)))

    # ---- small questions, past the client and its retries

    def _await_channel(self) -> None:
        try:
            grpc.channel_ready_future(self._watch.channel).result(timeout=CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise DeadlineError(
                "spark_deadline",
                f"The server at {self.where} takes connections, but nothing there spoke Spark Connect within "
                f"{CONNECT_SECONDS:g} s.",
                "Check the port, and whether the URL needs use_ssl=true.",
            ) from None

    def _verify(self, seconds: float = ANSWER_SECONDS) -> None:
        operation = pb2.ConfigRequest.Operation(get_option=pb2.ConfigRequest.GetOption(keys=[conf.MARKER]))
        pairs = self._call(self._stub.Config, self._config_request(operation), seconds).pairs
        if not pairs or pairs[0].value != self._marker:
            self._watch.tainted = True
            raise TransientError(
                "spark_session_lost",
                f"The Spark server at {self.where} was restarted or has dropped our session.",
                "The work starts again in a new session.",
            )

    def _set(self, pairs: Mapping[str, str], seconds: float = ANSWER_SECONDS) -> None:
        values = [pb2.KeyValue(key=key, value=value) for key, value in pairs.items()]
        self._config(pb2.ConfigRequest.Operation(set=pb2.ConfigRequest.Set(pairs=values)), seconds)

    def _all(self) -> dict[str, str]:
        answer = self._config(pb2.ConfigRequest.Operation(get_all=pb2.ConfigRequest.GetAll()))
        return {pair.key: pair.value for pair in answer.pairs}

    def _config(self, operation: Any, seconds: float = ANSWER_SECONDS) -> Any:
        try:
            return self._call(self._stub.Config, self._config_request(operation), seconds)
        except grpc.RpcError as error:
            raise translate(error, f"configuring a session on {self.where}") from None

    def _config_request(self, operation: Any) -> Any:
        return pb2.ConfigRequest(**self._identity(), operation=operation)

    def _identity(self) -> dict[str, Any]:
        return _identity(self._builder, self.session_id)

    def _call(self, method: Callable[..., Any], request: Any, seconds: float) -> Any:
        return method(request, metadata=self._builder.metadata(), timeout=seconds)


def interrupt(target: Target, session_id: str, tag: str) -> list[str]:
    """Interrupts the operations with this tag in a session that any process has opened; their ids.

    A session that the server does not know (any more) has nothing to interrupt.
    """
    parts = url.parse(target.url, default_port=1)
    try_port(parts)
    builder = Builder(parts, target.token, session_id=session_id)
    request = pb2.InterruptRequest(
        **_identity(builder, session_id),
        interrupt_type=pb2.InterruptRequest.InterruptType.INTERRUPT_TYPE_TAG,
        operation_tag=tag,
    )
    with builder.toChannel() as channel:
        stub = _stub(channel)
        try:
            answer = stub.Interrupt(request, metadata=builder.metadata(), timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            if "INVALID_HANDLE.SESSION" in str(error):
                return []
            raise translate(error, f"interrupting a statement on {parts.endpoint}") from None
    return list(answer.interrupted_ids)


def _stub(channel: grpc.Channel) -> Any:
    make: Any = base_pb2_grpc.SparkConnectServiceStub  # generated code without types
    return make(channel)


def _identity(builder: Builder, session_id: str) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "user_context": pb2.UserContext(user_id=builder.params["user_id"]),
        "client_type": builder.userAgent,
    }
