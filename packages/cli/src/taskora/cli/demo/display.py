"""What the demo shows to people."""

from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from taskora.cli._output import one_line
from taskora.cli.demo.report import DeadLetter, Report

_STEPS: Final = 4


class ProgressDisplay:
    """A progress bar on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console: Final = console
        self._bar: Final = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._total = 0
        self._done = 0

    def start(self, total: int) -> None:
        """Shows that there is work."""
        self._total = total
        if self._console.is_terminal:
            self._task = self._bar.add_task("indexing the standard library", total=total)
            self._bar.start()
        else:
            self._console.print(f"indexing the standard library: {total} files")

    def advance(self) -> None:
        """Counts one result."""
        self._done += 1
        if self._task is not None:
            self._bar.advance(self._task)
        elif self._done * _STEPS // self._total > (self._done - 1) * _STEPS // self._total:
            self._console.print(f"{self._done} of {self._total} files")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._bar.stop()


def show_report(report: Report, console: Console) -> None:
    """Prints the report."""
    console.print(_results(report))
    console.print(_longest(report))
    console.print(_speed(report))
    _show_dead_letters(report.dead_letters, console)
    cancelled = report.cancelled
    console.print(Text("\nCancelled while it ran", style="bold"))
    console.print(f"  job {cancelled.id} is {cancelled.state}: {cancelled.reason}", markup=False)
    console.print("\nThe server, the workers and their files are gone again.")


def _table(title: str, *columns: str, numbers: Iterable[str] = ()) -> Table:
    table = Table(title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD)
    right = set(numbers)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _results(report: Report) -> Table:
    columns = ("files", "completed", "failed", "lines", "functions", "classes", "imports")
    table = _table(f"Indexed by {report.workers} worker processes", *columns, numbers=columns)
    totals = report.totals
    counts = (report.files, report.completed, report.failed)
    table.add_row(
        *(f"{count:,}" for count in (*counts, totals.lines, totals.functions, totals.classes, totals.imports))
    )
    return table


def _longest(report: Report) -> Table:
    table = _table("Longest functions", "lines", "function", "where", numbers=("lines",))
    for found in report.longest:
        function = found.function
        table.add_row(str(function.lines), Text(function.name), Text(f"{found.file}:{function.line}"))
    return table


def _speed(report: Report) -> Table:
    columns = ("files/s", "seconds", "", "p50 ms", "p95 ms", "p99 ms")
    table = _table("Speed, by the server's clock", *columns, numbers=set(columns) - {""})
    latency, run = report.latency, report.run
    first = (f"{report.files_per_second:,.0f}", f"{report.seconds:.1f}", "dispatch to done")
    table.add_row(*first, *(f"{value:,.0f}" for value in (latency.p50, latency.p95, latency.p99)))
    table.add_row("", "", "start to done", *(f"{value:,.0f}" for value in (run.p50, run.p95, run.p99)))
    return table


def _show_dead_letters(letters: list[DeadLetter], console: Console) -> None:
    """One line each, cut off where the terminal ends: an error may be long."""
    console.print(Text(f"Dead letters: {len(letters)} jobs failed for good", style="bold"))
    for letter in sorted(letters, key=lambda letter: (not letter.deliberate, letter.file)):
        author = "this demo's" if letter.deliberate else "Python's own"
        line = f"  {author} {letter.file}, attempt {letter.attempts}: {one_line(letter.error)}"
        console.print(Text(line), no_wrap=True, overflow="crop")
