import functools
import uuid
from datetime import timedelta
from typing import Any

import pytest

from packages.worker.tests.workbench import anything, double
from taskora.contracts import Collect, JobFailedError, Retry, Stall, Ttl, UsageError, define_task
from taskora.worker import Context, Defaults, Implement, Retention, Worker, WorkerTask


class Adder:
    """A handler that is an object."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    async def __call__(self, data: int) -> int:
        return data + self.amount


async def add(amount: int, data: int) -> int:
    return data + amount


async def answer(data: int) -> int:
    return data * 2


async def answer_with_context(data: int, ctx: Context) -> int:
    assert ctx.task == "double"
    return data * 2


async def answer_with_optional_context(data: int, ctx: Context | None = None) -> int:
    assert ctx is not None
    return data * 2


def answer_in_thread(data: int) -> int:
    return data * 2


def answer_in_thread_with_context(data: int, context: Context) -> int:
    assert context.attempt == 1
    return data * 2


def answer_with_coroutine(data: int) -> Any:
    return answer(data)


class Answers:
    async def answer(self, data: int) -> int:
        return data * 2

    def answer_in_thread(self, data: int, ctx: Context) -> int:
        return data * ctx.max_attempts * 2


HANDLERS = [
    answer,
    answer_with_context,
    answer_with_optional_context,
    answer_in_thread,
    answer_in_thread_with_context,
    answer_with_coroutine,
    Answers().answer,
    Answers().answer_in_thread,
    Adder(21),
    functools.partial(add, 21),
    functools.partial(Adder(21)),
]


@pytest.fixture
def idle(memory: str) -> Worker:
    """A worker that is not started."""
    return Worker(memory)


@pytest.mark.parametrize("handler", HANDLERS, ids=range(len(HANDLERS)))
async def test_a_handler_may_have_any_of_these_shapes(memory: str, handler: Any) -> None:
    worker = Worker(memory)
    task = worker.implement(double, handler)
    async with worker:
        assert await (await task.dispatch(21)).result("5s") == 42


async def test_the_decorator_returns_the_handler_unchanged(idle: Worker) -> None:
    assert isinstance(idle.implement(double), Implement)
    assert idle.implement(double)(answer) is answer


async def test_the_call_returns_the_task(idle: Worker) -> None:
    task = idle.implement(double, answer)
    assert isinstance(task, WorkerTask)
    assert task.contract is double
    assert idle.register(double) is task


async def test_a_contract_is_implemented_once_per_worker(idle: Worker) -> None:
    idle.implement(double, answer)
    with pytest.raises(UsageError, match="'double' is implemented already"):
        idle.implement(double, answer)
    with pytest.raises(UsageError, match="'double' is implemented already"):
        idle.implement(double)


async def test_one_decorator_declares_one_handler(idle: Worker) -> None:
    declare = idle.implement(double)
    declare(answer)
    with pytest.raises(UsageError, match="implemented already"):
        declare(answer)


async def test_only_contracts_are_implemented(idle: Worker) -> None:
    wrong: Any = "double"
    with pytest.raises(UsageError, match="contract must be a TaskContract"):
        idle.implement(wrong, answer)


async def test_a_name_stands_for_one_contract(idle: Worker) -> None:
    idle.implement(double, answer)
    with pytest.raises(UsageError, match="another contract"):
        idle.register(define_task("double", input=str))


async def test_nothing_is_declared_on_a_worker_that_has_started(memory: str) -> None:
    worker = Worker(memory)
    early = worker.implement(double)
    async with worker:
        with pytest.raises(UsageError, match="cannot implement task 'double' on a worker that has started"):
            worker.implement(double)
        with pytest.raises(UsageError, match="has started"):
            early(answer)
        with pytest.raises(UsageError, match="has started"):
            worker.task("greet")(answer)


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"concurrency": 0}, "concurrency must be an integer, 1 or more, got 0"),
    ({"concurrency": True}, "concurrency must be an integer, 1 or more, got True"),
    ({"concurrency": "3"}, "concurrency must be an integer, 1 or more, got '3'"),
    ({"timeout": 0}, "timeout must be a positive duration, got 0"),
    ({"timeout": "soon"}, "timeout must be a duration"),
    ({"retry": 3}, r"retry must be Retry\(...\) or None, got 3"),
    ({"stall": "30s"}, r"stall must be Stall\(...\) or None, got '30s'"),
    ({"ttl": "1h"}, r"ttl must be Ttl\(...\) or None, got '1h'"),
    ({"version": 0}, "version must be an integer, 1 or more, got 0"),
    ({"since": 2}, "since must be at most the version, which is 1, got 2"),
    ({"since": 0}, "since must be an integer, 1 or more, got 0"),
    ({"executor": "gpu"}, "executor must be one of auto, async, thread, process, got 'gpu'"),
    ({"executor": "thread"}, "must be a plain `def` function to run with executor='thread'"),
    ({"middleware": [3]}, "middleware must be an async function"),
    ({"middleware": answer}, "middleware must be a list"),
    ({"singleton": "no"}, "singleton must be True or False, got 'no'"),
    ({"capture_logs": 1}, "capture_logs must be True or False, got 1"),
    ({"on_cancel": "log"}, r"on_cancel must be a function \(data, ctx\) or None, got 'log'"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=range(len(BAD_OPTIONS)))
async def test_a_bad_option_is_refused_by_name_value_and_rule(
    idle: Worker, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        idle.implement(double, answer, **options)
    assert idle.implementations == {}


async def test_an_async_executor_needs_an_async_function(idle: Worker) -> None:
    with pytest.raises(UsageError, match="must be an `async def` function to run with executor='async'"):
        idle.implement(double, answer_in_thread, executor="async")


def three_arguments(a: int, b: int, c: int) -> int:
    return a + b + c


def one_that_must_be_named(a: int, *, b: int) -> int:
    return a + b


BAD_HANDLERS: list[Any] = [3, lambda: 3, three_arguments, one_that_must_be_named, int]


@pytest.mark.parametrize("handler", BAD_HANDLERS, ids=range(len(BAD_HANDLERS)))
async def test_a_handler_of_another_shape_is_refused(idle: Worker, handler: Any) -> None:
    with pytest.raises(UsageError, match="handler of task 'double' must"):
        idle.implement(double, handler)


BAD_WORKERS: list[tuple[dict[str, Any], str]] = [
    ({"lease": "10ms"}, "lease must be at least 100ms, got '10ms'"),
    ({"lease": "soon"}, "lease must be a duration"),
    ({"defaults": {"concurrency": 3}}, "defaults must be Defaults"),
    ({"retention": "1h"}, "retention must be Retention"),
    ({"middleware": ["log"]}, "middleware must be an async function"),
    ({"serializer": "json"}, "serializer must be"),
    ({"prefix": "a{b}"}, "prefix"),
]


@pytest.mark.parametrize(("options", "message"), BAD_WORKERS, ids=range(len(BAD_WORKERS)))
def test_a_worker_refuses_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, ValueError), match=message):
        Worker("redis://localhost", **options)


BAD_DEFAULTS: list[tuple[dict[str, Any], str]] = [
    ({"concurrency": 0}, "concurrency must be an integer, 1 or more, got 0"),
    ({"timeout": "-1s"}, "timeout must be"),
    ({"retry": 3}, "retry must be Retry"),
    ({"stall": 3}, "stall must be Stall"),
]


@pytest.mark.parametrize(("options", "message"), BAD_DEFAULTS, ids=range(len(BAD_DEFAULTS)))
def test_defaults_refuse_bad_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Defaults(**options)


def test_the_implementation_wins_over_the_contract_and_the_contract_over_the_defaults() -> None:
    defaults = Defaults(retry=Retry(attempts=7), timeout="7s", concurrency=7, stall=Stall(max_count=7))
    plain = define_task("plain", input=int)
    full = define_task("full", input=int, retry=Retry(attempts=5), timeout="5s", stall=Stall(max_count=5))
    worker = Worker("memory://", defaults=defaults)
    worker.implement(plain, answer)
    worker.implement(full, answer)
    worker.implement(
        define_task("own", input=int, retry=Retry(attempts=5), timeout="5s", stall=Stall(max_count=5)),
        answer,
        retry=Retry(attempts=3),
        timeout=timedelta(seconds=3),
        concurrency=3,
        stall=Stall(max_count=3),
        ttl=Ttl(on_expire="discard"),
    )
    found = {
        name: (item.retry.attempts, item.timeout_ms, item.concurrency, item.stall.max_count)
        for name, item in worker.implementations.items()
    }
    assert found == {"plain": (7, 7000, 7, 7), "full": (5, 5000, 7, 5), "own": (3, 3000, 3, 3)}
    assert worker.implementations["own"].on_expire == "discard"


def test_the_time_to_live_comes_from_the_implementation_then_the_contract_then_the_defaults() -> None:
    worker = Worker("memory://", defaults=Defaults(ttl=Ttl(max="7s", on_expire="discard")))
    batch = Collect(key="k", delay="1s")
    worker.implement(define_task("plain", input=int), answer)
    worker.implement(define_task("full", input=int, ttl=Ttl(max="5s")), answer)
    worker.implement(define_task("own", input=int, ttl=Ttl(max="5s")), answer, ttl=Ttl(max="3s", on_expire="discard"))

    async def count(items: list[int]) -> int:
        return len(items)

    worker.implement(define_task("batch", input=int, collect=batch), count, collect=batch)
    found = {name: (item.ttl_ms, item.on_expire) for name, item in worker.implementations.items()}
    assert found == {
        "plain": (7000, "discard"),
        "full": (5000, "fail"),
        "own": (3000, "discard"),
        "batch": (0, "discard"),
    }
    bare = Worker("memory://")
    bare.implement(double, answer)
    assert (bare.implementations["double"].ttl_ms, bare.implementations["double"].on_expire) == (0, "fail")


def test_without_any_options_a_job_runs_once_for_at_most_thirty_seconds() -> None:
    worker = Worker("memory://", retention=Retention())
    worker.implement(double, answer)
    found = worker.implementations["double"]
    assert (found.retry.attempts, found.timeout_ms, found.concurrency) == (1, 30_000, 1)


async def test_a_worker_leaves_tasks_alone_that_it_does_not_implement(url: str) -> None:
    other = define_task(f"other-{uuid.uuid4().hex}", input=int)
    worker = Worker(url)
    worker.implement(double, answer)
    left = worker.register(other)
    async with worker:
        waiting = await left.dispatch(1)
        assert await (await worker.register(double).dispatch(1)).result("5s") == 2
        stats = await worker.producer.inspector.stats(other)
        assert (stats[other.name].waiting, stats[other.name].completed) == (1, 0)
        info = await worker.producer.inspector.find(waiting.id)
        assert info is not None
        assert info.data == 1


async def test_a_worker_without_handlers_only_produces(url: str) -> None:
    worker = Worker(url)
    task = worker.register(double)
    async with worker:
        handle = await task.dispatch(1)
        assert (await handle.state()) == "waiting"


async def test_handlers_dispatch_through_the_worker(url: str) -> None:
    worker = Worker(url)
    task = worker.implement(double, answer)

    @worker.implement(anything)
    async def quadruple(data: object) -> object:
        assert isinstance(data, int)
        twice = await (await task.dispatch(data)).result("5s")
        return await (await worker.producer.register(double).dispatch(twice)).result("5s")

    async with worker:
        assert await (await worker.register(anything).dispatch(3)).result("5s") == 12


async def test_a_worker_starts_once(memory: str) -> None:
    worker = Worker(memory)
    await worker.start()
    with pytest.raises(UsageError, match="started once"):
        await worker.start()
    await worker.close()
    with pytest.raises(UsageError, match="started once"):
        await worker.start()


async def test_closing_twice_is_the_same_as_once(memory: str) -> None:
    worker = Worker(memory)
    await worker.start()
    await worker.close()
    await worker.close()


async def test_a_worker_that_was_never_started_can_be_closed(memory: str) -> None:
    worker = Worker(memory)
    await worker.close()
    await worker.close()


async def test_an_error_of_a_handler_reaches_whoever_waits(url: str) -> None:
    worker = Worker(url)

    @worker.implement(double)
    async def fail(data: int) -> int:
        raise LookupError(f"no {data}")

    async with worker:
        with pytest.raises(JobFailedError, match="no 3") as caught:
            await (await worker.register(double).dispatch(3)).result("5s")
    assert (caught.value.error, caught.value.attempts) == ("no 3", 1)


gathering = define_task("gathering", input=int, output=int, collect=Collect(key="all", delay="1s"))
lists = define_task("lists", input=list[int], output=int, collect=Collect(key="all", delay="1s"))


async def one_number(number: int) -> int:
    return number


def one_number_in_a_thread(number: int, ctx: Context) -> int:
    return number


async def any_number_of(items: list[int]) -> int:
    return len(items)


async def unresolved(items: Any) -> int:
    return 1


unresolved.__annotations__["items"] = "KnownToCheckersOnly"


@pytest.mark.parametrize("handler", [one_number, one_number_in_a_thread])
async def test_a_handler_of_one_item_is_refused_where_the_task_collects(idle: Worker, handler: Any) -> None:
    rule = r"handler of task 'gathering' must be a function that takes a list of <class 'int'>, since the task collects"
    with pytest.raises(UsageError, match=rule):
        idle.implement(gathering, handler)
    with pytest.raises(UsageError, match="since the task collects"):
        idle.implement(double, handler, collect=Collect(key="all", delay="1s"))


@pytest.mark.parametrize("handler", [any_number_of, unresolved, functools.partial(any_number_of)])
async def test_a_handler_whose_annotation_may_mean_a_list_is_taken(idle: Worker, handler: Any) -> None:
    idle.implement(gathering, handler)
    idle.implement(lists, any_number_of)
