import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from packages.worker.tests.workbench import (
    QUICK_SWEEPS,
    SHORT_LEASE,
    Meddler,
    anything,
    claim_like_a_lost_worker,
    double,
    find,
    give_lease,
    reach,
    spin,
)
from taskora.contracts import JobFailedError, JobState, Stall
from taskora.producer import AsyncProducer, StalledEvent
from taskora.wire import (
    Claim,
    Exchange,
    Lease,
    LeaseState,
    Operation,
    Outcome,
    OutcomeKind,
    RecoverStalled,
    SyncBackend,
)
from taskora.wire.backends import MemoryBackend, open_backend
from taskora.worker import Context, Defaults, Worker
from taskora.worker._executor import Executor
from taskora.worker._implementation import resolve
from taskora.worker._invoking import in_event_loop
from taskora.worker._leases import LeaseRenewer
from taskora.worker._prefetch import Prefetch
from taskora.worker._running import RunningAttempts
from tests.polling import aeventually


@pytest.fixture
def unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease is renewed but by the clock, so that one that is lost can be lost unnoticed."""

    def ignore(renewer: LeaseRenewer) -> None:
        """Renews when it is time to."""

    monkeypatch.setattr(LeaseRenewer, "renew_now", ignore)


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_a_handler_that_blocks_for_longer_than_its_lease_keeps_its_job(
    url: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[str] = []
    events: list[StalledEvent] = []
    began = threading.Event()

    def make(name: str) -> Worker:
        worker = Worker(url, lease="1s", defaults=QUICK_SWEEPS)
        worker.on("task:stalled")(events.append)

        async def in_loop(data: int) -> int:
            return in_thread(data)

        def in_thread(data: int) -> int:
            runs.append(name)
            began.set()
            spin(1.7)
            return data

        if kind == "async":
            worker.implement(double, in_loop)
        else:
            worker.implement(double, in_thread)
        return worker

    one, two = make("one"), make("two")
    async with one:
        job = await one.register(double).dispatch(7)
        await aeventually(began.is_set)
        async with two:
            assert await job.result("10s") == 7
        info = await find(one, job.id)
    assert (runs, events, info.stalled_count) == (["one"], [], 0)
    if kind == "async":
        assert "event_loop_blocked" in caplog.messages


async def test_a_lost_lease_stops_the_handler_and_its_outcome_is_refused(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url, lease=SHORT_LEASE)
    entered, reasons = asyncio.Event(), list[str | None]()

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            reasons.append(ctx.cancelled.reason)
        return -1

    async with worker:
        job = await worker.register(double).dispatch(7)
        await entered.wait()
        give_lease(url, worker, job.id, "another")
        await aeventually(lambda: reasons == ["lease lost"])
        await aeventually(lambda: "lease_lost" in caplog.messages)
        info = await find(worker, job.id)
        assert (info.state, "result" in info.fields) == (JobState.ACTIVE, False)
        await settle_as_another(worker, job.id)
        assert await job.result("5s") == 99


async def test_an_outcome_that_comes_before_the_loss_is_noticed_is_refused(
    url: str, caplog: pytest.LogCaptureFixture, unnoticed: None
) -> None:
    worker = Worker(url, lease="1h")
    entered, go_on = asyncio.Event(), asyncio.Event()

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        entered.set()
        await go_on.wait()
        return -1

    async with worker:
        job = await worker.register(double).dispatch(7)
        await entered.wait()
        give_lease(url, worker, job.id, "another")
        go_on.set()
        await aeventually(lambda: "outcome_refused" in caplog.messages)
        await settle_as_another(worker, job.id)
        assert await job.result("5s") == 99


async def test_a_job_that_comes_back_to_the_same_worker_stops_its_earlier_attempt(url: str, unnoticed: None) -> None:
    worker = Worker(url, lease="1h", defaults=Defaults(concurrency=2))
    trace: list[str] = []
    entered = asyncio.Event()

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        if entered.is_set():
            return data * 2
        entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            trace.append(f"stopped: {ctx.cancelled.reason}")
            raise
        return -1

    async with worker:
        job = await worker.register(double).dispatch(7)
        await entered.wait()
        give_lease(url, worker, job.id, None)
        await sweep_until_recovered(worker)
        assert await job.result("5s") == 14
        await aeventually(lambda: trace == ["stopped: lease lost"])


async def test_a_job_of_a_lost_worker_is_run_by_another(url: str) -> None:
    worker = Worker(url, defaults=QUICK_SWEEPS)
    events: list[StalledEvent] = []

    @worker.implement(double)
    async def handle(data: int, ctx: Context) -> int:
        assert ctx.attempt == 1
        return data * 2

    job = await worker.register(double).dispatch(4)
    await claim_like_a_lost_worker(worker, "double", lease_ms=100)
    worker.register(double).on("stalled")(events.append)
    async with worker:
        assert await job.result("10s") == 8
        await aeventually(lambda: [(event.job_id, event.count, event.action) for event in events] != [])
        info = await find(worker, job.id)
    assert [(event.job_id, event.count, event.action) for event in events] == [(job.id, 1, "recovered")]
    assert (info.stalled_count, info.attempt) == (1, 1)


async def test_a_job_that_stalls_too_often_fails(url: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(url, defaults=Defaults(stall=Stall(interval="50ms", max_count=0)))
    events: list[StalledEvent] = []
    worker.on("task:stalled")(events.append)

    @worker.implement(double)
    async def handle(data: int) -> int:
        raise AssertionError("must not run")

    job = await worker.register(double).dispatch(4)
    await claim_like_a_lost_worker(worker, "double", lease_ms=100)
    async with worker:
        with pytest.raises(JobFailedError, match="stalled"):
            await job.result("10s")
        assert [dead.id for dead in await worker.producer.dead_letters.list(double)] == [job.id]
        await aeventually(lambda: [(event.count, event.action) for event in events] == [(1, "failed")])
    assert "jobs_stalled" in caplog.messages


async def test_jobs_that_are_done_are_not_taken_for_stalled(url: str) -> None:
    backend = Meddler(open_backend(url))
    worker = Worker(backend, defaults=Defaults(concurrency=4, stall=Stall(interval="20ms")))
    runs: list[int] = []

    def sweeps() -> int:
        return backend.calls["RecoverStalled"]

    @worker.implement(double)
    async def handle(data: int) -> int:
        runs.append(data)
        before = sweeps()
        await aeventually(lambda: sweeps() > before + 1)  # then one has begun and ended while this job was active
        return data

    async with worker:
        jobs = await worker.register(double).dispatch_many(range(60))
        assert await asyncio.gather(*(job.result("10s") for job in jobs)) == [*range(60)]
        stats = (await worker.producer.inspector.stats(double))["double"]
    await backend.close()
    assert (sorted(runs), stats.failed, stats.completed) == ([*range(60)], 0, 60)


async def test_the_renewer_survives_whatever_goes_wrong(memory: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    backend = Meddler(open_backend(memory))
    blocking = backend.inner.blocking()
    failures = iter([ValueError("odd"), KeyError("odder")])

    class Flaky:
        def run(self, operation: object) -> object:
            for error in failures:
                raise error
            return blocking.run(operation)  # type: ignore[arg-type]  # passed on

        def close(self) -> None:
            blocking.close()

    backend.blocking = Flaky  # type: ignore[method-assign, assignment]  # meddling
    worker = Worker(backend, lease="1s", defaults=QUICK_SWEEPS)
    release = asyncio.Event()
    errors: list[object] = []
    worker.on("worker:error")(lambda event: errors.append(event.error))

    @worker.implement(anything)
    async def handle(data: object) -> str:
        await release.wait()
        return "kept"

    async with worker:
        job = await worker.register(anything).dispatch(1)
        await aeventually(lambda: caplog.messages.count("lease_renewal_failed") == 2)
        await aeventually(lambda: len(errors) == 2)
        release.set()
        assert await job.result("5s") == "kept"
    await backend.close()


class Deaf:
    """Who has one lease, and does not care what becomes of it."""

    def leases(self) -> list[Lease]:
        """The one."""
        return [Lease(job_id="1", token="token")]

    def lease_changed(self, lease: Lease, state: LeaseState) -> None:
        """Ignores it."""


class Renewing:
    """A server's connection that knows what was renewed, and that has trouble with one task."""

    def __init__(self) -> None:
        self.renewed: list[str] = []

    def run(self, operation: Any) -> Any:
        if operation.task == "broken":
            raise ValueError("cannot renew this one")
        self.renewed.append(operation.task)
        return [LeaseState.HELD for _ in operation.leases]

    def close(self) -> None:
        """Closes nothing."""


