"""`python -m taskora.bench.report FIGURES [--page FILE] [--plot FILE]` writes a run into the documentation.

Figures are never typed by hand: `make bench-peers ARGS="--json FIGURES"` writes them, and this puts them on the page.
"""

import argparse
import os
import sys
from pathlib import Path

from taskora.bench.peers._document import Comparison
from taskora.bench.peers._markdown import replace_section, section
from taskora.bench.peers._plot import plot


def main(arguments: list[str]) -> int:
    """Writes the plot, and replaces what is between the markers of the page."""
    parser = argparse.ArgumentParser(prog="taskora.bench.report", description="Writes a run into the documentation.")
    parser.add_argument("figures", type=Path, help="what `--json` wrote")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--plot", type=Path, default=Path("docs/performance.svg"))
    options = parser.parse_args(arguments)
    write(options.figures, options.page, options.plot)
    return 0


def write(figures: Path, page: Path, picture: Path) -> None:
    """Writes both files, or none where the figures or the page are not as they should be."""
    comparison = Comparison.from_json(figures.read_text())
    address = Path(os.path.relpath(picture, page.parent)).as_posix()
    text = replace_section(page.read_text(), section(comparison, address))
    picture.write_text(plot(comparison))
    page.write_text(text)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
