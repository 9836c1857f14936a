"""describe_workflow: reads only."""

from dataclasses import replace

from taskora.wire import AbandonWorkflow, CreateWorkflow, DescribeWorkflow, WorkflowSummary
from tests.transitions.keyspace import NOW, Expires, RawTask
from tests.transitions.workflows import DIAMOND, ID, KEY, foreign, stored

DESCRIBE = DescribeWorkflow(workflow_id=ID)
SUMMARY = WorkflowSummary(
    workflow_id=ID,
    state="running",
    name="diamond",
    created_ms=NOW - 1000,
    finished_ms=None,
    deadline_ms=None,
    error=None,
    steps={"completed": 1, "active": 2, "pending": 1},
)


def test_what_is_listed_is_read_without_the_graph(task: RawTask) -> None:
    record = stored("completed", "active", "active", "pending")
    task.seed({KEY: record | {"graph": "not read"}})
    assert task.run(DESCRIBE) == SUMMARY
    assert task.dump() == {KEY: record | {"graph": "not read"}}


def test_all_that_there_may_be_is_listed(task: RawTask) -> None:
    states = ["failed"] * 4
    record = stored(*states, state="failed", error="why", py_finishedAt=NOW, py_deadline=NOW + 5)
    task.seed({KEY: Expires(record)})
    ended = replace(SUMMARY, state="failed", error="why", finished_ms=NOW, deadline_ms=NOW + 5, steps={"failed": 4})
    assert task.run(DESCRIBE) == ended


def test_a_workflow_of_another_program_is_read_from_its_graph(task: RawTask) -> None:
    task.seed({KEY: foreign("completed", "active", "active", "pending")})
    assert task.run(DESCRIBE) == SUMMARY


def test_many_steps_are_counted(task: RawTask) -> None:
    (first, *_) = DIAMOND.steps
    wide = replace(DIAMOND, steps=(first,) * 2500, terminal=(0,))
    task.run(CreateWorkflow(workflow_id=ID, graph=wide))
    summary = task.run(DESCRIBE)
    assert summary is not None
    assert summary.steps == {"pending": 2500}


def test_what_is_none_is_none(task: RawTask) -> None:
    assert task.run(DESCRIBE) is None
    task.run(AbandonWorkflow(workflow_id=ID))
    assert task.run(DESCRIBE) is None
    for damaged in ({"state": "odd", "graph": "x"}, {"graph": "x"}):
        task.seed({KEY: damaged})
        assert task.run(DESCRIBE) is None


def test_a_damaged_record_is_described_as_far_as_it_can_be(task: RawTask) -> None:
    task.seed({KEY: {"state": "running", "graph": "{"}})
    assert task.run(DESCRIBE) == replace(SUMMARY, name="", created_ms=0, steps={})
