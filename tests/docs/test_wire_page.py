"""The page on the wire format names what the code reads and writes."""

import re
from typing import Final, get_args, get_origin

import pytest

from taskora.contracts import JobState
from taskora.contracts.records import field_names
from taskora.producer import AnyJobEvent
from taskora.wire import MIN_COMPAT, WIRE_VERSION, TaskKeys
from tests.architecture.repository import ROOT

PAGE: Final = (ROOT / "docs/spec/wire.md").read_text(encoding="utf-8")
LUA: Final = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("lua/**/*.lua")))

KEYS: Final = field_names(TaskKeys)[1:]
# A word of Lua that is a hash field: what is set, read or deleted on a job's hash.
COMMANDS: Final = re.compile(r"(?:'H(?:SET|DEL|GET|MGET|INCRBY)', job_key|fields_of\(job_key),([^)]*)\)")
WORD: Final = re.compile(r"'([A-Za-z_]+)'")
VALUES: Final = frozenset(state.value for state in JobState)


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_versions_are_those_of_the_code() -> None:
    assert f"Wire version {WIRE_VERSION}, compatible back to {MIN_COMPAT}." in PAGE


@pytest.mark.parametrize("slot", KEYS)
def test_every_key_of_a_task_is_listed(slot: str) -> None:
    key = getattr(TaskKeys("P"), slot)
    assert f"| `{key}` |" in section("Keys")


def test_the_states_are_those_of_the_code() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section("States"), re.MULTILINE)
    assert sorted(listed) == sorted(state.value for state in JobState)


def test_the_events_are_those_that_scripts_emit() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section("Events"), re.MULTILINE)
    emitted = {word for name in re.findall(r"\bemit\(([^,)]*)", LUA) for word in WORD.findall(name)}  # or one of two
    assert sorted(listed) == sorted(emitted)


def test_every_event_has_a_type_and_every_type_an_event() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section("Events"), re.MULTILINE)
    typed = [part.kind for part in (get_origin(member) or member for member in get_args(AnyJobEvent))]
    listed.remove("workflow")  # is about no job
    assert sorted(typed) == sorted(listed)


def test_every_field_that_a_script_touches_is_listed() -> None:
    touched = {word for words in COMMANDS.findall(LUA) for word in WORD.findall(words)} - VALUES
    assert {"data", "attempt", "expireAt", "stalledCount"} <= touched
    assert {name for name in touched if f"`{name}`" not in section("Job")} == set()
