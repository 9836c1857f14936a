"""The section of the page that holds the figures of a run."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from taskora.bench.peers._document import Comparison
from taskora.bench.peers._rows import COST, SPEED
from taskora.bench.peers._table import body, factors, heading, reasons

BEGIN: Final = "<!-- written by `python -m taskora.bench.report`: begin -->"
END: Final = "<!-- written by `python -m taskora.bench.report`: end -->"


def section(comparison: Comparison, plot: str) -> str:
    """Tables, plot and circumstances, as Markdown. `plot` is the picture's address as seen from the page."""
    parts = [
        _circumstances(comparison),
        f"![Bars of the figures below: taskora and the other libraries]({plot})",
        _table(["library", *map(heading, SPEED)], body(comparison, SPEED), factors(comparison, SPEED)),
        _table(["library", *map(heading, COST)], body(comparison, COST), factors(comparison, COST)),
        _table(["library", "version", "how it is used"], _settings(comparison), right=False),
        *([_list("Why figures are missing:", reasons(comparison))] if reasons(comparison) else []),
    ]
    return "\n\n".join(parts)


def replace_section(page: str, text: str) -> str:
    """The page with what is between the two markers replaced.

    Raises:
        ValueError: the page has no markers.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page must contain {BEGIN} and {END} once, in this order")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", page)


def _circumstances(comparison: Comparison) -> str:
    date = datetime.fromisoformat(comparison.date)
    return (
        f"Measured on {date.day} {date:%B %Y}, {date:%H:%M} UTC: {comparison.machine}, {comparison.cores} cores shared "
        f"by client and server, load average {comparison.load:.1f} at the start; {comparison.server} over TCP on this "
        f"machine, nothing on disk; CPython {comparison.python}; {comparison.seconds:g} s for each scenario, "
        f"medians of {comparison.repeats}."
    )


def _settings(comparison: Comparison) -> list[list[str]]:
    return [[one.title, one.version or "-", one.settings or "-"] for one in comparison.libraries]


def _table(
    headings: Sequence[str], lines: Iterable[Sequence[str]], bold: Iterable[Sequence[str]] = (), *, right: bool = True
) -> str:
    rule = ["---", *(["---:" if right else "---"] * (len(headings) - 1))]
    strong = [[f"**{cell}**" for cell in line] for line in bold]
    return "\n".join(_line(cells) for cells in (headings, rule, *lines, *strong))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _list(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, "", *(f"- {line}" for line in lines)])
