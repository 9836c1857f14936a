"""cancel_step: waiting | delayed | retrying -> cancelled; active -> active with a request; (none) -> cancelled."""

from typing import Any

from taskora.wire import CancelReply, CancelStep
from tests.transitions.keyspace import NOW, Events, Expires, RawTask, Scores, event, job

CANCEL = CancelStep(task="t", job_id="j1", reason="workflow failed")
LINKED: dict[str, Any] = {"_wf": "w1", "_wfNode": 0}


def test_a_waiting_job_is_cancelled_and_its_workflow_is_not_to_be_told(task: RawTask) -> None:
    task.seed({"j1": job(**LINKED), "wait": ["j1"]})
    assert task.run(CANCEL) is CancelReply.CANCELLED
    assert task.dump() == {
        "j1": job("cancelled", **LINKED, finishedOn=NOW, cancelReason="workflow failed"),
        "cancelled": Scores({"j1": NOW}),
        "events": Events([event("cancelled", "j1", reason="workflow failed")]),
    }


def test_of_an_active_job_it_is_requested(task: RawTask) -> None:
    task.seed({"j1": job("active", **LINKED), "active": ["j1"], "j1:lock": Expires("tok")})
    assert task.run(CANCEL) is CancelReply.REQUESTED
    assert task.read("j1") == job("active", **LINKED, cancelledAt=NOW, cancelReason="workflow failed")


def test_a_job_that_ended_stays_as_it_is(task: RawTask) -> None:
    task.seed({"j1": job("completed", **LINKED), "completed": Scores({"j1": NOW})})
    before = task.dump()
    assert task.run(CANCEL) is CancelReply.ENDED
    assert task.dump() == before


def test_a_job_that_is_not_there_yet_will_not_come(task: RawTask) -> None:
    assert task.run(CANCEL) is CancelReply.UNKNOWN
    prevented = job("cancelled", ts=NOW, maxAttempts=1, data="null", finishedOn=NOW, cancelReason="workflow failed")
    assert task.dump() == {"j1": prevented, "cancelled": Scores({"j1": NOW})}
    assert task.run(CANCEL) is CancelReply.ENDED
