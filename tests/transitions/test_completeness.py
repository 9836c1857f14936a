"""Every transition has tests here, and the search for leaks finds leaks."""

from pathlib import Path

import pytest

from tests.transitions.keyspace import Dump, Expires, Scores, job, leaks

ROOT = Path(__file__).resolve().parents[2]

PARKED: Dump = {"parked:key:org": Scores({"j1": 1}), "parked:keys": Scores({"org": 1}), "parked:count": "1"}


@pytest.mark.parametrize("script", sorted((ROOT / "lua").glob("*.lua")), ids=lambda script: script.stem)
def test_a_transition_has_a_test_file(script: Path) -> None:
    assert list(Path(__file__).parent.glob(f"test_{script.stem}*.py")) != []


@pytest.mark.parametrize(
    ("dump", "found"),
    [
        ({}, []),
        ({"j1": job(), "wait": ["j1"], "j1:logs": ["{}"], "j1:lock": Expires("tok")}, []),
        ({"dedup:k": "j1", "conc:org": "2", "metrics:completed:0": Expires("1")}, []),
        ({"j1": job()}, ["j1 has no lifetime and no owner"]),
        ({"j1:logs": ["{}"]}, ["j1:logs has no lifetime and no owner"]),
        ({"j1:lock": "tok"}, ["j1:lock has no lifetime and no owner"]),
        ({"metrics:completed:0": "1"}, ["metrics:completed:0 has no lifetime and no owner"]),
        ({"conc:org": "0"}, ["conc:org counts nothing"]),
        ({"wait": ["j1"], "failed": Scores({"j1": 1}), "j1": job()}, ["j1 stands in two places"]),
        ({"wait": ["j1", "j1"], "j1": job()}, ["j1 stands in two places"]),
        ({"j1": job(), **PARKED}, []),
        ({"j1": job(), **PARKED, "parked:count": "2"}, ["parked:count is not 1"]),
        ({"j1": job(), **PARKED, "parked:keys": Scores({"other": 1})}, ["parked:keys does not name every key"]),
        ({"j1": job(), **PARKED, "wait": ["j1"]}, ["j1 stands in two places"]),
        ({"parked:newer": Scores({"j1": 1})}, ["parked:newer names jobs that are not delayed"]),
        ({"dedup:k": "j1", "throttle:k": "1"}, ["throttle:k has no lifetime and no owner"]),
    ],
)
def test_leaks_are_found(dump: Dump, found: list[str]) -> None:
    assert leaks(dump) == found
