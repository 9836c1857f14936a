"""revise_workflow: running -> running; failed | cancelled -> running."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from taskora.wire import ReviseWorkflow
from tests.transitions.keyspace import Expires, RawTask
from tests.transitions.workflows import DIAMOND, ID, KEY, changes, lives_on, record_of, stored

SHA = hashlib.sha1(DIAMOND.encode()).hexdigest()
OTHER = replace(DIAMOND, name="other")
REVISE = ReviseWorkflow(
    workflow_id=ID,
    seen_state="failed",
    graph_sha=SHA,
    graph=OTHER,
    fields={"n:1:state": "active"},
    forgotten=["error"],
    mark="m1",
)


def test_a_stopped_workflow_runs_again_with_the_fields_that_were_worked_out(task: RawTask) -> None:
    before = stored("completed", *["failed"] * 3, state="failed", error="boom")
    task.seed({KEY: Expires(before)})
    assert task.run(REVISE) is True
    assert changes(before, record_of(task)) == {
        "state": "running", "graph": OTHER.encode().decode(), "n:1:state": "active", "error": "", "py:revised": "m1",
    }  # fmt: skip
    assert lives_on(task)


@pytest.mark.parametrize(
    "changed",
    [replace(REVISE, seen_state="running"), replace(REVISE, graph_sha="0" * 40), replace(REVISE, seen_try=1)],
    ids=["state", "graph", "try"],
)
def test_one_that_has_changed_meanwhile_is_left_alone(task: RawTask, changed: ReviseWorkflow) -> None:
    before = Expires(stored("completed", *["failed"] * 3, state="failed", error="boom"))
    task.seed({KEY: before})
    assert task.run(changed) is False
    assert task.dump() == {KEY: before}


@pytest.mark.parametrize("fields", [{"n:1:state": "completed"}, {"n:1:result": "3"}])
def test_a_step_that_has_its_result_takes_no_more_steps(task: RawTask, fields: dict[str, Any]) -> None:
    before = stored("completed", "active", "pending", "pending", **fields)
    task.seed({KEY: before})
    assert task.run(replace(REVISE, seen_state="running", open_steps=[2, 1])) is False
    assert task.dump() == {KEY: before}
    assert task.run(replace(REVISE, seen_state="running", open_steps=[2, 3])) is True


def test_a_workflow_that_is_gone_is_not_revived(task: RawTask) -> None:
    assert task.run(REVISE) is False
    assert task.dump() == {}


def test_one_that_is_sent_again_is_answered_as_the_first_time(task: RawTask) -> None:
    task.seed({KEY: Expires(stored("completed", *["failed"] * 3, state="failed", error="boom"))})
    assert task.run(REVISE) is True
    before = task.dump()
    assert task.run(REVISE.again()) is True
    assert task.run(replace(REVISE, mark="m2").again()) is False
    assert task.dump() == before


def test_one_that_was_never_carried_out_is_when_it_is_sent_again(task: RawTask) -> None:
    task.seed({KEY: Expires(stored("completed", *["failed"] * 3, state="failed", error="boom"))})
    assert task.run(REVISE.again()) is True
    assert record_of(task)["state"] == "running"
