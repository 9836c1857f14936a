"""Measures libraries in turns, each scenario in a process of its own on a server of its own."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from taskora.bench.peers._catalog import Peer
from taskora.bench.peers._document import Library
from taskora.bench.peers._environments import Environment
from taskora.bench.peers._rows import SCENARIOS
from taskora.bench.peers._server import fresh_server

# Beside what is measured: start of the process, filling the queue, warming up.
_SLACK_SECONDS: Final = 30.0
_REASON_LENGTH: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a driver said: figures, or why there are none."""

    figures: dict[str, float] = field(default_factory=dict[str, float])
    version: str = ""
    settings: str = ""
    not_offered: str = ""
    failure: str = ""


class Measure(Protocol):
    """Measures one scenario of one library once."""

    def __call__(self, environment: Environment, scenario: str, seconds: float) -> Cell: ...


def measure_apart(environment: Environment, scenario: str, seconds: float) -> Cell:
    """Starts a fresh server and a driver, and waits for its figures for a bounded time."""
    with fresh_server() as url:
        command = [*environment.command, scenario, url, str(seconds)]
        limit = _SLACK_SECONDS + 8 * seconds
        variables = {**os.environ, **environment.variables}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=variables, check=False)
        except subprocess.TimeoutExpired:
            return Cell(failure=f"took longer than {limit:g} seconds")
    if done.returncode != 0:
        return Cell(failure=_last_line(done.stderr) or f"ended with {done.returncode}")
    return _understand(done.stdout)


def _understand(output: str) -> Cell:
    try:
        said: dict[str, Any] = json.loads(_last_line(output, length=len(output)))
        return Cell(**said)
    except (TypeError, ValueError):
        return Cell(failure=f"said what is not understood: {output[:_REASON_LENGTH]!r}")


def _last_line(text: str, *, length: int = _REASON_LENGTH) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:length] if lines else ""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has been measured of one library so far."""

    peer: Peer
    version: str = ""
    settings: str = ""
    runs: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, scenario: str, cell: Cell) -> None:
        """Notes one measurement."""
        self.version, self.settings = cell.version or self.version, cell.settings or self.settings
        if cell.failure:
            self.failed[scenario] = cell.failure
        elif cell.not_offered:
            self.missing[scenario] = cell.not_offered
        for row, figure in cell.figures.items():
            self.runs.setdefault(row, []).append(figure)

    def wants(self, scenario: str) -> bool:
        """What failed or does not exist is not tried again, which also bounds the time of a run."""
        return scenario not in self.missing and scenario not in self.failed

    def library(self) -> Library:
        """The result."""
        return Library(
            name=self.peer.name,
            title=self.peer.title,
            language=self.peer.language,
            version=self.version,
            settings=self.settings,
            runs=self.runs,
            missing=self.missing,
            failed=self.failed,
        )


def compare(
    entrants: Sequence[tuple[Peer, Environment | str]],
    *,
    repeats: int,
    seconds: float,
    announce: Callable[[str], None],
    measure: Measure = measure_apart,
) -> list[Library]:
    """Measures all scenarios of all libraries; one after the other within a scenario, so that they share its minute.

    Who comes with a reason instead of an environment is reported as failed.
    """
    tallies = [Tally(peer=peer) for peer, _ in entrants]
    for repeat in range(repeats):
        for scenario in SCENARIOS:
            announce(f"run {repeat + 1}/{repeats}: {scenario}")
            for tally, (_, environment) in zip(tallies, entrants, strict=True):
                if isinstance(environment, str):
                    tally.failed[scenario] = environment
                elif tally.wants(scenario):
                    tally.add(scenario, measure(environment, scenario, seconds))
                    if reason := tally.failed.get(scenario):
                        announce(f"  {tally.peer.title} failed: {reason}")
    return [tally.library() for tally in tallies]
