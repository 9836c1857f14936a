"""Dispatching workflows: what is refused, what is stored, and waits that end."""

import json
from typing import Any

import pytest

from packages.producer.tests.playing import Player, Storage, Surface
from taskora.contracts import (
    Collect,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    TaskContract,
    UnknownJobError,
    UsageError,
    ValidationError,
    chain,
    define_task,
    group,
)
from taskora.producer import Producer
from taskora.wire import Keyspace, drive, sweep_untold
from taskora.wire.backends._sync_connections import SyncPool

double = define_task("double", input=int, output=int)
batch = define_task("batch", input=int, output=int, collect=Collect(key="k", delay="1s"))


def test_nothing_is_written_when_something_is_refused(surface: Surface, redis_storage: Storage) -> None:
    text: Any = "x"
    wide: Any = (group([double.s(1)] * 600), group([double.s()] * 600))
    cases: list[tuple[Any, type[Exception], str]] = [
        (double.s(), UsageError, "first step of a workflow needs data, 'double' has none"),
        (group(double.s(1), double.s()), UsageError, "needs data"),
        (double.s(1) | double.s(text), ValidationError, "input of task 'double'"),
        (double.s(1) | batch.s(), UsageError, "task 'batch' collects"),
        (3, UsageError, "signature must be what contract.s"),
        (chain(*wide), UsageError, "at most 250000 links"),
    ]
    with surface.producer(redis_storage.url) as producer:
        for signature, error, message in cases:
            with pytest.raises(error, match=message):
                surface.do(producer.dispatch(signature))
        for items, size in (([], 1), ([1], 0)):
            with pytest.raises(UsageError):
                surface.do(producer.register(double).chunk(items, size=size))
        with pytest.raises(UsageError, match="ttl must be"):
            surface.do(producer.dispatch(double.s(1), ttl="soon"))
        names: list[Any] = [3, "\ud800"]
        for name in names:
            with pytest.raises(UsageError, match="name must be text"):
                surface.do(producer.dispatch(double.s(1), name=name))
    assert redis_storage.server is not None
    with redis_storage.server.client() as client:
        assert [key for key in client.keys("*") if key != b"taskora:meta"] == []