async def test_the_renewer_tries_again_to_connect() -> None:
    connection, errors = Renewing(), list[BaseException]()
    failures = iter([ValueError("no address"), OSError("no more files")])

    def connect() -> Any:
        for error in failures:
            raise error
        return connection

    renewer = LeaseRenewer(connect, {"works": Deaf()}, lease_ms=30, on_trouble=errors.append)
    renewer.start()
    await aeventually(lambda: "works" in connection.renewed)
    await renewer.stop()
    assert [str(error) for error in errors] == ["no address", "no more files"]


async def test_trouble_with_one_task_keeps_the_leases_of_others_alive() -> None:
    connection, errors = Renewing(), list[BaseException]()
    renewer = LeaseRenewer(
        lambda: cast("SyncBackend", connection),
        {"broken": Deaf(), "works": Deaf()},
        lease_ms=30,
        on_trouble=errors.append,
    )
    renewer.start()
    await aeventually(lambda: "works" in connection.renewed)
    await renewer.stop()
    assert str(errors[0]) == "cannot renew this one"


async def test_an_attempt_that_is_forgotten_leaves_the_lease_of_the_next_one() -> None:
    backend = MemoryBackend()

    async def handle(data: int) -> int:
        return data

    implementation = resolve(double, handle, Defaults(), None)
    executor = Executor(implementation, (), in_event_loop(implementation), backend.run)
    attempts = RunningAttempts(
        backend,
        implementation,
        executor,
        Prefetch(0, slots=1),
        lease_ms=1000,
        on_end=lambda attempt, outcome: None,
    )
    claims = [
        Claim(job_id="j", data=b"1", version=1, attempt=number, timestamp_ms=0, token=token)
        for number, token in enumerate(("old", "new"), start=1)
    ]
    attempts.start(claims[:1], 0)
    old = attempts._attempts["j"]
    attempts.start(claims[1:], 0)
    new = attempts._attempts["j"]
    attempts.forget(old)
    assert attempts.leases() == [Lease(job_id="j", token="new")]
    attempts.forget(new)
    assert attempts.leases() == []
    assert old.runner is not None
    assert new.runner is not None
    await asyncio.gather(old.runner, new.runner)
    attempts.close()


