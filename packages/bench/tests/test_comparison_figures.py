"""Medians, ratios, and the JSON of a comparison."""

import json
from collections.abc import Mapping, Sequence

import pytest

from taskora.bench._rows import Row
from taskora.bench.peers._catalog import Language
from taskora.bench.peers._document import Comparison, Library
from taskora.bench.peers._ratios import best_of, ratio
from taskora.bench.peers._rows import COMPARED, SCENARIOS
from taskora.bench.peers._table import format_figure, reasons

RATE = Row(name="process_1", title="process c=1", unit="ops/s")
TIME = Row(name="latency_p50", title="latency p50", unit="ms")


def library(
    name: str,
    runs: Mapping[str, Sequence[float]],
    *,
    language: Language = "python",
    missing: Mapping[str, str] | None = None,
    failed: Mapping[str, str] | None = None,
) -> Library:
    return Library(
        name=name,
        title=name.upper(),
        language=language,
        version="1.0",
        settings="defaults",
        runs=runs,
        missing=missing or {},
        failed=failed or {},
    )


def comparison(*libraries: Library) -> Comparison:
    return Comparison(
        date="2026-11-22T07:10:00+00:00",
        machine="Abacus",
        cores=2,
        load=0.04,
        python="3.11.7",
        server="Redis 7.0.15",
        repeats=3,
        seconds=1.5,
        libraries=libraries,
    )


def test_a_figure_is_the_median_of_its_repeats() -> None:
    measured = library("saq", {"process_1": [10.0, 1000.0, 20.0], "latency_p50": [1.0, 2.0]})
    assert measured.figure("process_1") == 20.0
    assert measured.figure("latency_p50") == 1.5
    assert measured.figure("enqueue") is None


def test_we_are_compared_with_the_best_of_a_language_in_each_row() -> None:
    result = comparison(
        library("taskora", {"process_1": [300.0], "latency_p50": [2.0]}),
        library("saq", {"process_1": [100.0], "latency_p50": [8.0]}),
        library("arq", {"process_1": [50.0], "latency_p50": [1.0]}),
        library("bullmq-node", {"process_1": [600.0], "latency_p50": [4.0]}, language="node"),
    )
    found = {
        (row.name, language): ratio(result, row, language) for row in (RATE, TIME) for language in ("python", "node")
    }
    told = {key: (one.best.name, one.factor) for key, one in found.items() if one}
    assert told == {
        ("process_1", "python"): ("saq", 3.0),
        ("process_1", "node"): ("bullmq-node", 0.5),
        ("latency_p50", "python"): ("arq", 0.5),
        ("latency_p50", "node"): ("bullmq-node", 2.0),
    }


def test_there_is_no_ratio_where_a_figure_is_missing() -> None:
    peer, ours = library("saq", {"process_1": [100.0]}), library("taskora", {"latency_p50": [1.0]})
    assert ratio(comparison(ours, peer), RATE, "python") is None
    assert ratio(comparison(ours, peer), TIME, "python") is None
    assert ratio(comparison(peer), RATE, "python") is None
    assert best_of([], RATE) is None


def test_figures_survive_json() -> None:
    before = comparison(
        library("taskora", {"process_1": [1.0, 2.0, 3.0]}),
        library("rq", {}, missing={"process_100": "one at a time"}, failed={"latency": "no answer"}),
    )
    assert Comparison.from_json(before.to_json()).to_json() == before.to_json()


def test_the_json_says_its_schema_and_the_medians() -> None:
    document = json.loads(comparison(library("taskora", {"process_1": [1.0, 2.0, 9.0]})).to_json())
    assert document["schema"] == 1
    assert document["libraries"][0]["runs"] == {"process_1": [1.0, 2.0, 9.0]}
    assert document["libraries"][0]["medians"] == {"process_1": 2.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"library": "taskora", "figures": {}}', "not figures of schema 1"),
        ('{"schema": 2, "libraries": []}', "not figures of schema 1"),
        ('{"schema": 1, "libraries": []}', "not complete"),
        ('{"schema": 1}', "not complete"),
    ],
)
def test_other_json_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Comparison.from_json(text)


def test_every_row_comes_from_one_scenario() -> None:
    rows = [row for yielded in SCENARIOS.values() for row in yielded]
    assert sorted(rows) == sorted(row.name for row in COMPARED)


@pytest.mark.parametrize(
    ("figure", "unit", "text"),
    [
        (12345.6, "ops/s", "12,346"),
        (0.256, "ms", "0.26"),
        (255.4, "bytes", "255"),
        (4.26, "us", "4.3"),
        (42.6, "us", "43"),
        (None, "ms", "-"),
    ],
)
def test_a_figure_is_shown_as_exactly_as_it_means_something(figure: float | None, unit: str, text: str) -> None:
    row = next(row for row in COMPARED if row.unit == unit)
    assert format_figure(figure, row) == text


def test_reasons_are_told_once_for_all_scenarios_that_share_them() -> None:
    result = comparison(
        library("rq", {}, missing={"process_100": "one at a time"}, failed={"enqueue": "no node", "latency": "no node"})
    )
    assert reasons(result) == ["RQ, process_100, not offered: one at a time", "RQ, enqueue, latency, failed: no node"]
