"""``manage.py up`` as a stranger meets it: one command, the sample in a table, and an orderly end."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pyspark.sql.connect.session import SparkSession

from autoloader.lib.processes import free_port
from ingestions.sample import expected_rows

pytestmark = [pytest.mark.spark, pytest.mark.processes, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = ("web", "scheduler", "worker", "spark")


class Up:
    """One installation under its supervisor."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.port = free_port("127.0.0.1")
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AUTOLOADER_", "DATABASE_URL"))},
            "AUTOLOADER_DATA_DIR": str(folder),
            "AUTOLOADER_TOOLS_DIR": os.environ.get("AUTOLOADER_TOOLS_DIR", str(ROOT / ".tools")),
            "AUTOLOADER_WORKERS": "1",
            "PORT": str(self.port),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.told = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> str:
        """Everything that was printed until it runs."""
        log = self.data.parent / f"{self.data.name}.log"
        log.unlink(missing_ok=True)
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up", "--logs", "files", *arguments],
                env=self.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + 330
        while "Ctrl-C stops it." not in log.read_text():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        return log.read_text()

    def stop(self) -> str:
        """As Ctrl-C does. What was printed since the start."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(120) == 0
        return (self.data.parent / f"{self.data.name}.log").read_text()

    def pid(self, child: str) -> int:
        return int(json.loads((self.data / "run" / f"{child}.json").read_text())["pid"])

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.env, capture_output=True, text=True, timeout=180,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        done = self.manage(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, str]]:
    made = Up(tmp_path_factory.mktemp("one") / "data with space")
    try:
        yield made, made.start()
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop()


def until(done: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := done():
                return found
        except (OSError, ValueError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


def counted(files: Path) -> dict[str, int]:
    """Rows per file by Python's own reader, which shares nothing with ours."""
    found = {}
    for path in files.iterdir():
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8-sig")
        found[path.name] = sum(1 for _ in csv.DictReader(io.StringIO(text, newline="")))
    return found


def in_ledger(up: Up) -> dict[str, int]:
    files = up.json("ledger", "show", "Sample shop orders")
    return {file["path"].rsplit("/", 1)[1]: file["rows"] for file in files if file["state"] == "LOADED"}


def test_the_first_start_says_what_it_loaded_and_where_to_look(up: tuple[Up, str]) -> None:
    installation, told = up
    rows = counted(installation.data / "files" / "sample-shop" / "orders")
    assert len(rows) == 60
    assert f"60 files, {sum(rows.values())} rows in local.sample_shop.orders, snapshot " in told
    assert len(re.findall(r"^  \d{6}-\d{4} ", told, re.MULTILINE)) == 5
    assert f"Open {installation.url}" in told
    assert "manage.py changepassword admin" in told
    assert requests.get(f"{installation.url}/health", timeout=10).json()["status"] == "ok"


def test_every_line_of_a_run_says_which_run_it_is(up: tuple[Up, str]) -> None:
    """One JSON object a line, and the ids of a run, its ingestion and, within a batch, the batch in each of them."""
    installation, _ = up
    log = (installation.data / "logs" / "worker.log").read_text().splitlines()
    lines = [json.loads(line) for line in log]
    own = [line for line in lines if line["logger"].startswith("ingestions.")]
    run = installation.json("run", "list")[-1]
    assert {"discovered", "batch loaded", "run ended"} <= {line["message"] for line in own}
    assert all(line["run_id"] and line["ingestion_id"] for line in own)
    first = [line for line in own if line["run_id"] == run["id"]]
    assert {line["ingestion_id"] for line in first} == {run["ingestion_id"]}
    assert all(line["batch_id"] for line in own if line["message"] == "batch loaded")


def test_the_password_that_was_printed_signs_in(up: tuple[Up, str]) -> None:
    installation, told = up
    password = re.search(r"Password: +(\S+)", told)
    assert password is not None
    person = requests.Session()
    form = person.get(f"{installation.url}/signin/", timeout=10)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', form.text)
    assert token is not None
    answer = person.post(
        f"{installation.url}/signin/",
        {"username": "admin", "password": password[1], "csrfmiddlewaretoken": token[1]},
        timeout=10,
    )
    assert "Sample shop orders" in answer.text
    for path in installation.data.rglob("*"):
        if path.is_file() and path.stat().st_size < 5_000_000:
            assert password[1].encode() not in path.read_bytes(), path  # printed once, kept nowhere


