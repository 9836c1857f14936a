"""Figures as words: the same cells for the terminal and for the page."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from taskora.bench._rows import Row
from taskora.bench.peers._catalog import Language
from taskora.bench.peers._document import Comparison
from taskora.bench.peers._ratios import ratio
from taskora.bench.peers._rows import COST, SPEED

AGAINST: Final[tuple[tuple[Language, str], ...]] = (
    ("python", "against the best other Python"),
    ("node", "against BullMQ (Node)"),
)
_NONE: Final = "-"


def body(comparison: Comparison, rows: Sequence[Row]) -> list[list[str]]:
    """A line for each library: its title and its figures."""
    return [
        [library.title, *(format_figure(library.figure(row.name), row) for row in rows)]
        for library in comparison.libraries
    ]


def factors(comparison: Comparison, rows: Sequence[Row]) -> list[list[str]]:
    """A line for each kind of rival: what we are compared with it, above 1 where we are better."""
    lines: list[list[str]] = []
    for language, title in AGAINST:
        found = [ratio(comparison, row, language) for row in rows]
        if any(found):
            lines.append([title, *(f"{one.factor:.2f}x" if one else _NONE for one in found)])
    return lines


def format_figure(figure: float | None, row: Row) -> str:
    """As exact as it is meaningful."""
    if figure is None:
        return _NONE
    if row.unit == "ms":
        return f"{figure:.2f}"
    if row.unit in ("us", "MB") and figure < 10:
        return f"{figure:.1f}"
    return f"{figure:,.0f}"


def heading(row: Row) -> str:
    """What a column holds, and in what."""
    unit = {"ops/s": "jobs/s", "us": "us"}.get(row.unit, row.unit)
    return f"{row.title}, {unit}"


def reasons(comparison: Comparison) -> list[str]:
    """Why figures are missing."""
    lines: list[str] = []
    for library in comparison.libraries:
        for kind, told in (("not offered", library.missing), ("failed", library.failed)):
            for reason in dict.fromkeys(told.values()):
                scenarios = ", ".join(scenario for scenario, other in told.items() if other == reason)
                lines.append(f"{library.title}, {scenarios}, {kind}: {reason}")
    return lines


def show(comparison: Comparison, console: Console) -> None:
    """Prints everything."""
    for title, rows in (("How fast", SPEED), ("At what cost", COST)):
        table = Table(title=f"{title}, medians of {comparison.repeats}")
        table.add_column("library")
        for row in rows:
            table.add_column(heading(row), justify="right")
        for line in body(comparison, rows):
            table.add_row(*line)
        table.add_section()
        for line in factors(comparison, rows):
            table.add_row(*line, style="bold")
        console.print(table)
    for reason in reasons(comparison):
        console.print(reason, markup=False)
