"""Attempts that add steps to their workflows: many at once, while the server is away, and stopped meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from packages.worker.tests.workbench import QUICK_SWEEPS, Meddler, give_lease, reach
from taskora.contracts import BackendError, JobCancelledError, JobFailedError, JobState, Retry, define_task, group
from taskora.producer import AsyncProducer, AsyncWorkflowHandle
from taskora.wire import (
    Operation,
    ReviseWorkflow,
    Spawn,
    StopWorkflow,
    WorkflowGraph,
    WorkflowStep,
    create_workflow,
    drive_async,
    random_id,
    read_workflow,
)
from taskora.wire.backends import open_backend
from taskora.worker import Context, Worker
from taskora.worker._spawn_planner import SpawnPlanner
from tests.polling import aeventually
from tests.servers import Server

double = define_task("double", input=int, output=int)
spread = define_task("spread", input=int, output=int)
SPAWNERS, LANES = 200, 10


class Bench:
    """A worker whose steps spawn, and what is done to its attempts to plan."""

    def __init__(self, url: str) -> None:
        self.meddler = Meddler(open_backend(url), before=self._meet)
        self.worker = Worker(self.meddler, defaults=QUICK_SWEEPS, lease="3s")
        self.error: BackendError | None = None
        self.met = 0
        self.attempts: list[int] = []
        self.hooks: list[str] = []
        self.stops: asyncio.Future[str] | None = None
        self.worker.implement(double, self._double, concurrency=20)

    def spread(self, **options: Any) -> None:
        self.worker.implement(spread, self._spread, on_cancel=self._cancelled, concurrency=20, **options)

    def _meet(self, operation: Operation[Any]) -> None:
        if isinstance(operation, ReviseWorkflow):
            self.met += 1
            if self.error is not None:
                raise self.error

    async def _double(self, data: int) -> int:
        return data * 2

    async def _spread(self, data: int, ctx: Context) -> int:
        self.attempts.append(ctx.attempt)
        ctx.spawn(double.s(10 * data + ctx.attempt))
        if self.stops is not None:
            await self._stop(await self.stops)
        return data

    async def _stop(self, workflow_id: str) -> None:
        """Stops a workflow, and does not come to cancelling its jobs."""
        self.stops = None
        await self.meddler.run(StopWorkflow(workflow_id=workflow_id, state="cancelled", message="enough"))

    async def _cancelled(self, _data: int, ctx: Context) -> None:
        self.hooks.append(ctx.id)


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[tuple[Bench, AsyncProducer]]:
    bench = Bench(url)
    bench.spread(**options)
    async with AsyncProducer(url) as producer, bench.worker:
        yield bench, producer
    await bench.meddler.close()


async def spawned(flow: AsyncWorkflowHandle[Any]) -> list[Any]:
    """The results of the spawned steps that count."""
    results: list[Any] = [node.result for node in await flow.nodes() if node.spawned_by is not None]
    return sorted(result for result in results if result is not None)


async def test_steps_of_one_workflow_spawn_side_by_side(url: str) -> None:
    async with opened(url) as (bench, producer):
        flow = await producer.dispatch(group([spread.s(number) for number in range(60)]))
        assert await flow.result("50s") == [*range(60)]
        assert await spawned(flow) == [2 * (10 * number + 1) for number in range(60)]
        assert bench.met < 60  # those that came together were written together


async def test_what_cannot_be_planned_now_is_planned_later(url: str) -> None:
    async with opened(url) as (bench, producer):
        bench.error = BackendError("away on purpose")
        flow = await producer.dispatch(spread.s(1) | double.s())
        await aeventually(lambda: bench.met >= 2)
        bench.error = None
        assert await flow.result("20s") == 2
        assert (await spawned(flow), bench.attempts) == ([22], [1])


async def test_what_cannot_be_planned_at_all_fails_the_attempt(url: str) -> None:
    async with opened(url, retry=Retry(attempts=2, delay="10ms")) as (bench, producer):
        bench.error = BackendError("refused on purpose", is_permanent=True)
        flow = await producer.dispatch(spread.s(1) | double.s())
        with pytest.raises(JobFailedError, match="refused on purpose"):
            await flow.result("20s")
        assert (bench.attempts, bench.met) == ([1, 2], 2)


async def test_the_attempt_that_plans_at_last_counts(url: str) -> None:
    async with opened(url, retry=Retry(attempts=2, delay="10ms")) as (bench, producer):
        bench.error = BackendError("refused on purpose", is_permanent=True)
        flow = await producer.dispatch(spread.s(1) | double.s())
        await aeventually(lambda: bench.met == 1)
        bench.error = None
        assert await flow.result("20s") == 2
        assert await spawned(flow) == [24]


async def test_a_lost_reply_plans_nothing_twice(url: str) -> None:
    async with opened(url) as (bench, producer):
        bench.meddler.lose_replies["ReviseWorkflow"] = 2
        flow = await producer.dispatch(spread.s(1) | double.s())
        assert await flow.result("20s") == 2
        assert await spawned(flow) == [22]
        assert len(await flow.nodes()) == 3


async def test_an_attempt_that_plans_can_be_cancelled(url: str) -> None:
    async with opened(url) as (bench, producer):
        bench.error = BackendError("away on purpose")
        flow = await producer.dispatch(spread.s(1) | double.s())
        await aeventually(lambda: bench.met >= 1)
        await flow.cancel("enough")
        with pytest.raises(JobCancelledError, match="enough"):
            await flow.result("20s")
        (job_id, _) = [node.job_id for node in await flow.nodes()]
        await reach(bench.worker, job_id, JobState.CANCELLED)
        assert bench.hooks == [job_id]


async def test_what_was_spawned_into_a_workflow_that_had_stopped_is_spawned_again_in_another_try(url: str) -> None:
    async with opened(url) as (bench, producer):
        bench.stops = asyncio.get_running_loop().create_future()
        flow = await producer.dispatch(spread.s(1) | double.s())
        (first, _) = await flow.nodes()
        bench.stops.set_result(flow.id)
        await reach(bench.worker, first.job_id, JobState.CANCELLED)
        assert bench.hooks == [first.job_id]
        assert await flow.retry()
        assert await flow.result("20s") == 2
        assert (await spawned(flow), bench.attempts) == ([22], [1, 1])


async def test_an_attempt_that_plans_has_to_end_in_time(url: str) -> None:
    async with opened(url, timeout="200ms", retry=Retry(attempts=1)) as (bench, producer):
        bench.error = BackendError("away on purpose")
        flow = await producer.dispatch(spread.s(1) | double.s())
        with pytest.raises(JobFailedError, match="200"):
            await flow.result("20s")


async def test_an_attempt_that_lost_its_job_plans_no_more(url: str) -> None:
    async with opened(url) as (bench, producer):
        bench.error = BackendError("away on purpose")
        flow = await producer.dispatch(spread.s(1) | double.s())
        await aeventually(lambda: bench.met >= 1)
        give_lease(url, bench.worker, (await flow.nodes())[0].job_id, "somebody else", task="spread")
        runtime = bench.worker._runtime
        assert runtime is not None
        attempts = runtime._lanes["spread"].attempts
        await aeventually(lambda: len(attempts) == 0)
        bench.error = None
        assert len(await flow.nodes()) == 2


async def test_a_worker_that_stops_gives_back_what_it_cannot_plan(url: str) -> None:
    bench = Bench(url)
    bench.spread()
    async with AsyncProducer(url) as producer:
        async with bench.worker:
            bench.error = BackendError("away on purpose")
            flow = await producer.dispatch(spread.s(1) | double.s())
            await aeventually(lambda: bench.met >= 1)
            await bench.worker.close("10ms")
        assert await producer.register(spread).job((await flow.nodes())[0].job_id).state() is JobState.WAITING
    await bench.meddler.close()


@pytest.mark.parametrize("storage", ["memory", "valkey9"])
async def test_two_hundred_steps_of_ten_lanes_spawn_into_one_workflow_at_once(
    storage: str, memory: str, one_server: Server
) -> None:
    backend = open_backend(memory if storage == "memory" else one_server.url)
    steps = tuple(_step("spread", f"parent-{number}") for number in range(SPAWNERS))
    await drive_async(
        create_workflow("crowd", WorkflowGraph(steps=steps, terminal=tuple(range(SPAWNERS)), name="")), backend.run
    )
    planners = [SpawnPlanner(backend) for _ in range(LANES)]
    await asyncio.gather(*(_spawn(planners[number % LANES], number) for number in range(SPAWNERS)))
    record = await drive_async(read_workflow("crowd"), backend.run)
    assert record is not None
    assert sorted(step.parent or 0 for step in record.graph.steps[SPAWNERS:]) == [*range(SPAWNERS)]
    await backend.close()


def _step(task: str, job_id: str) -> WorkflowStep:
    return WorkflowStep(task=task, deps=(), job_id=job_id, version=1, data=b"1")


async def _spawn(planner: SpawnPlanner, number: int) -> None:
    part = WorkflowGraph(steps=(_step("double", f"child-{number}"),), terminal=(0,), name="")
    spawn = Spawn(step=number, job_id=f"parent-{number}", token=random_id(), parts=[part])
    assert await planner._ask("crowd", spawn) is True
