"""What the demo found out, as numbers and as JSON."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from taskora.cli.demo.contracts import LongestFunction
from taskora.cli.demo.producer import CancelledJob, Indexing
from taskora.producer import JobInfo

TOP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of durations, in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all files."""

    lines: int
    functions: int
    classes: int
    imports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFunction:
    """A function and its file, relative to the standard library."""

    file: str
    function: LongestFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A job that failed for good. `deliberate` is the one whose file the demo made for that."""

    id: str
    file: str
    error: str
    attempts: int
    deliberate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the demo shows. Latency is from dispatch to done, the run from its start to done."""

    files: int
    completed: int
    failed: int
    workers: int
    totals: Totals
    longest: list[FoundFunction]
    seconds: float
    latency: Percentiles
    run: Percentiles
    dead_letters: list[DeadLetter]
    cancelled: CancelledJob

    @property
    def files_per_second(self) -> float:
        """Throughput."""
        return self.files / self.seconds if self.seconds else 0.0


def build_report(indexing: Indexing, *, root: Path, broken: Path, workers: int) -> Report:
    """Sums up what came back.

    Args:
        indexing: What came back.
        root: The directory that paths are shown relative to.
        broken: The file that was made to fail.
        workers: How many processes did the work.
    """
    indexes = indexing.indexes.values()
    jobs = indexing.completed_jobs
    return Report(
        files=len(indexing.indexes) + len(indexing.failed),
        completed=len(indexing.indexes),
        failed=len(indexing.failed),
        workers=workers,
        totals=Totals(
            lines=sum(index.lines for index in indexes),
            functions=sum(index.functions for index in indexes),
            classes=sum(index.classes for index in indexes),
            imports=sum(index.imports for index in indexes),
        ),
        longest=_longest(indexing, root),
        seconds=indexing.seconds,
        latency=percentiles(_durations(jobs, lambda job: job.timestamp_ms)),
        run=percentiles(_durations(jobs, lambda job: job.processed_on_ms)),
        dead_letters=[_dead_letter(job, root, broken) for job in indexing.dead_letters],
        cancelled=indexing.cancelled,
    )


def percentiles(durations_ms: Sequence[float]) -> Percentiles:
    """The percentiles of some durations; zeros if there are none."""
    if len(durations_ms) < 2:
        only = durations_ms[0] if durations_ms else 0.0
        return Percentiles(p50=only, p95=only, p99=only)
    cuts = statistics.quantiles(durations_ms, n=100, method="inclusive")
    return Percentiles(p50=cuts[49], p95=cuts[94], p99=cuts[98])


def report_shape(report: Report) -> dict[str, object]:
    """The report as `taskora demo --json` prints it."""
    return {
        "files": report.files,
        "completed": report.completed,
        "failed": report.failed,
        "workers": report.workers,
        "totals": asdict(report.totals),
        "longest_functions": [{"file": found.file, **asdict(found.function)} for found in report.longest],
        "duration_ms": round(report.seconds * 1000),
        "files_per_second": round(report.files_per_second, 1),
        "latency_ms": _rounded(report.latency),
        "run_ms": _rounded(report.run),
        "dead_letters": [asdict(letter) for letter in report.dead_letters],
        "cancelled": asdict(report.cancelled),
    }


def _rounded(found: Percentiles) -> dict[str, float]:
    return {name: round(value, 1) for name, value in asdict(found).items()}


def _longest(indexing: Indexing, root: Path) -> list[FoundFunction]:
    found = [
        FoundFunction(file=_relative(path, root), function=index.longest)
        for path, index in indexing.indexes.items()
        if index.longest is not None
    ]
    return sorted(found, key=lambda item: (-item.function.lines, item.file))[:TOP]


def _durations(jobs: Sequence[JobInfo], since: Callable[[JobInfo], int | None]) -> list[float]:
    """How long jobs took from some moment to their end, by the server's clock."""
    spans = [(since(job), job.finished_on_ms) for job in jobs]
    return [float(end - start) for start, end in spans if start is not None and end is not None]


def _dead_letter(job: JobInfo, root: Path, broken: Path) -> DeadLetter:
    match job.data:
        case {"path": str(path)}:
            file = Path(path)
        case _:
            file = Path("?")
    return DeadLetter(
        id=job.id,
        file=_relative(file, root),
        error=job.error or "",
        attempts=job.attempt,
        deliberate=file == broken,
    )


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name
