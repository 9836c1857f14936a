"""Workflows, from a signature to a result."""

import asyncio
import json
from typing import Any

import pytest

from packages.worker.tests.process_handlers import spawn_one
from packages.worker.tests.shop import (
    Shop,
    block,
    double,
    label,
    opened,
    pair,
    spread,
    total,
)
from packages.worker.tests.workbench import Meddler
from taskora.contracts import (
    JobFailedError,
    JobState,
    UsageError,
    ValidationError,
    chain,
    chord,
    group,
)
from taskora.producer import AsyncProducer, Producer
from taskora.wire import DamagedWorkflowError, Keyspace, drive_async, sweep_workflows
from taskora.wire.backends import open_backend
from taskora.worker import Worker
from tests.polling import aeventually
from tests.servers import Server

CASES: list[tuple[Any, object]] = [
    (double.s(4), 8),
    (chain(double.s(1), double.s(), double.s()), 8),
    (double.s(1) | double.s() | label.s(), "<4>"),
    (group(double.s(1), label.s(2)), (2, "<2>")),
    (group([double.s(1), double.s(2), double.s(3)]), [2, 4, 6]),
    (chord([double.s(1), double.s(2)], total.s()), 6),
    (chord([double.s(1)], total.s()), 2),
    (chord([double.s(1) | double.s(), double.s(2)], total.s()), 8),
    (double.s(1) | group(double.s(), label.s()) | pair.s(), "4<2>"),
    (group(group(double.s(1), double.s(2)), [label.s(3)][0]), ((2, 4), "<3>")),
    (double.s(1) | double.s(10), 20),
]


@pytest.mark.parametrize(("signature", "result"), CASES, ids=[str(number) for number in range(len(CASES))])
async def test_signatures_give_what_their_types_say(url: str, signature: Any, result: object) -> None:
    async with opened(url) as (_, producer):
        flow = await producer.dispatch(signature)
        assert await flow.result("20s") == result
        assert await flow.state() == "completed"


FOUND: list[tuple[Any, Any, object]] = [
    (double.s(4) | double.s(), int, 16),
    (group(double.s(1), label.s(2)), tuple[int, str], (2, "<2>")),
    (group([double.s(1)]), list[int], [2]),
    (group(group([double.s(1), double.s(2)]), group([label.s(3)])), tuple[list[int], list[str]], ([2, 4], ["<3>"])),
]


@pytest.mark.parametrize(("signature", "output", "result"), FOUND, ids=[str(number) for number in range(len(FOUND))])
async def test_a_workflow_found_by_its_id_gives_the_same(url: str, signature: Any, output: Any, result: object) -> None:
    async with opened(url) as (shop, producer):
        made = await producer.dispatch(signature)
        async with AsyncProducer(url) as other:
            found = await other.workflow(made.id, output=output)
            assert await found.result("20s") == result == await made.result("20s")
            plain = await (await other.workflow(made.id)).result("20s")
            assert plain == json.loads(json.dumps(result))
            with pytest.raises(ValidationError, match=f"result of workflow {made.id}"):
                await (await other.workflow(made.id, output=dict[str, int])).result("20s")
        batches = await shop.left.register(double).chunk([1, 2, 3], size=2)
        assert await (await producer.workflow(batches.id)).result("20s") == [2, 4, 6]


async def test_the_shape_of_a_result_outlasts_spawning(url: str) -> None:
    async with opened(url) as (_, producer):
        made = await producer.dispatch(group([group([spread.s(1)])]))
        assert await made.result("20s") == [[1]]
        assert await (await producer.workflow(made.id)).result("20s") == [[1]]


async def test_a_result_can_be_waited_for_from_a_thread(url: str) -> None:
    async with opened(url):

        def dispatch() -> tuple[int, list[int]]:
            with Producer(url) as producer:
                flow = producer.dispatch(double.s(1) | double.s(), name="doubled", ttl="1m")
                assert (flow.name, flow.ttl) == ("doubled", 60.0)
                return flow.result("20s"), producer.register(double).map([1, 2]).result("20s")

        assert await asyncio.to_thread(dispatch) == (4, [2, 4])


async def test_map_and_chunk_give_all_results_in_order(url: str) -> None:
    async with opened(url) as (shop, _):
        task = shop.left.register(double)
        assert await (await task.map([3, 1, 2])).result("20s") == [6, 2, 4]
        batches = await task.chunk([1, 2, 3, 4, 5], size=2)
        assert await batches.result("20s") == [2, 4, 6, 8, 10]
        assert [node.depends_on for node in await batches.nodes()] == [(), (), (0, 1), (0, 1), (2, 3)]
        assert await (await task.chunk([7], size=2)).result("20s") == [14]


async def test_what_a_step_spawns_runs_before_what_waits_for_it(url: str) -> None:
    async with opened(url) as (_, producer):
        flow = await producer.dispatch(double.s(2) | spread.s() | label.s())
        assert await flow.result("20s") == "<4>"
        nodes = await flow.nodes()
        assert [(node.task, node.spawned_by, node.result) for node in nodes] == [
            ("double", None, 4), ("spread", None, 4), ("label", None, "<4>"),
            ("double", 1, 8), ("double", 1, 16), *(("double", 1, 2 * number) for number in range(4)),
        ]  # fmt: skip


async def test_only_steps_of_workflows_spawn(memory: str) -> None:
    async with opened(memory) as (shop, _):
        handle = await shop.left.register(spread).dispatch(1)
        with pytest.raises(JobFailedError, match="no step of a workflow"):
            await handle.result("20s")


