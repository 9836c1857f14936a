"""advance_workflow: running -> running | completed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from taskora.wire import Advanced, AdvanceWorkflow, StepJob, StepResult, WorkflowGraph, WorkflowStep
from tests.transitions.keyspace import NOW, RawTask
from tests.transitions.workflows import DIAMOND, ID, KEY, changes, foreign, lives_on, record_of, stored

BOTH = pytest.mark.parametrize("made", [stored, foreign], ids=["ours", "of another program"])
Made = Callable[..., dict[str, str]]


def advance(*results: tuple[int, bytes]) -> AdvanceWorkflow:
    given = [StepResult(step=step, job_id=f"j{step}", result=result) for step, result in results]
    return AdvanceWorkflow(workflow_id=ID, results=given)


def job(step: int, data: bytes, *, graph: WorkflowGraph = DIAMOND) -> StepJob:
    planned = graph.steps[step]
    return StepJob(
        workflow_id=ID, step=step, task=planned.task, job_id=planned.job_id, version=planned.version, data=data
    )


def going_on(*ready: StepJob) -> Advanced:
    return Advanced(state="running", told_in="", ready=ready)


@BOTH
def test_a_result_starts_the_steps_that_waited_for_it(task: RawTask, made: Made) -> None:
    before = made("pending", "pending", "pending", "pending")
    task.seed({KEY: before})
    assert task.run(advance((0, b"3"))) == going_on(job(1, b"3"), job(2, b"3"))
    assert changes(before, record_of(task)) == {
        "n:0:state": "completed", "n:0:result": "3", "n:1:state": "active", "n:2:state": "active",
    }  # fmt: skip
    assert lives_on(task)


@BOTH
def test_a_step_starts_with_all_inputs_in_order_once_the_last_is_there(task: RawTask, made: Made) -> None:
    task.seed({KEY: made("completed", "active", "active", "pending", n_0_result="3")})
    assert task.run(advance((2, b'{"b": "%1"}'))) == going_on()
    assert task.run(advance((1, b"1"))) == going_on(job(3, b'[1,{"b": "%1"}]'))


@BOTH
def test_an_empty_result_is_nothing(task: RawTask, made: Made) -> None:
    task.seed({KEY: made("completed", "active", "active", "pending", n_0_result="3")})
    assert task.run(advance((1, b""), (2, b"2"))) == going_on(job(3, b"[null,2]"))


@BOTH
def test_the_last_result_completes_the_workflow(task: RawTask, made: Made) -> None:
    before = made("completed", "completed", "completed", "active", n_0_result="3", n_1_result="1", n_2_result="2")
    task.seed({KEY: before})
    assert task.run(advance((3, b"[4]"))) == Advanced(state="completed", told_in="t", ready=())
    assert changes(before, record_of(task)) == {
        "state": "completed", "result": "[4]", "n:3:state": "completed", "n:3:result": "[4]", "py:finishedAt": str(NOW),
    }  # fmt: skip
    assert not lives_on(task)


@BOTH
def test_several_results_are_a_list(task: RawTask, made: Made) -> None:
    graph = replace(DIAMOND, steps=DIAMOND.steps[:3], terminal=(2, 1))
    task.seed({KEY: made("completed", "active", "active", graph=graph, n_0_result="3")})
    assert task.run(advance((1, b"1"))).state == "running"
    assert task.run(advance((2, b""))) == Advanced(state="completed", told_in="u", ready=())
    assert record_of(task)["result"] == "[null,1]"


@BOTH
def test_told_again_of_a_step_it_tells_again_what_may_not_have_been_enqueued(task: RawTask, made: Made) -> None:
    before = made("completed", "active", "completed", "pending", n_0_result="3", n_2_result="2")
    task.seed({KEY: before})
    assert task.run(advance((0, b"another"))) == going_on(job(1, b"3"))
    assert record_of(task) == before


@BOTH
def test_the_job_of_an_earlier_try_changes_nothing(task: RawTask, made: Made) -> None:
    before = made("pending", "pending", "pending", "pending")
    task.seed({KEY: before})
    stale = StepResult(step=0, job_id="j9", result=b"3")
    unknown = StepResult(step=9, job_id="j9", result=b"3")
    assert task.run(AdvanceWorkflow(workflow_id=ID, results=[stale, unknown])) == going_on()
    assert record_of(task) == before


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_a_workflow_that_has_ended_changes_no_more(task: RawTask, state: str) -> None:
    before = stored("pending", "pending", "pending", "pending", state=state)
    task.seed({KEY: before})
    reply = task.run(advance((0, b"3")))
    assert (reply.state, reply.told_in, reply.ready) == (state, "t", ())
    assert record_of(task) == before
    task.client.delete(KEY)


def test_a_workflow_that_is_gone_has_nothing_to_start(task: RawTask) -> None:
    assert task.run(advance((0, b"3"))) == Advanced(state=None, told_in="", ready=())
    assert task.dump() == {}


def test_data_of_its_own_beats_what_other_steps_give(task: RawTask) -> None:
    own = WorkflowStep(task="t", deps=(0,), job_id="j1", version=1, data=b'{"own":1}')
    graph = WorkflowGraph(steps=(DIAMOND.steps[0], own), terminal=(1,), name="own")
    task.seed({KEY: stored("pending", "pending", graph=graph)})
    assert task.run(advance((0, b"3"))) == going_on(job(1, b'{"own":1}', graph=graph))


def test_inputs_are_put_together_as_planned(task: RawTask) -> None:
    steps = (*DIAMOND.steps[:3], replace(DIAMOND.steps[3], shape="[[1],2]"))
    graph = replace(DIAMOND, steps=steps)
    task.seed({KEY: stored("completed", "active", "active", "pending", graph=graph, n_0_result="3")})
    assert task.run(advance((1, b"1"), (2, b"2"))) == going_on(job(3, b"[[1],2]", graph=graph))


# What step 0 spawned: a chain of two.
SPAWNED = replace(
    DIAMOND,
    steps=(
        *DIAMOND.steps,
        WorkflowStep(task="u", deps=(0,), job_id="j4", version=1, shape="0", parent=0),
        WorkflowStep(task="u", deps=(4,), job_id="j5", version=1, shape="4", parent=0),
    ),
)


def test_a_step_that_spawned_is_held_and_what_it_spawned_starts(task: RawTask) -> None:
    before = stored(*["pending"] * 6, graph=SPAWNED, **{"py:spawned:0": "5"})
    task.seed({KEY: before})
    assert task.run(advance((0, b"3"))) == going_on(job(4, b"3", graph=SPAWNED))
    held = record_of(task)
    assert changes(before, held) == {"n:0:state": "active", "n:0:result": "3", "n:4:state": "active"}
    assert task.run(advance((0, b"7"))) == going_on(job(4, b"3", graph=SPAWNED))
    assert record_of(task) == held


def test_it_is_completed_with_the_last_of_them(task: RawTask) -> None:
    fields = {"py:spawned:0": "5", "n:0:result": "3"}
    task.seed({KEY: stored("active", *["pending"] * 3, "active", "pending", graph=SPAWNED, **fields)})
    assert task.run(advance((4, b"4"))) == going_on(job(5, b"4", graph=SPAWNED))
    reply = task.run(advance((5, b"5")))
    assert reply == going_on(job(1, b"3", graph=SPAWNED), job(2, b"3", graph=SPAWNED))
    assert record_of(task)["n:0:state"] == "completed"


def settled(by: str) -> AdvanceWorkflow:
    """Step 0 has the result of the attempt with a token."""
    return AdvanceWorkflow(workflow_id=ID, results=[StepResult(step=0, job_id="j0", result=b"3", settled_by=by)])


def test_what_the_attempt_planned_whose_result_it_is_starts(task: RawTask) -> None:
    before = stored(*["pending"] * 6, graph=SPAWNED, **{"py:planned:0": "mine 4 5 5;"})
    task.seed({KEY: before})
    assert task.run(settled("mine")) == going_on(job(4, b"3", graph=SPAWNED))
    held = record_of(task)
    assert changes(before, held) == {
        "n:0:state": "active", "n:0:result": "3", "n:4:state": "active", "py:planned:0": "", "py:spawned:0": "5",
    }  # fmt: skip
    assert task.run(settled("mine")) == going_on(job(4, b"3", graph=SPAWNED))
    assert record_of(task) == held


def test_what_another_attempt_planned_is_dropped(task: RawTask) -> None:
    before = stored(*["pending"] * 6, graph=SPAWNED, **{"py:planned:0": "other 4 5 5;"})
    task.seed({KEY: before})
    assert task.run(settled("mine")) == going_on(job(1, b"3", graph=SPAWNED), job(2, b"3", graph=SPAWNED))
    assert changes(before, record_of(task)) == {
        "n:0:state": "completed", "n:0:result": "3", "n:1:state": "active", "n:2:state": "active",
        "n:4:state": "cancelled", "n:5:state": "cancelled", "py:planned:0": "", "py:dropped": "4,5",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["mine 4 4 4;other 5 5 5;", "other 5 5 5;mine 4 4 4;"])
def test_plans_of_several_attempts_stand_side_by_side_until_then(task: RawTask, line: str) -> None:
    before = stored(*["pending"] * 6, graph=SPAWNED, **{"py:planned:0": line, "py:dropped": "3"})
    task.seed({KEY: before})
    assert task.run(settled("mine")) == going_on(job(4, b"3", graph=SPAWNED))
    assert changes(before, record_of(task)) == {
        "n:0:state": "active", "n:0:result": "3", "n:4:state": "active", "n:5:state": "cancelled",
        "py:planned:0": "", "py:spawned:0": "4", "py:dropped": "3,5",
    }  # fmt: skip
