"""The connection test: step by step, each with a verdict in seconds and, where it fails, what to do about it.

It changes nothing that stays: what the step ``may create`` makes has a name of its own and is dropped again.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from autoloader.lib.bounded import Bounded
from autoloader.lib.errors import AutoloaderError, DeadlineError
from autoloader.lib.network import is_closed
from autoloader.lib.spark_errors import is_spark_error, translate
from autoloader.lib.spark_formats import jars
from clusters.abilities import StepFailed, create, extensions, formats, iceberg_catalogs, latency
from clusters.reach import answers, is_loopback, own_addresses
from clusters.url import ConnectUrl, Target, parse

T = TypeVar("T")

OLDEST = (3, 5)
NETWORK_SECONDS = 5.0
STATEMENT_SECONDS = 20.0
CREATE_SECONDS = 40.0
AWAKE_SECONDS = 60.0
#: an answer that takes longer comes from a cluster that had been asleep.
ASLEEP_SECONDS = 8.0


@dataclass(frozen=True)
class Check:
    """One step. ``ok`` with ``warning``: it works, and still a person should look."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    warning: bool = False
    seconds: float = 0.0


@dataclass
class Probe:
    """What is known of a cluster after its test; ``latency_ms`` is one trivial statement's."""

    checks: list[Check] = field(default_factory=list)
    spark_version: str | None = None
    catalogs: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    latency_ms: int | None = None

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As REST answers it and as it is kept with the cluster."""
        return {
            "status": "success" if self.ok else "failed",
            "spark_version": self.spark_version,
            "iceberg": bool(self.catalogs),
            "catalogs": self.catalogs,
            "formats": self.formats,
            "latency_ms": self.latency_ms,
            "checks": [check.__dict__ for check in self.checks],
        }


class _Stop(Exception):
    """A step failed that all later ones need."""


def probe(target: Target, *, catalog: str = "", budget_seconds: float = 180.0) -> Probe:
    """Tests the cluster; never raises for anything that is wrong with it. ``catalog`` is where tables are to be made;
    without one it is the only Iceberg catalog, where there is only one. ``budget_seconds`` bounds all steps together.
    """
    return _Prober(target, catalog, budget_seconds).run()


class _Prober:
    def __init__(self, target: Target, catalog: str, budget_seconds: float) -> None:
        self.target = target
        self.catalog = catalog
        self.parts: ConnectUrl = parse(target.url, default_port=1)
        self.deadline = time.monotonic() + budget_seconds
        self.result = Probe()
        self.session: Any = None

    def run(self) -> Probe:
        began = time.monotonic()
        try:
            self._reach()
            self._open()
            self._look()
        except _Stop:
            pass
        finally:
            if self.session is not None:
                self.session.release()
        self._add(Check("time", True, f"The test took {time.monotonic() - began:.1f} s."))
        return self.result

    # ---- the network

    def _reach(self) -> None:
        with self._step("name"):
            addresses = self._within(NETWORK_SECONDS, "the name service", self._resolve)
            if closed := [address for address in addresses if is_closed(address)]:
                # Clusters live in private networks, so those are open; a machine's own metadata service never is.
                raise StepFailed(
                    f"{self.parts.host} is at {closed[0]}, an address of the machine's own services.",
                    "Give the address of the cluster.",
                )
            self._say(f"{self.parts.host} is at {', '.join(addresses[:3])}.")
        with self._step("port"):
            self._connect().close()
            self._say(f"{self.parts.endpoint} accepts connections.")
        self._tls()
        self._open_port()

    def _resolve(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self.parts.host, self.parts.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise StepFailed(
                f"The name {self.parts.host} does not resolve: {error.strerror}.",
                "Check the host in the URL, and whether this machine's name service knows it.",
            ) from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _connect(self) -> socket.socket:
        try:
            return socket.create_connection((self.parts.host, self.parts.port), timeout=self._left(NETWORK_SECONDS))
        except TimeoutError:
            raise StepFailed(
                f"{self.parts.endpoint} does not answer within {NETWORK_SECONDS:g} s.",
                "Look whether the cluster runs, and whether a firewall or a security group stands between.",
            ) from None
        except OSError as error:
            raise StepFailed(
                f"{self.parts.endpoint} cannot be reached: {(error.strerror or 'no connection').lower()}.",
                "Start the cluster, and check the port: Spark Connect listens on 15002 unless configured otherwise.",
            ) from None

    def _tls(self) -> None:
        if not (self.parts.use_ssl or self.target.token):
            if is_loopback(self.parts.host):
                self._add(Check("TLS", True, "Not used; the cluster is on this machine."))
            else:
                hint = "Add ;use_ssl=true to the URL if the cluster offers it."
                self._add(Check("TLS", True, "Not used: data and settings travel unencrypted.", hint, warning=True))
            return
        with self._step("TLS"):
            context = ssl.create_default_context()
            context.set_alpn_protocols(["h2"])
            try:
                with (
                    self._connect() as plain,
                    context.wrap_socket(plain, server_hostname=self.parts.host) as encrypted,
                ):
                    version = encrypted.version()
            except ssl.SSLCertVerificationError as error:
                raise StepFailed(
                    f"The certificate of {self.parts.host} is not accepted: {error.verify_message}.",
                    "Use the host name that it is for, renew it, or have this machine trust who issued it.",
                ) from None
            except (ssl.SSLError, OSError):
                raise StepFailed(
                    f"{self.parts.endpoint} does not speak TLS.",
                    "Check the port. A token needs TLS; without a token, remove ;use_ssl=true from the URL.",
                ) from None
            self._say(f"Encrypted with {version}.")

    def _open_port(self) -> None:
        """Spark Connect itself knows no password: whoever reaches a bare port may run what they like."""
        if self.target.token or self.parts.use_ssl:
            return
        others = [address for address in own_addresses() if answers(address, self.parts.port)]
        if is_loopback(self.parts.host) and others:
            self._add(
                Check(
                    "open port",
                    True,
                    f"The port {self.parts.port} also answers on {', '.join(others)}, without a password: anybody in "
                    "that network can read and change the tables.",
                    "Bind the server to 127.0.0.1 (spark.connect.grpc.binding.address; Spark 3.5 ignores it: use a "
                    "firewall).",
                    warning=True,
                )
            )
        elif not is_loopback(self.parts.host):
            self._add(
                Check(
                    "open port",
                    True,
                    f"{self.parts.endpoint} asks for no password: anybody who reaches it can read and change the "
                    "tables.",
                    "Put a gateway with tokens in front, or let only this machine through the firewall.",
                    warning=True,
                )
            )

    # ---- the session

    def _open(self) -> None:
        from clusters.connect import Session  # PySpark is imported only where a session is wanted

        seconds = self._left(AWAKE_SECONDS)
        began = time.monotonic()
        try:
            self.session = self._within(
                seconds, self.parts.endpoint, lambda: Session(self.target, first_answer_seconds=seconds)
            )
        except AutoloaderError as error:
            refused = error.code in ("spark_unauthenticated", "spark_permission_denied")
            if not refused and isinstance(error, DeadlineError):
                error.hint = "It may be asleep and waking up now: test again in a minute, or start it."
            if not refused:
                self._add(Check("authentication", True, "Nothing was refused so far."))
            self._add(
                Check("authentication" if refused else "awake", False, error.message, error.hint, False, _since(began))
            )
            raise _Stop from None
        took = _since(began)
        detail = "The token was accepted." if self.target.token else "The cluster asks for none."
        self._add(Check("authentication", True, detail))
        slept = f"It was asleep and woke up within {took:.0f} s." if took > ASLEEP_SECONDS else f"Answered in {took} s."
        self._add(Check("awake", True, slept, seconds=took))

    # ---- what Spark can do

    def _look(self) -> None:
        with self._step("Spark version"):
            self.result.spark_version = version = str(self._ask(lambda spark: spark.version))
            numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
            if numbers < OLDEST:
                raise StepFailed(f"The cluster runs Spark {version}.", "Autoloader needs Spark 3.5 or newer.")
            self._say(f"Spark {version}.")
        with self._step("Iceberg catalogs"):
            self.result.catalogs = self._ask(iceberg_catalogs)
            self._choose_catalog()
        with self._step("SQL extensions", needed=False):
            self._ask(lambda spark: extensions(spark, self.result.catalogs[0]))
            self._say("Branches and CALL are there.")
        if self.result.catalogs and self.catalog:
            with self._step("may create", needed=False):
                self._ask(lambda spark: create(spark, self.catalog), CREATE_SECONDS)
                self._say(f"A namespace and a table in {self.catalog} were made, filled, published and dropped.")
        with self._step("formats", needed=False):
            self.result.formats = self._ask(formats)
            added = jars(self.result.spark_version or "")
            missing = [f"{name}: add {jar}" for name, jar in added.items() if name not in self.result.formats]
            self._say(f"Reads {', '.join(self.result.formats)}.", "; ".join(missing))
        with self._step("latency", needed=False):
            self.result.latency_ms = self._ask(latency)
            self._say(f"A trivial statement takes {self.result.latency_ms} ms.")

    def _choose_catalog(self) -> None:
        found = self.result.catalogs
        if not found:
            raise StepFailed(
                "No Iceberg catalog is configured.",
                "Set spark.sql.catalog.<name> to org.apache.iceberg.spark.SparkCatalog on the cluster.",
            )
        if self.catalog and self.catalog not in found:
            raise StepFailed(
                f"The default catalog {self.catalog} is none of its Iceberg catalogs ({', '.join(found)}).",
                "Choose one of these as the cluster's default catalog, or configure it on the cluster.",
            )
        self.catalog = self.catalog or (found[0] if len(found) == 1 else "")
        self._say(", ".join(found) + ".", "" if self.catalog else "Choose a default catalog; tables are made there.")

    # ---- how a step is taken

    @contextmanager
    def _step(self, name: str, *, needed: bool = True) -> Iterator[None]:
        """Adds the step's check. Nothing after a ``needed`` one is tried when it failed."""
        began = time.monotonic()
        self._said: tuple[str, str] = ("", "")
        try:
            yield
        except StepFailed as failed:
            self._add(Check(name, False, failed.detail, failed.hint, False, _since(began)))
        except AutoloaderError as error:
            self._add(Check(name, False, error.message, error.hint, False, _since(began)))
        else:
            self._add(Check(name, True, *self._said, False, _since(began)))
            return
        if needed:
            raise _Stop

    def _say(self, detail: str, hint: str = "") -> None:
        self._said = (detail, hint)

    def _add(self, check: Check) -> None:
        self.result.checks.append(check)

    def _left(self, seconds: float) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise StepFailed("There was no time left for this step.", "Test again; the cluster is slow now.")
        return min(seconds, left)

    def _within(self, seconds: float, what: str, work: Callable[[], T]) -> T:
        return Bounded(what=what, slots=1, deadline_seconds=self._left(seconds)).call(work)

    def _ask(self, question: Callable[[Any], T], seconds: float = STATEMENT_SECONDS) -> T:
        try:
            return self._within(seconds, self.parts.endpoint, lambda: question(self.session.spark))
        except Exception as error:
            if is_spark_error(error):
                raise translate(error, f"testing {self.parts.endpoint}") from None
            raise


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)