def test_what_is_stored_is_what_all_programs_read(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer:
        flow = surface.do(producer.dispatch(chain(double.s(1), group(double.s(), double.s(5)))))
        assert flow.name == "chain(double \u2192 group(double, double))"
    assert redis_storage.server is not None
    with redis_storage.server.client() as client:
        stored: Any = client.hgetall(Keyspace().workflow_key(flow.id))
        graph = json.loads(stored[b"graph"])
        root = graph["nodes"][0]
        job: Any = client.hgetall(Keyspace().task("double").job_key(root["jobId"]))
    assert (stored[b"state"], stored[b"n:0:state"], stored[b"n:1:state"]) == (b"running", b"pending", b"pending")
    assert [(node["deps"], node.get("data")) for node in graph["nodes"]] == [([], "1"), ([0], None), ([0], "5")]
    assert (graph["terminal"], graph["name"]) == ([1, 2], flow.name)
    assert (job[b"_wf"], job[b"_wfNode"], job[b"maxAttempts"]) == (flow.id.encode(), b"0", b"1")


def test_waits_end(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url) as producer:
        flow = surface.do(producer.dispatch(double.s(1)))
        for timeout in (0, "50ms"):
            with pytest.raises(JobTimeoutError):
                surface.do(flow.result(timeout))
        assert surface.do(flow.cancel("enough")) is True
        assert surface.do(flow.state()) == "cancelled"
        assert surface.do(flow.retry()) is True
        assert [node.state for node in surface.do(flow.nodes())] == ["active"]
        assert surface.do(producer.inspector.workflows("running"))[0].id == flow.id


def test_a_workflow_whose_record_is_gone_is_unknown(surface: Surface, redis_storage: Storage) -> None:
    with surface.producer(redis_storage.url) as producer:
        flow = surface.do(producer.dispatch(double.s(1)))
        assert redis_storage.server is not None
        with redis_storage.server.client() as client:
            client.delete(Keyspace().workflow_key(flow.id))
        with pytest.raises(UnknownJobError):
            surface.do(flow.result("1s"))
        assert surface.do(flow.state()) is None
        assert surface.do(flow.nodes()) == []
        assert surface.do(flow.cancel()) is False
        assert surface.do(producer.inspector.workflows()) == []


def test_other_serializers_are_refused(surface: Surface, storage: Storage) -> None:
    class Other:
        def dumps(self, value: object) -> bytes:
            return repr(value).encode()

        def loads(self, raw: bytes) -> object:
            return raw

    contract: TaskContract[int, int] = double
    refused = pytest.raises(UsageError, match="serializer must be a JsonSerializer, or None, to dispatch workflows")
    with surface.producer(storage.url, serializer=Other()) as producer, refused:
        surface.do(producer.dispatch(contract.s(1)))


def test_an_existing_workflow_is_found_by_its_id(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url) as producer:
        made = surface.do(producer.dispatch(double.s(1), ttl="5m", name="mine"))
        found = surface.do(producer.workflow(made.id, output=int))
        assert (found.id, found.name, found.ttl) == (made.id, "mine", 300)
        assert surface.do(found.state()) == "running"
        with pytest.raises(JobTimeoutError):
            surface.do(found.result("10ms"))
        assert surface.do(found.cancel("enough")) is True
        assert surface.do(made.state()) == "cancelled"
        with pytest.raises(UnknownJobError):
            surface.do(producer.workflow("none"))
        with pytest.raises(UsageError, match="workflow_id must be"):
            surface.do(producer.workflow("{}"))


def test_a_dispatch_under_an_id_that_exists_finds_the_workflow(surface: Surface, storage: Storage) -> None:
    signature = group(double.s(1), double.s(2)) | define_task("total", input=tuple[int, int], output=int).s()
    with surface.producer(storage.url) as producer:
        made = surface.do(producer.dispatch(signature, workflow_id="order-7", ttl="5m", name="mine"))
        jobs = [node.job_id for node in surface.do(made.nodes())]
        again = surface.do(producer.dispatch(signature, workflow_id="order-7", name="yours"))
        assert (again.id, again.name, again.ttl) == ("order-7", "mine", 300)
        assert [node.job_id for node in surface.do(again.nodes())] == jobs
        assert len(surface.do(producer.inspector.waiting(double))) == 2
        assert surface.do(made.cancel("enough")) is True
        assert surface.do(surface.do(producer.dispatch(signature, workflow_id="order-7")).state()) == "cancelled"


def test_map_and_chunk_take_an_id_too(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url) as producer:
        task = producer.register(double)
        for _ in range(2):
            assert surface.do(task.map([1, 2, 3], workflow_id="mapped")).id == "mapped"
            assert surface.do(task.chunk([1, 2, 3], size=2, workflow_id="chunked")).id == "chunked"
        assert len(surface.do(producer.inspector.waiting(double))) == 5
        with pytest.raises(UsageError, match="has as step 2 a job of task 'double' that waits for other steps"):
            surface.do(task.chunk([1, 2, 3], size=2, workflow_id="mapped"))


def test_an_id_of_another_workflow_is_refused(surface: Surface, storage: Storage) -> None:
    half = define_task("half", input=int, output=int)
    cases: list[tuple[Any, str]] = [
        (double.s(2) | double.s(), "has as step 0 a job of task 'double' with other data"),
        (double.s(1) | half.s(), "has as step 1 a job of task 'double' and not 'half'"),
        (double.s(1), "has 2 steps and not 1"),
        (group(double.s(1), double.s(1)), "has as step 1 a job of task 'double' that waits for other steps"),
        (double.s(1) | double.s(3), "has as step 1 a job of task 'double' with input from elsewhere"),
    ]
    with surface.producer(storage.url) as producer:
        surface.do(producer.dispatch(double.s(1) | double.s(), workflow_id="w"))
        for signature, message in cases:
            with pytest.raises(UsageError, match=f"workflow_id must be new, or that of the same workflow .*{message}"):
                surface.do(producer.dispatch(signature, workflow_id="w"))
        for wrong in ("", "a:b", "x" * 129, 7):
            with pytest.raises(UsageError, match="workflow_id must be 1 to 128 characters"):
                surface.do(producer.dispatch(double.s(1), workflow_id=wrong))
        assert len(surface.do(producer.inspector.waiting(double))) == 1


def test_errors_speak_of_workflows(surface: Surface, storage: Storage) -> None:
    text: Any = "x"
    with surface.producer(storage.url) as producer:
        with pytest.raises(UnknownJobError, match="No workflow 'zz': it was never dispatched") as unknown:
            surface.do(producer.workflow("zz"))
        assert (unknown.value.workflow_id, unknown.value.task) == ("zz", None)
        with pytest.raises(ValidationError, match="input of task 'double'") as refused:
            surface.do(producer.dispatch(double.s(1) | double.s(text)))
        assert refused.value.__notes__ == ["step 1 of the workflow"]
        flow = surface.do(producer.dispatch(double.s(1) | double.s(), workflow_id="w1"))
        for timeout, limit in ((0, "0ms"), ("10ms", "10ms")):
            with pytest.raises(
                JobTimeoutError, match=f"Workflow w1 did not complete within {limit}; the workflow goes"
            ):
                surface.do(flow.result(timeout))
        surface.do(flow.cancel("enough"))
        with pytest.raises(JobCancelledError, match="Workflow w1 was cancelled: enough"):
            surface.do(flow.result("1s"))


def test_errors_name_the_step(surface: Surface, storage: Storage, player: Player) -> None:
    with surface.producer(storage.url) as producer:
        flow = surface.do(producer.dispatch(double.s(1), workflow_id="w2"))
        player.fail(b"boom", task="double")
        drive(sweep_untold("double", 0), player.backend.run)
        job_id = surface.do(flow.nodes())[0].job_id
        with pytest.raises(JobFailedError, match=f"Workflow w2 failed at job {job_id} of task 'double': boom"):
            surface.do(flow.result("1s"))
        flow = surface.do(producer.dispatch(double.s(1), workflow_id="w3"))
        player.complete(b'"no number"', task="double")
        drive(sweep_untold("double", 0), player.backend.run)
        with pytest.raises(ValidationError, match="output of step 0 of workflow w3, a job of task 'double'"):
            surface.do(flow.result("1s"))
        with pytest.raises(ValidationError, match="Validation failed for the result of workflow w3:"):
            surface.do(surface.do(producer.workflow("w3", output=int)).result("1s"))


def test_workflows_are_listed_in_pages_each_once(surface: Surface, storage: Storage) -> None:
    with surface.producer(storage.url) as producer:
        made = [surface.do(producer.dispatch(double.s(n) | double.s(), workflow_id=f"w{n:03}")) for n in range(120)]
        for flow in made[:20]:
            surface.do(flow.cancel("enough"))
        list_page = producer.inspector.workflows
        listed = [info for offset in range(0, 140, 7) for info in surface.do(list_page(limit=7, offset=offset))]
        assert len(listed) == 120
        assert {info.id for info in listed} == {flow.id for flow in made}
        assert [info.state for info in listed] == ["running"] * 100 + ["cancelled"] * 20
        assert {info.name for info in listed} == {"chain(double \u2192 double)"}
        assert listed[0].steps == {"pending": 2}
        assert listed[-1].steps == {"cancelled": 2}
        assert len(surface.do(list_page("cancelled", limit=15))) == 15
        assert surface.do(list_page("completed")) == []


def test_a_thread_describes_the_workflows_of_a_page_in_one_round_trip(
    redis_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    request_all = SyncPool.request_all

    def count(pool: SyncPool, requests: Any) -> list[Any]:
        asked.append(len(requests))
        return request_all(pool, requests)

    monkeypatch.setattr(SyncPool, "request_all", count)
    with Producer(redis_storage.url) as producer:
        for _ in range(20):
            producer.dispatch(double.s(1))
        assert len(producer.inspector.workflows()) == 20
    assert asked == [20]