def test_each_value_of_the_sample_is_in_the_table(up: tuple[Up, str]) -> None:
    installation, _ = up
    assert in_ledger(installation) == counted(installation.data / "files" / "sample-shop" / "orders")
    url = installation.json("cluster", "list")[0]["spark_connect_url"]
    spark = SparkSession.builder.remote(url).create()
    try:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        columns = [name for name in spark.table("local.sample_shop.orders").columns if not name.startswith("_")]
        texts = ", ".join(f"CAST({name} AS STRING) AS {name}" for name in columns)
        rows = spark.sql(f"SELECT _source_file, _rescued_data, {texts} FROM local.sample_shop.orders").collect()
    finally:
        spark.stop()
    table = Counter(map(_line_of_table, rows))
    sample: Counter[tuple[Any, ...]] = Counter()
    for name, lines in expected_rows().items():
        sample.update(_line(name, line) for line in lines)
    assert table == sample


def _line_of_table(row: Any) -> tuple[Any, ...]:
    values = {name: value for name, value in row.asDict().items() if not name.startswith("_") and value is not None}
    values |= {name: text for name, text in json.loads(row["_rescued_data"] or "{}").items() if name[0] != "_"}
    return _line(row["_source_file"].rsplit("/", 1)[1], values)


def _line(name: str, values: dict[str, str]) -> tuple[Any, ...]:
    """One order line, written in one way: the table's timestamp and numbers print differently from the file's."""
    written = {key: value for key, value in values.items() if value}
    written["ordered_at"] = written["ordered_at"].replace("T", " ").rstrip("Z")[:19]
    written["unit_price"] = f"{float(written['unit_price']):.2f}"
    return name, *sorted(written.items())


def test_a_second_run_loads_nothing_and_new_files_load_alone(up: tuple[Up, str]) -> None:
    installation, _ = up
    before = in_ledger(installation)
    run = installation.json("ingestion", "run", "Sample shop orders", "--wait")
    assert (run["status"], run["metrics"]["files_processed"], run["snapshots"]) == ("success", 0, [])
    folder = installation.data / "files" / "sample-shop" / "orders"
    (folder / "orders-2026-01-01 late, corrected.csv").write_text("order_id,line,quantity\nX-1,1,2\nX-2,1,3\n")
    run = installation.json("ingestion", "run", "Sample shop orders", "--wait")
    assert (run["status"], run["metrics"]["files_processed"], run["metrics"]["records_ingested"]) == ("success", 1, 2)
    assert in_ledger(installation) == before | {"orders-2026-01-01 late, corrected.csv": 2}
    assert installation.manage("ledger", "verify", "Sample shop orders").returncode == 0


@pytest.mark.parametrize("child", ["web", "worker", "scheduler"])
def test_what_crashes_is_started_again(up: tuple[Up, str], child: str) -> None:
    installation, _ = up
    old = installation.pid(child)
    os.kill(old, signal.SIGKILL)
    until(lambda: installation.pid(child) != old)
    until(lambda: requests.get(f"{installation.url}/health", timeout=5).json()["status"] == "ok")


def test_spark_is_started_again_on_its_port_and_runs_go_on(up: tuple[Up, str]) -> None:
    installation, _ = up
    old = installation.pid("spark")
    os.killpg(os.getpgid(old), signal.SIGKILL)
    until(lambda: installation.pid("spark") != old)
    assert installation.json("ingestion", "run", "Sample shop orders", "--wait")["status"] == "success"


def test_two_installations_do_not_meet(up: tuple[Up, str], tmp_path: Path) -> None:
    installation, _ = up
    other = Up(tmp_path / "data")
    try:
        other.start("--no-sample")
        assert other.json("ingestion", "list") == []
        assert other.pid("spark") != installation.pid("spark")
        urls = {one.json("cluster", "list")[0]["spark_connect_url"] for one in (installation, other)}
        assert len(urls) == 2
    finally:
        other.stop()
    assert requests.get(f"{installation.url}/health", timeout=10).json()["status"] == "ok"


def test_the_same_folder_or_port_is_refused_in_one_clear_line(up: tuple[Up, str], tmp_path: Path) -> None:
    installation, _ = up
    refused = installation.manage("up")
    assert refused.returncode != 0
    assert "already runs on the data folder" in refused.stderr
    assert "Traceback" not in refused.stderr
    other = Up(tmp_path / "data")
    other.env["PORT"] = str(installation.port)
    refused = other.manage("up")
    assert f"The port {installation.port} is in use" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_ctrl_c_stops_everything_and_the_next_start_goes_on(up: tuple[Up, str]) -> None:
    """Last in this file: it ends what the others look at."""
    installation, _ = up
    pids = [installation.pid(child) for child in CHILDREN]
    assert installation.stop().rstrip().endswith("Stopped.")
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    told = installation.start()
    assert "Loading the bundled sample" not in told
    assert "Password" not in told
    assert len(in_ledger(installation)) == 61
    told = installation.stop()
    assert re.findall(r"^  (\w+) has ended$", told, re.MULTILINE) == ["web", "scheduler", "worker", "spark"]
