"""Runs scenarios in processes of their own, again and again, each on a fresh server."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable
from statistics import median

from taskora.bench._scenarios import SUITES, Figures
from taskora.wire.backends import EmbeddedServer
from taskora.worker import fast_event_loop

# A million jobs take a while on a small machine.
_TIMEOUT_SECONDS = 900.0


def run_here(scenario: str, url: str, scale: float) -> Figures:
    """Runs one scenario in this process, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=fast_event_loop()) as runner:
        return runner.run(_coroutine(scenario, url, scale))


async def _coroutine(scenario: str, url: str, scale: float) -> Figures:
    scenarios = {name: measured for suite, _ in SUITES.values() for name, measured in suite.items()}
    return await scenarios[scenario](url, scale)


def run_apart(scenario: str, scale: float) -> Figures:
    """Runs one scenario in a process of its own, on a server of its own."""
    with EmbeddedServer() as server:
        command = [sys.executable, "-m", "taskora.bench", "--child", scenario, server.url, str(scale)]
        # What it has to say about a failure goes to the terminal.
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=_TIMEOUT_SECONDS, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def medians(runs: Iterable[Figures]) -> Figures:
    """The median of each figure over some runs."""
    collected: dict[str, list[float]] = {}
    for figures in runs:
        for name, value in figures.items():
            collected.setdefault(name, []).append(value)
    return {name: median(values) for name, values in collected.items()}
