"""`python -m taskora.bench [--scenario NAME] [--repeats N] [--scale X] [--json FILE]`."""

import argparse
import json
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from taskora.bench._arguments import amount, count, file_to_write
from taskora.bench._rows import Row
from taskora.bench._run import medians, run_apart, run_here
from taskora.bench._scenarios import SUITES, Figures


def main(arguments: list[str]) -> int:
    """Measures everything and prints a table; as a child, measures one thing and prints JSON."""
    if arguments[:1] == ["--child"]:
        _, scenario, url, scale = arguments
        print(json.dumps(run_here(scenario, url, float(scale))))
        return 0
    options = _parser().parse_args(arguments)
    scenarios, rows = SUITES[options.scenario]
    figures = _measure(scenarios, options.repeats, options.scale)
    _print(figures, rows, options.repeats)
    if options.json:
        document = _document(figures, options.repeats, options.scale)
        Path(options.json).write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="taskora.bench", description="Measures taskora on a server of its own.")
    parser.add_argument("--repeats", type=count, default=3, help="how often each scenario runs (default: 3)")
    parser.add_argument("--scale", type=amount, default=1.0, help="multiplies the number of jobs (default: 1)")
    parser.add_argument(
        "--scenario",
        choices=SUITES,
        default="main",
        help="main: dispatching and running (default); flow: what is blocked, and what it costs the others; "
        "stream: dispatching what nobody holds at once; "
        "workflow: chords of a thousand steps, chains of a hundred; "
        "scale: backlogs, memory, idle workers and the start of programs; scale-large: a million jobs; "
        "processes: one backlog, worked off by one to four worker processes",
    )
    parser.add_argument("--json", type=file_to_write, metavar="FILE", help="also write the figures to a file")
    return parser


def _measure(scenarios: Iterable[str], repeats: int, scale: float) -> Figures:
    # Interleaved, so that a slow minute of the machine does not hit one scenario alone.
    runs: list[Figures] = []
    for repeat in range(repeats):
        for scenario in scenarios:
            print(f"run {repeat + 1}/{repeats}: {scenario}", file=sys.stderr)
            runs.append(run_apart(scenario, scale))
    return medians(runs)


def _print(figures: Figures, rows: Iterable[Row], repeats: int) -> None:
    table = Table(title=f"taskora, median of {repeats}")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("unit")
    for row in rows:
        precision = 2 if row.unit in ("ms", "cores") else 0 if row.unit in ("ops/s", "bytes") else 1
        table.add_row(row.title, f"{figures[row.name]:,.{precision}f}", row.unit)
    Console().print(table)


def _document(figures: Figures, repeats: int, scale: float) -> dict[str, object]:
    return {
        "library": "taskora",
        "python": platform.python_version(),
        "repeats": repeats,
        "scale": scale,
        "figures": figures,
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
