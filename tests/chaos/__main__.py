"""``python -m tests.chaos --kills 10 --seed 7``: exit code 1 where anything is lost, doubled or left behind."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.site import Site

#: short, so that a round is quick; what is proved does not hang on their length.
QUICK = {
    "AUTOLOADER_LEASE_SECONDS": "4",
    "AUTOLOADER_SLICE_SECONDS": "5",
    "AUTOLOADER_BREAKER_WAIT_SECONDS": "2",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="faults to go through (default 10)")
    parser.add_argument("--seed", type=int, help="of files, faults and points (default: a new one)")
    parser.add_argument("--defaults", action="store_true", help="leases and slices as long as the product has them")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="autoloader-chaos-"))
    _say(f"chaos: {options.kills} kills, seed {seed}; logs in {folder}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and the servers are stopped
    began = time.monotonic()
    site = Site(folder, **({} if options.defaults else QUICK))
    try:
        passed = _go(site, options.kills, seed, began)
    finally:
        site.stop()
    if passed:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    _say(f"FAILED. Its logs are in {folder}.\nTo repeat it: make chaos KILLS={options.kills} SEED={seed}")
    return 1


def _go(site: Site, kills: int, seed: int, began: float) -> bool:
    os.environ.update(site.environment, AUTOLOADER_LOG_LEVEL="ERROR")  # what is printed is the rounds
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from tests.chaos.driver import Driver, RoundFailed

    driver = Driver(site, seed, _say)
    passed = False
    try:
        driver.go(kills)
        passed = True
    except RoundFailed as failed:
        _say(str(failed))
    except Exception:  # of the harness or of what it asks: the logs are wanted all the same
        traceback.print_exc()
    finally:  # also where somebody stops it
        _say(driver.summary.text(time.monotonic() - began))
    return passed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
