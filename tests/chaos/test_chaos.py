"""A short chaos: as `make chaos`, with a seed that meets each kind of fault and each kind of feed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from autoloader.lib.processes import dying_with_parent

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10
SEED = 253
#: on a machine that is busy with other things; else a third of it.
LIMIT_SECONDS = 900


@pytest.mark.spark
@pytest.mark.cloud
@pytest.mark.postgres
@pytest.mark.processes
@pytest.mark.chaos
@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_nothing_that_is_killed_loses_or_doubles_a_row() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--kills", str(KILLS), "--seed", str(SEED)]
    with subprocess.Popen(
        dying_with_parent(command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            said, _ = running.communicate(timeout=LIMIT_SECONDS)
        finally:
            running.terminate()  # it stops its servers then
    assert running.returncode == 0, said
    told = re.search(r"^(\d+) kills in .* lost 0, doubled 0;", said, re.MULTILINE)
    assert told is not None, said
    assert int(told[1]) >= KILLS
