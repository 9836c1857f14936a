"""cancel_steps: waiting | delayed | retrying -> cancelled; active -> active with a request; (none) -> cancelled."""

from typing import Any

from taskora.wire import CancelReply, CancelSteps, RetryDead, Revived
from tests.transitions.keyspace import NOW, Events, Expires, RawTask, Scores, event, job

CANCEL = CancelSteps(task="t", job_ids=("j1",), reason="workflow failed")
LINKED: dict[str, Any] = {"_wf": "w1", "_wfNode": 0}


def test_a_waiting_job_is_cancelled_and_its_workflow_is_not_to_be_told(task: RawTask) -> None:
    task.seed({"j1": job(**LINKED), "wait": ["j1"]})
    assert task.run(CANCEL) == (CancelReply.CANCELLED,)
    assert task.dump() == {
        "j1": job("cancelled", **LINKED, finishedOn=NOW, cancelReason="workflow failed"),
        "cancelled": Scores({"j1": NOW}),
        "events": Events([event("cancelled", "j1", reason="workflow failed")]),
    }


def test_of_an_active_job_it_is_requested(task: RawTask) -> None:
    task.seed({"j1": job("active", **LINKED), "active": ["j1"], "j1:lock": Expires("tok")})
    assert task.run(CANCEL) == (CancelReply.REQUESTED,)
    assert task.read("j1") == job("active", **LINKED, cancelledAt=NOW, cancelReason="workflow failed")


def test_a_job_that_ended_stays_as_it_is(task: RawTask) -> None:
    task.seed({"j1": job("completed", **LINKED), "completed": Scores({"j1": NOW})})
    before = task.dump()
    assert task.run(CANCEL) == (CancelReply.ENDED,)
    assert task.dump() == before


def test_a_job_that_is_not_there_yet_will_not_come(task: RawTask) -> None:
    assert task.run(CANCEL) == (CancelReply.UNKNOWN,)
    prevented = job("cancelled", ts=NOW, maxAttempts=1, data="null", finishedOn=NOW, cancelReason="workflow failed")
    assert task.dump() == {"j1": prevented, "cancelled": Scores({"j1": NOW})}
    assert task.run(CANCEL) == (CancelReply.ENDED,)


def test_many_are_cancelled_at_once(task: RawTask) -> None:
    task.seed({**{name: job(**LINKED) for name in ("j1", "j2")}, "wait": ["j2", "j1"]})
    many = CancelSteps(task="t", job_ids=("j2", "none", "j1"), reason="why")
    assert task.run(many) == (CancelReply.CANCELLED, CancelReply.UNKNOWN, CancelReply.CANCELLED)
    assert task.read("cancelled") == Scores({"j1": NOW, "j2": NOW, "none": NOW})


def test_a_job_that_lives_again_in_a_later_try_is_left_alone(task: RawTask) -> None:
    task.seed({"j1": job("waiting", **{**LINKED, "py:try": 2}), "wait": ["j1"]})
    before = task.dump()
    late = CancelSteps(task="t", job_ids=("j1",), workflow_try=1)
    assert task.run(late) == (CancelReply.ENDED,)
    assert task.dump() == before
    assert task.run(CancelSteps(task="t", job_ids=("j1",), workflow_try=2)) == (CancelReply.CANCELLED,)


def test_a_dead_letter_is_not_revived_any_more_in_the_try_that_has_stopped(task: RawTask) -> None:
    task.seed({"j1": job("failed", **LINKED), "failed": Scores({"j1": NOW})})
    assert task.run(CancelSteps(task="t", job_ids=("j1",), workflow_try=2)) == (CancelReply.ENDED,)
    assert task.run(RetryDead(task="t", job_ids=("j1",), workflow_try=2)) == Revived()
    assert task.read("failed") == Scores({"j1": NOW})
    assert task.run(RetryDead(task="t", job_ids=("j1",), workflow_try=3)) == Revived(job_ids=("j1",))