async def test_lost_replies_change_nothing(url: str) -> None:
    meddler = Meddler(open_backend(url))
    for name in ("AdvanceWorkflow", "EnqueueSteps", "ForgetUntold", "FileWorkflow", "Exchange"):
        meddler.lose_replies[name] = 1
    worker = Worker(meddler)
    runs: list[int] = []

    @worker.implement(double)
    async def handler(data: int) -> int:
        runs.append(data)
        return data * 2

    async with AsyncProducer(url) as producer, worker:
        flow = await producer.dispatch(double.s(1) | double.s() | double.s())
        assert await flow.result("20s") == 8
        assert runs == [1, 2, 4]
    await meddler.close()


async def test_a_worker_that_closes_tells_workflows_first(url: str) -> None:
    async with AsyncProducer(url) as producer:
        worker = Worker(url)
        worker.implement(double, Shop._double.__get__(Shop(url)))
        flow = await producer.dispatch(double.s(1) | label.s())
        async with worker:
            (root, _) = await flow.nodes()
            assert await producer.register(double).job(root.job_id).result("20s") == 2
        assert [node.state for node in await flow.nodes()] == ["completed", "active"]


async def test_workflows_are_listed(url: str) -> None:
    async with opened(url) as (shop, producer):
        done = await producer.dispatch(double.s(1))
        await done.result("20s")
        going = await producer.dispatch(block.s(1) | double.s(), name="going on", ttl="1h")
        await shop.blocked.wait()

        async def listed() -> bool:
            return [info.id for info in await producer.inspector.workflows()] == [going.id, done.id]

        await aeventually(listed)
        (info,) = await producer.inspector.workflows("running")
        assert (info.name, info.state, info.steps) == ("going on", "running", {"pending": 2})
        assert info.deadline_ms is not None
        assert [info.id for info in await producer.inspector.workflows("completed", limit=1)] == [done.id]
        with pytest.raises(UsageError, match="state must be one of running"):
            await producer.inspector.workflows("done")  # type: ignore[arg-type]  # that is the point
        await going.cancel()


async def test_workflows_of_other_programs_are_advanced(one_server: Server) -> None:
    nodes: list[dict[str, Any]] = [
        {"taskName": "double", "deps": [], "jobId": "j0", "_v": 1, "data": "2"},
        {"taskName": "double", "deps": [0], "jobId": "j1", "_v": 1},
        {"taskName": "double", "deps": [0], "jobId": "j2", "_v": 1, "data": "5"},
        {"taskName": "total", "deps": [1, 2], "jobId": "j3", "_v": 1},
    ]
    graph = json.dumps({"nodes": nodes, "terminal": [3], "name": "theirs"}, separators=(",", ":"))
    pending = {f"n:{number}:state": "pending" for number in range(4)}
    keys, workflow_key = Keyspace().task("double"), Keyspace().workflow_key("w1")
    job = {"ts": 1, "_v": 1, "attempt": 1, "maxAttempts": 1, "state": "waiting", "priority": 0, "data": "2"}
    with one_server.client() as client:
        client.hset(workflow_key, mapping={"graph": graph, "state": "running", "createdAt": "1", **pending})
        client.hset(keys.job_key("j0"), mapping={**job, "_wf": "w1", "_wfNode": 0})
        client.lpush(keys.wait_key, "j0")
        async with opened(one_server.url):
            await aeventually(lambda: client.hget(workflow_key, "state") == b"completed")
        assert client.hget(workflow_key, "result") == b"18"
        assert client.hget(workflow_key, "graph") == graph.encode()


async def test_a_damaged_workflow_does_not_keep_others_from_being_repaired(one_server: Server) -> None:
    running = Keyspace().running_workflows_key
    async with AsyncProducer(one_server.url) as producer:
        damaged = await producer.dispatch(double.s(1))
        forgotten = await producer.dispatch(double.s(2))
        (root,) = await forgotten.nodes()
        with one_server.client() as client:
            client.hset(Keyspace().workflow_key(damaged.id), "graph", "{")
            client.delete(Keyspace().task("double").job_key(root.job_id))
            client.zadd(running, {damaged.id: 1, forgotten.id: 2})
            backend = open_backend(one_server.url)
            (damage,) = await drive_async(sweep_workflows(), backend.run)
            assert (damage.workflow_id, type(damage.error)) == (damaged.id, DamagedWorkflowError)
            await backend.close()
        assert await producer.register(double).job(root.job_id).state() is JobState.WAITING
        listed = await producer.inspector.workflows()
        assert {info.id: info.name for info in listed} == {damaged.id: "double", forgotten.id: "double"}


async def test_a_handler_in_a_process_spawns_too(memory: str) -> None:
    worker = Worker(memory)
    worker.implement(spread, spawn_one, executor="process")

    @worker.implement(double)
    async def handler(data: int) -> int:
        return data * 2

    async with worker:
        flow = await worker.producer.dispatch(spread.s(4))
        assert await flow.result("50s") == 4
        assert [(node.task, node.result) for node in await flow.nodes()] == [("spread", 4), ("double", 8)]


@pytest.mark.parametrize("storage", ["memory", "valkey9"])
async def test_large_groups_and_long_chains_work(storage: str, memory: str, one_server: Any) -> None:
    url = memory if storage == "memory" else one_server.url
    async with opened(url) as (shop, producer):
        wide = await producer.dispatch(chord([double.s(number) for number in range(1000)], total.s()))
        long = await producer.dispatch(chain(double.s(0), *(double.s() for _ in range(99))))
        assert await wide.result("50s") == 999_000
        assert await long.result("50s") == 0
        assert len(set(shop.runs)) == len(shop.runs) == 1100
