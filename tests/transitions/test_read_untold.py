"""read_untold: reads only. And: which ends are noted."""

from typing import Any

import pytest

from taskora.contracts import JobState
from taskora.wire import (
    Cancel,
    EndedStep,
    Outcome,
    OutcomeKind,
    Prune,
    ReadUntold,
    RecoverStalled,
    RetryDead,
    StepLink,
)
from tests.transitions.exchanges import CANCELLED, COMPLETED, FAILED, RELEASED, RETRYING, TOKEN, exchange
from tests.transitions.keyspace import NOW, Expires, RawTask, Scores, job

LINKED: dict[str, Any] = {"_wf": "w1", "_wfNode": 3}
NOTED = Scores({"j1": NOW})


def untold(task: RawTask) -> object:
    return task.read("workflow:untold")


def test_they_are_told_with_all_that_their_workflow_has_to_know(task: RawTask) -> None:
    task.seed(
        {
            "j1": job("completed", **LINKED, result="[1]", **{"py:settledBy": TOKEN}),
            "j2": job("failed", _wf="w2", _wfNode=0, error="boom"),
            "j3": job("cancelled", _wf="w2", _wfNode=1, cancelReason="why"),
            "completed": Scores({"j1": NOW}),
            "failed": Scores({"j2": NOW}),
            "cancelled": Scores({"j3": NOW}),
            "workflow:untold": Scores({"j1": NOW - 30, "j2": NOW - 20, "j3": NOW - 10, "gone": NOW - 5, "new": NOW}),
        }
    )
    before = task.dump()
    found = task.run(ReadUntold(task="t", min_age_ms=5, limit=10))
    assert found == (
        EndedStep(
            task="t",
            job_id="j1",
            link=StepLink(workflow_id="w1", step=3),
            state=JobState.COMPLETED,
            result=b"[1]",
            settled_by=TOKEN,
        ),
        EndedStep(task="t", job_id="j2", link=StepLink(workflow_id="w2", step=0), state=JobState.FAILED, error="boom"),
        EndedStep(
            task="t",
            job_id="j3",
            link=StepLink(workflow_id="w2", step=1),
            state=JobState.CANCELLED,
            cancel_reason="why",
        ),
        EndedStep(task="t", job_id="gone", link=None, state=None),
    )
    assert [step.job_id for step in task.run(ReadUntold(task="t", min_age_ms=0, limit=2))] == ["j1", "j2"]
    assert task.dump() == before


@pytest.mark.parametrize(
    ("kind", "noted"), [(COMPLETED, True), (FAILED, True), (CANCELLED, True), (RETRYING, False), (RELEASED, False)]
)
def test_an_attempt_that_ends_its_job_is_noted(task: RawTask, kind: OutcomeKind, noted: bool) -> None:
    task.seed({"j1": job("active", **LINKED), "active": ["j1"], "j1:lock": Expires(TOKEN)})
    task.run(exchange(Outcome(kind=kind, job_id="j1", token=TOKEN, payload=b"1")))
    assert untold(task) == (NOTED if noted else None)


def test_a_result_says_whose_it_is(task: RawTask) -> None:
    task.seed({"j1": job("active", **LINKED), "active": ["j1"], "j1:lock": Expires(TOKEN)})
    task.run(exchange(Outcome(kind=COMPLETED, job_id="j1", token=TOKEN, payload=b"1")))
    assert task.read("j1")["py:settledBy"] == TOKEN
    (noted,) = task.run(ReadUntold(task="t", min_age_ms=0, limit=1))
    assert noted.settled_by == TOKEN


def test_jobs_of_no_workflow_are_not_noted(task: RawTask) -> None:
    task.seed({"j1": job("active"), "active": ["j1"], "j1:lock": Expires(TOKEN), "j2": job(), "wait": ["j2"]})
    task.run(exchange(Outcome(kind=COMPLETED, job_id="j1", token=TOKEN, payload=b"1")))
    task.run(Cancel(task="t", job_id="j2"))
    assert untold(task) is None


def test_a_cancelled_job_is_noted(task: RawTask) -> None:
    task.seed({"j1": job(**LINKED), "wait": ["j1"]})
    task.run(Cancel(task="t", job_id="j1"))
    assert untold(task) == NOTED


def test_a_job_that_stalled_too_often_is_noted(task: RawTask) -> None:
    task.seed({"j1": job("active", **LINKED), "active": ["j1"], "stalled": {"j1"}})
    task.run(RecoverStalled(task="t", max_count=0))
    assert untold(task) == NOTED


def test_an_expired_job_is_noted_and_never_discarded(task: RawTask) -> None:
    task.seed({"j1": job(**LINKED, expireAt=NOW), "wait": ["j1"]})
    task.run(exchange(slots=1, on_expire="discard"))
    assert (untold(task), task.read("j1")["state"]) == (NOTED, "expired")


def test_a_noted_job_is_not_pruned(task: RawTask) -> None:
    noted, other = job("completed", **LINKED), job("completed", **LINKED)
    task.seed({"j1": noted, "j2": other, "completed": Scores({"j1": 1, "j2": 2}), "workflow:untold": NOTED})
    prune = Prune(task="t", state=JobState.COMPLETED, max_age_ms=0, max_items=0)
    assert task.run(prune).removed == 1
    assert task.dump() == {"j1": noted, "completed": Scores({"j1": 1}), "workflow:untold": NOTED}
    assert task.run(prune).removed == 0


def test_a_revived_job_is_not_noted_any_more(task: RawTask) -> None:
    task.seed({"j1": job("failed", **LINKED), "failed": Scores({"j1": NOW}), "workflow:untold": NOTED})
    task.run(RetryDead(task="t", job_ids=("j1",), workflow_try=1))
    assert untold(task) is None


def test_a_claim_says_where_its_job_belongs(task: RawTask) -> None:
    task.seed({"j1": job(**LINKED), "j2": job(), "wait": ["j2", "j1"]})
    first, second = task.run(exchange(slots=2)).claims
    assert (first.link, second.link) == (StepLink(workflow_id="w1", step=3), None)
    (again, _) = task.run(exchange(slots=2, resend=True)).claims
    assert again.link == first.link
