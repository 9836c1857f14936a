"""enqueue_steps: (none) -> waiting."""

from typing import Any

from taskora.wire import EnqueueSteps, StepJob
from tests.transitions.keyspace import NOW, Events, RawTask, Scores, event, job


def enqueue(*job_ids: str) -> EnqueueSteps:
    steps = [
        StepJob(workflow_id="w1", step=number, task="t", job_id=job_id, version=2, data=b"[1]")
        for number, job_id in enumerate(job_ids)
    ]
    return EnqueueSteps(task="t", version=2, steps=steps)


def test_jobs_know_their_workflow_and_their_step(task: RawTask) -> None:
    assert task.run(enqueue("j1", "j2")) == (True, True)
    fields: dict[str, Any] = {"ts": NOW, "_v": 2, "maxAttempts": 1, "data": "[1]", "_wf": "w1"}
    assert task.dump() == {
        "j1": job(**fields, _wfNode=0),
        "j2": job(**fields, _wfNode=1),
        "wait": ["j2", "j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1"), event("waiting", "j2")]),
    }


def test_an_id_that_exists_is_left_alone(task: RawTask) -> None:
    before = job("completed", _wf="w1", _wfNode=0)
    task.seed({"j1": before, "completed": Scores({"j1": NOW})})
    assert task.run(enqueue("j1")) == (False,)
    assert task.dump() == {"j1": before, "completed": Scores({"j1": NOW})}
