"""A picture of a run: horizontal bars, one panel per row, as SVG text.

Every bar has its figure beside it, so that a logarithmic scale, which rates and latencies need, misleads nobody.
Colours are told apart with any colour vision and on light and dark backgrounds; ours has a darker outline too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from taskora.bench._rows import Row
from taskora.bench.peers._catalog import OURS
from taskora.bench.peers._document import Comparison, Library
from taskora.bench.peers._rows import COMPARED
from taskora.bench.peers._table import format_figure

_PANELS: Final = ("enqueue", "enqueue_bulk", "process_1", "process_100", "latency_p50", "bytes_per_job")
_LINEAR: Final = ("bytes_per_job",)
_COLUMNS: Final = 2
_PANEL_WIDTH: Final = 470
_LABEL_WIDTH: Final = 130
_FIGURE_WIDTH: Final = 64
_BAR: Final = 13
_STEP: Final = 18
_HEAD: Final = 30
_GAP: Final = 22
# The smallest figure is at least so many times where the scale begins.
_SHORTEST: Final = 1.5
_TEXT: Final = "#768390"
_COLOURS: Final = {"ours": "#e69f00", "python": "#5b8db8", "node": "#9a86c9"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From figures to lengths. A logarithmic one begins at a power of ten, some way below the smallest figure."""

    lowest: float
    highest: float
    logarithmic: bool

    def length(self, figure: float) -> float:
        """A share of the whole, 0 to 1."""
        if not self.logarithmic:
            return figure / self.highest
        return math.log(figure / self.lowest) / math.log(self.highest / self.lowest)


def scale_of(figures: Sequence[float], *, logarithmic: bool) -> Scale:
    """The scale for some figures, all above zero."""
    floor = 10.0 ** math.floor(math.log10(min(figures) / _SHORTEST))
    return Scale(lowest=floor, highest=max(figures), logarithmic=logarithmic)


def plot(comparison: Comparison) -> str:
    """The whole picture."""
    rows = [row for row in COMPARED if row.name in _PANELS and any(_known(comparison, row))]
    height = _HEAD + _STEP * len(comparison.libraries) + _GAP
    lines = math.ceil(len(rows) / _COLUMNS)
    panels = [
        f'<g transform="translate({_PANEL_WIDTH * (at % _COLUMNS)} {height * (at // _COLUMNS)})">{panel}</g>'
        for at, panel in enumerate(_panel(comparison, row) for row in rows)
    ]
    width, total = _PANEL_WIDTH * _COLUMNS, height * lines
    size = f'viewBox="0 0 {width} {total}" width="{width}" height="{total}"'
    text = f'font-family="system-ui, sans-serif" font-size="12" fill="{_TEXT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {text} role="img">'
    return "\n".join([head, "<title>taskora beside other task queues</title>", *panels, "</svg>\n"])


def _known(comparison: Comparison, row: Row) -> list[tuple[Library, float]]:
    """The libraries that have a figure, the best first."""
    known = [(library, figure) for library in comparison.libraries if (figure := library.figure(row.name))]
    return sorted(known, key=lambda pair: pair[1], reverse=row.higher_is_better)


def _panel(comparison: Comparison, row: Row) -> str:
    known = _known(comparison, row)
    logarithmic = row.name not in _LINEAR
    scale = scale_of([figure for _, figure in known], logarithmic=logarithmic)
    unit = "jobs/s" if row.unit == "ops/s" else row.unit
    direction = "longer is better" if row.higher_is_better else "shorter is better"
    kind = ", log scale" if logarithmic else ""
    bars = [_bar(library, row, figure, scale, at) for at, (library, figure) in enumerate(known)]
    return (
        f'<text x="4" y="16"><tspan font-weight="600">{row.title}</tspan>, {unit} ({direction}{kind})</text>'
        + "".join(bars)
    )


def _bar(library: Library, row: Row, figure: float, scale: Scale, at: int) -> str:
    kind = "ours" if library.name == OURS.name else library.language
    room = _PANEL_WIDTH - _LABEL_WIDTH - _FIGURE_WIDTH
    length = max(1.0, room * scale.length(figure))
    top, base = _HEAD + _STEP * at, _HEAD + _STEP * at + 11
    weight = ' font-weight="600"' if kind == "ours" else ""
    outline = ' stroke="#8a6100"' if kind == "ours" else ""
    return (
        f'<text x="{_LABEL_WIDTH - 8}" y="{base}" text-anchor="end"{weight}>{escape(library.title)}</text>'
        f'<rect x="{_LABEL_WIDTH}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{_COLOURS[kind]}"{outline}/>'
        f'<text x="{_LABEL_WIDTH + length + 6:.1f}" y="{base}"{weight}>{format_figure(figure, row)}</text>'
    )
