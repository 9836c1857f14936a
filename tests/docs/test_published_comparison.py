"""The comparison in the documentation is that of the run whose figures are checked in."""

from pathlib import Path

from taskora.bench.report import write
from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"


def test_tables_and_plot_are_those_of_the_published_run(tmp_path: Path) -> None:
    """Otherwise: `python -m taskora.bench.report docs/performance.json`."""
    page, picture = tmp_path / "performance.md", tmp_path / "performance.svg"
    page.write_text((DOCS / page.name).read_text())
    write(DOCS / "performance.json", page, picture)
    assert page.read_text() == (DOCS / page.name).read_text()
    assert picture.read_text() == (DOCS / picture.name).read_text()
