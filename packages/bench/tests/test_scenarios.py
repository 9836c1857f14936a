"""Our own benchmark, at a scale where it measures nothing."""

import asyncio
import multiprocessing
from pathlib import Path

import pytest

from taskora.bench._fleet import FLEETS, running, until
from taskora.bench._fleet_worker import Gate, pass_gate
from taskora.bench._run import medians, run_apart
from taskora.bench._scenarios import SUITES
from tests.polling import eventually


@pytest.mark.slow
def test_the_main_suite_yields_every_row_it_prints() -> None:
    scenarios, rows = SUITES["main"]
    figures = medians([run_apart(scenario, 0.02) for scenario in scenarios])
    assert set(figures) == {row.name for row in rows}
    assert all(figure > 0 for figure in figures.values())


@pytest.mark.slow
def test_a_stream_yields_every_row_it_prints() -> None:
    scenarios, rows = SUITES["stream"]
    figures = medians([run_apart(scenario, 0.02) for scenario in scenarios])
    assert set(figures) == {row.name for row in rows}
    assert figures["stream"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fleet_noop_2", "fleet_compute_1"])
def test_a_fleet_yields_every_row_it_prints(name: str) -> None:
    figures = run_apart(name, 0.1)
    rows = [row for fleet in FLEETS if fleet.name == name for row in fleet.rows()]
    assert set(figures) == {row.name for row in rows}
    assert figures[f"{name}_rate"] > 0


def test_a_fleet_that_ends_early_is_an_error_and_no_wait() -> None:
    async def watch() -> None:
        async with running("no.such.module", 2, {}) as ended:
            await until(nothing, ended, within=60)

    with pytest.raises(RuntimeError, match="ended with code 2"):
        asyncio.run(watch())


async def nothing() -> int:
    return 0


def test_a_gate_holds_processes_back_until_it_is_opened(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        passed = pool.apply_async(pass_gate, (tmp_path,))
        eventually(gate.waiting)
        assert not passed.ready()
        gate.open()
        passed.get(30)


def test_a_figure_is_the_median_of_those_that_runs_have_of_it() -> None:
    assert medians([{"a": 1.0}, {"a": 5.0, "b": 7.0}, {"a": 2.0}]) == {"a": 2.0, "b": 7.0}
