"""`python -m taskora.bench.peers.drivers DRIVER SCENARIO URL SECONDS` prints one line of JSON."""

import importlib
import json
import logging
import os
import sys
import threading
import traceback
from importlib.metadata import version

from taskora.bench.peers.drivers._harness import measure
from taskora.bench.peers.drivers._protocol import MAIN_THREAD, Driver, NotOfferedError


def main(arguments: list[str]) -> None:
    """Measures one scenario and ends at once: how a library shuts down is not compared."""
    name, scenario, url, seconds = arguments
    logging.disable(logging.ERROR)
    driver: Driver = importlib.import_module(f"taskora.bench.peers.drivers.{name}").driver
    if driver.worker_in_main_thread:
        threading.Thread(target=_report, args=(driver, scenario, url, float(seconds))).start()
        MAIN_THREAD.get()()
    else:
        _report(driver, scenario, url, float(seconds))


def _report(driver: Driver, scenario: str, url: str, seconds: float) -> None:
    report: dict[str, object] = {"version": version(driver.distribution), "settings": driver.settings}
    code = 0
    try:
        report["figures"] = measure(driver, scenario, url, seconds)
    except NotOfferedError as error:
        report["not_offered"] = str(error)
    except Exception:  # noqa: BLE001 - a fault of a library, of whatever kind, is reported
        traceback.print_exc()
        code = 1
    print(json.dumps(report), flush=True)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
