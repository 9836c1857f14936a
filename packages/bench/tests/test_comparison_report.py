"""What a comparison looks like on a page."""

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

from taskora.bench.peers._document import Comparison, Library
from taskora.bench.peers._markdown import BEGIN, END, replace_section, section
from taskora.bench.peers._plot import plot, scale_of
from taskora.bench.peers._rows import COMPARED
from taskora.bench.report import write

_SVG = "{http://www.w3.org/2000/svg}"


def library(name: str, scale: float, **changes: object) -> Library:
    fields: dict[str, object] = {
        "name": name,
        "title": name,
        "language": "python",
        "version": "1.2.3",
        "settings": "`fast=True`",
        "runs": {row.name: [number * scale] for number, row in enumerate(COMPARED, 1)},
        "missing": {},
        "failed": {},
    }
    return Library(**(fields | changes))  # type: ignore[arg-type]  # the changes of a test


RESULT = Comparison(
    date="2026-11-22T07:10:00+00:00",
    machine="Abacus",
    cores=2,
    load=0.04,
    python="3.11.7",
    server="Redis 7.0.15",
    repeats=3,
    seconds=1.5,
    libraries=[
        library("taskora", 200.0),
        library("<SAQ>", 100.0),
        library("BullMQ", 50.0, language="node"),
        library("RQ", 1.0, runs={"enqueue": [7.0]}, missing={"process_100": "one at a time"}),
    ],
)


def test_the_section_has_the_figures_the_ratios_and_the_circumstances() -> None:
    lines = section(RESULT, "plot.svg").splitlines()
    assert "| taskora | 200 | 400 | 600 | 800 | 1000.00 | 1200.00 | 1400.00 |" in lines
    assert "| RQ | 7 | - | - | - | - | - | - |" in lines
    assert (
        "| **against the best other Python** | **2.00x** | **2.00x** | **2.00x** | **2.00x** | **0.50x** | **0.50x** "
        "| **0.50x** |"
    ) in lines
    assert "| taskora | 1.2.3 | `fast=True` |" in lines
    assert "- RQ, process_100, not offered: one at a time" in lines
    assert lines[0].startswith("Measured on 22 November 2026, 07:10 UTC: Abacus, 2 cores shared by client and server,")
    assert any("(plot.svg)" in line for line in lines)


def test_every_line_of_a_table_has_as_many_cells_as_its_heading() -> None:
    blocks = [block.splitlines() for block in section(RESULT, "plot.svg").split("\n\n") if block.startswith("|")]
    assert [len({line.count("|") for line in block}) for block in blocks] == [1, 1, 1]


def test_only_what_is_between_the_markers_is_replaced() -> None:
    page = f"before {BEGIN}\nold\n{END} after"
    assert replace_section(page, "new \\1") == f"before {BEGIN}\n\nnew \\1\n\n{END} after"


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_one_pair_of_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="the page must contain"):
        replace_section(page, "new")


def test_the_plot_is_well_formed_and_has_a_bar_for_each_figure() -> None:
    picture = ElementTree.fromstring(plot(RESULT))
    bars = list(picture.iter(f"{_SVG}rect"))
    assert len(bars) == 6 * 3 + 1
    assert all(float(bar.attrib["width"]) >= 1 for bar in bars)
    assert {text.text for text in picture.iter(f"{_SVG}text")} >= {"taskora", "<SAQ>", "BullMQ", "RQ", "200"}


def test_bars_stay_inside_their_panel_and_better_ones_come_first() -> None:
    picture = ElementTree.fromstring(plot(RESULT))
    width = float(picture.attrib["width"]) / 2
    for panel in picture.iter(f"{_SVG}g"):
        bars = [float(bar.attrib["width"]) for bar in panel.iter(f"{_SVG}rect")]
        assert all(bar < width for bar in bars)
        assert bars in (sorted(bars), sorted(bars, reverse=True))


def test_a_logarithmic_scale_gives_each_factor_the_same_length() -> None:
    scale = scale_of([20.0, 200.0, 2000.0], logarithmic=True)
    lengths = [scale.length(figure) for figure in (20.0, 200.0, 2000.0)]
    steps = [after - before for before, after in itertools.pairwise(lengths)]
    assert scale.lowest == 10.0
    assert steps[0] == pytest.approx(steps[1])
    assert lengths[-1] == 1.0


def test_a_scale_of_one_figure_has_a_length() -> None:
    assert scale_of([10.0], logarithmic=True).length(10.0) == 1.0
    assert scale_of([5.0], logarithmic=False).length(5.0) == 1.0


def test_both_files_are_written_from_the_json(tmp_path: Path) -> None:
    figures, page, picture = tmp_path / "run.json", tmp_path / "docs" / "page.md", tmp_path / "docs" / "plot.svg"
    page.parent.mkdir()
    figures.write_text(RESULT.to_json())
    page.write_text(f"# Title\n\n{BEGIN}\n{END}\n")
    write(figures, page, picture)
    assert page.read_text() == f"# Title\n\n{BEGIN}\n\n{section(RESULT, 'plot.svg')}\n\n{END}\n"
    assert picture.read_text() == plot(RESULT)


def test_no_file_is_written_where_the_page_has_no_place_for_it(tmp_path: Path) -> None:
    figures, page, picture = tmp_path / "run.json", tmp_path / "page.md", tmp_path / "plot.svg"
    figures.write_text(RESULT.to_json())
    page.write_text("# Title\n")
    with pytest.raises(ValueError, match="the page must contain"):
        write(figures, page, picture)
    assert page.read_text() == "# Title\n"
    assert not picture.exists()