async def sweep_until_recovered(worker: Worker) -> None:
    async def sweep() -> bool:
        return bool((await worker._backend.run(RecoverStalled(task="double", max_count=5))).recovered)

    await aeventually(sweep)


async def settle_as_another(worker: Worker, job_id: str) -> None:
    outcome = Outcome(kind=OutcomeKind.COMPLETED, job_id=job_id, token="another", payload=b"99")
    await worker._backend.run(Exchange(task="double", token="x", lease_ms=1000, slots=0, outcomes=[outcome]))
    await reach(worker, job_id, JobState.COMPLETED)


async def test_leases_are_renewed_before_their_jobs_have_started(memory: str) -> None:
    renewed: list[Lease] = []

    class Watched(Meddler):
        async def run(self, operation: Operation[Any]) -> Any:
            reply = await super().run(operation)
            if isinstance(operation, Exchange) and reply.claims:
                asyncio.get_running_loop().call_soon(look, reply.claims)  # comes before the tasks of these jobs
            return reply

    def look(claims: Sequence[Claim]) -> None:
        leases = [Lease(job_id=claim.job_id, token=claim.token) for claim in claims]
        assert runs.isdisjoint(claim.job_id for claim in claims)
        assert worker._runtime is not None
        assert set(leases) <= set(worker._runtime._lanes["double"].attempts.leases())
        renewed.extend(leases)

    backend = Watched(open_backend(memory))
    worker = Worker(backend)
    runs: set[str] = set()

    @worker.implement(double, concurrency=32)
    async def handle(data: int, ctx: Context) -> int:
        runs.add(ctx.id)
        return data * 2

    async with worker, AsyncProducer(memory) as producer:
        jobs = await producer.register(double).dispatch_many(range(100))
        assert await asyncio.gather(*(job.result("10s") for job in jobs)) == [2 * data for data in range(100)]
    assert {lease.job_id for lease in renewed} == runs
    await backend.close()
