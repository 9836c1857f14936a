"""How libraries take turns, and what becomes of one that fails."""

import json
import sys

import pytest

from taskora.bench.peers._catalog import Peer
from taskora.bench.peers._environments import Environment
from taskora.bench.peers._rows import SCENARIOS
from taskora.bench.peers._run import Cell, compare, measure_apart

NAMES = list(SCENARIOS)


def peer(name: str) -> Peer:
    return Peer(name=name, title=name, driver=name, requirements=())


def environment(*command: str) -> Environment:
    return Environment(command=command, variables={})


class Script:
    """Plays the drivers: the command of an environment is the name of its library."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.failing: set[tuple[str, str]] = set()
        self.said: list[str] = []

    def measure(self, environment: Environment, scenario: str, seconds: float) -> Cell:
        (name,) = environment.command
        self.calls.append((name, scenario))
        if (name, scenario) in self.failing:
            return Cell(failure="no answer")
        if name == "rq" and scenario == "process_100":
            return Cell(version="3.0", not_offered="one at a time")
        return Cell(version="1.0", settings="defaults", figures={scenario: seconds * len(self.calls)})


def test_libraries_take_turns_within_each_scenario_of_each_repeat() -> None:
    script = Script()
    entrants = [(peer(name), environment(name)) for name in ("taskora", "saq")]
    compare(entrants, repeats=2, seconds=1.0, announce=script.said.append, measure=script.measure)
    assert script.calls == [(name, scenario) for scenario in NAMES for name in ("taskora", "saq")] * 2
    assert script.said[:2] == ["run 1/2: enqueue", "run 1/2: enqueue_bulk"]


def test_every_repeat_is_kept() -> None:
    script = Script()
    (ours,) = compare(
        [(peer("taskora"), environment("taskora"))],
        repeats=3,
        seconds=1.0,
        announce=script.said.append,
        measure=script.measure,
    )
    assert ours.runs["enqueue"] == [1.0, 6.0, 11.0]
    assert (ours.version, ours.settings) == ("1.0", "defaults")


def test_a_scenario_that_fails_is_told_and_not_tried_again_while_the_rest_goes_on() -> None:
    script = Script()
    script.failing = {("saq", "enqueue")}
    entrants = [(peer(name), environment(name)) for name in ("taskora", "saq")]
    ours, saq = compare(entrants, repeats=2, seconds=1.0, announce=script.said.append, measure=script.measure)
    assert saq.failed == {"enqueue": "no answer"}
    assert set(saq.runs) == set(NAMES) - {"enqueue"}
    assert len(ours.runs["enqueue"]) == 2
    assert script.calls.count(("saq", "enqueue")) == 1
    assert "  saq failed: no answer" in script.said


def test_what_is_not_offered_is_no_failure() -> None:
    script = Script()
    entrants = [(peer("rq"), environment("rq"))]
    (rq,) = compare(entrants, repeats=2, seconds=1.0, announce=script.said.append, measure=script.measure)
    assert rq.missing == {"process_100": "one at a time"}
    assert rq.failed == {}
    assert script.calls.count(("rq", "process_100")) == 1


def test_a_library_that_cannot_be_installed_is_reported_as_failed() -> None:
    script = Script()
    entrants: list[tuple[Peer, Environment | str]] = [
        (peer("arq"), "no network"),
        (peer("saq"), environment("saq")),
    ]
    arq, saq = compare(entrants, repeats=1, seconds=1.0, announce=script.said.append, measure=script.measure)
    assert arq.failed == dict.fromkeys(NAMES, "no network")
    assert set(saq.runs) == set(NAMES)


def say(program: str) -> Cell:
    return measure_apart(environment(sys.executable, "-c", program), "enqueue", 0.01)


def test_a_driver_says_its_figures_in_its_last_line_and_is_told_what_to_do() -> None:
    program = "import sys, json; print('hello'); print(json.dumps({'version': ' '.join(sys.argv[1:]), 'figures': {}}))"
    scenario, url, seconds = say(program).version.split()
    assert (scenario, seconds) == ("enqueue", "0.01")
    assert url.startswith("redis://127.0.0.1:")


@pytest.mark.parametrize(
    ("program", "failure"),
    [
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import os; os._exit(3)", "ended with 3"),
        ("print('hello')", "said what is not understood: 'hello\\n'"),
        ("print('{\"tables\": 1}')", "said what is not understood: '{\"tables\": 1}\\n'"),
        ("pass", "said what is not understood: ''"),
    ],
)
def test_a_driver_that_does_not_do_that_has_failed(program: str, failure: str) -> None:
    assert say(program).failure == failure


def test_a_driver_may_say_that_something_is_not_offered() -> None:
    told = json.dumps({"version": "1", "settings": "", "not_offered": "no bulk"})
    assert say(f"print({told!r})") == Cell(version="1", not_offered="no bulk")
