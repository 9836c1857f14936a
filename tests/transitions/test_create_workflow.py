"""create_workflow: (none) -> running."""

from dataclasses import replace

from taskora.wire import AbandonWorkflow, CreateWorkflow
from tests.transitions.keyspace import NOW, Expires, RawTask
from tests.transitions.workflows import DIAMOND, ID, KEY, PLANS, record_of

CREATE = CreateWorkflow(workflow_id=ID, graph=DIAMOND)


def test_a_workflow_is_stored_with_all_its_steps_pending(task: RawTask) -> None:
    assert task.run(CREATE) is True
    assert task.read(KEY) == {
        "state": "running",
        "createdAt": str(NOW),
        "graph": '{"nodes":[{"taskName":"t","deps":[],"jobId":"j0","_v":1,"data":"\\"é\\""},'
        '{"taskName":"t","deps":[0],"jobId":"j1","_v":2},{"taskName":"u","deps":[0],"jobId":"j2","_v":1},'
        '{"taskName":"t","deps":[1,2],"jobId":"j3","_v":1}],"terminal":[3],"name":"diamond"}',
        "py:name": "diamond",
        "py:terminal": "3",
        "py:count": "4",
        **{f"n:{number}:state": "pending" for number in range(4)},
        **{f"py:plan:{number}": plan for number, plan in enumerate(PLANS)},
    }


def test_a_time_limit_is_kept_with_the_instant_that_it_means(task: RawTask) -> None:
    assert task.run(replace(CREATE, ttl_ms=5000)) is True
    record = record_of(task)
    assert (record["py:ttl"], record["py:deadline"]) == ("5000", str(NOW + 5000))


def test_an_id_that_exists_is_left_alone(task: RawTask) -> None:
    task.seed({KEY: Expires({"state": "cancelled"})})
    assert task.run(CREATE) is False
    assert task.run(CREATE.again()) is False
    assert task.dump() == {KEY: Expires({"state": "cancelled"})}


def test_a_repetition_takes_what_the_first_call_did_for_its_own(task: RawTask) -> None:
    task.run(CREATE)
    assert task.run(CREATE) is False
    assert task.run(CREATE.again(), now_ms=NOW + 5) is True
    assert record_of(task)["createdAt"] == str(NOW)


def test_one_that_was_given_up_is_created_by_those_who_have_seen_when(task: RawTask) -> None:
    task.run(AbandonWorkflow(workflow_id=ID))
    for given_up_ms in (None, NOW - 1):
        assert task.run(replace(CREATE, given_up_ms=given_up_ms)) is False
    late = replace(CREATE, given_up_ms=NOW)
    assert task.run(late, now_ms=NOW + 5) is True
    assert (record_of(task)["createdAt"], "error" in record_of(task)) == (str(NOW + 5), False)
    assert [task.run(late), task.run(late.again())] == [False, True]
    assert not isinstance(task.dump()[KEY], Expires)


def test_what_has_a_graph_was_not_given_up(task: RawTask) -> None:
    task.run(CREATE)
    other = replace(CREATE, graph=replace(DIAMOND, name="other"), given_up_ms=NOW)
    assert [task.run(other), task.run(other.again())] == [False, False]
