"""Our own benchmark, at a scale where it measures nothing."""

import pytest

from taskora.bench._run import medians, run_apart
from taskora.bench._scenarios import SUITES


@pytest.mark.slow
def test_the_main_suite_yields_every_row_it_prints() -> None:
    scenarios, rows = SUITES["main"]
    figures = medians([run_apart(scenario, 0.02) for scenario in scenarios])
    assert set(figures) == {row.name for row in rows}
    assert all(figure > 0 for figure in figures.values())


def test_a_figure_is_the_median_of_those_that_runs_have_of_it() -> None:
    assert medians([{"a": 1.0}, {"a": 5.0, "b": 7.0}, {"a": 2.0}]) == {"a": 2.0, "b": 7.0}
