import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from packages.worker.tests import process_handlers as handlers
from packages.worker.tests.process_pools import FakePort, Pool, handler_processes, is_gone, quick_starts, stop, written
from taskora.contracts import RetryError
from tests.polling import aeventually

# Starting a process takes long, so tests share a pool, and with it the event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", autouse=True)
def quickly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with quick_starts(tmp_path_factory.getbasetemp() / "bytecode"):
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(quickly: None) -> AsyncIterator[Pool]:
    shared = Pool()
    yield shared
    await shared.close()
    assert handler_processes() == []


@pytest.fixture
def pool(shared: Pool) -> Pool:
    """A pool that other tests have used, and left in order."""
    shared.port = FakePort()
    return shared


async def test_handlers_run_in_another_process_that_is_used_again(pool: Pool) -> None:
    assert await pool.call(handlers.double, 21) == 42
    assert len({await pool.call(handlers.pid, None) for _ in range(5)} | {os.getpid()}) == 2


async def test_jobs_at_once_have_a_process_each(pool: Pool, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(2)]
    tasks = [pool.start(handlers.hang, str(path)) for path in paths]
    pids = [int(await written(path)) for path in paths]
    assert handler_processes() == sorted(pids)
    for task in tasks:
        await stop(task)


async def test_context_variables_do_not_cross(pool: Pool) -> None:
    handlers.VARIABLE.set("set")
    assert await pool.call(handlers.variable, None) == "unset"


@pytest.mark.parametrize("handler", [handlers.length, handlers.blob, handlers.echo])
async def test_large_payloads_cross_in_both_directions(pool: Pool, handler: Callable[..., Any]) -> None:
    size = 10_000_000
    data: object = size if handler is handlers.blob else b"x" * size
    same = await pool.call(handler, data) == (size if handler is handlers.length else b"x" * size)
    assert same


async def test_the_event_loop_goes_on_while_a_process_starts_and_works(pool: Pool) -> None:
    with pytest.raises(RuntimeError):
        await pool.call(handlers.exit_hard, 1)
    loop = asyncio.get_running_loop()
    longest, began = 0.0, loop.time()
    last = began
    task = pool.start(handlers.length, b"x" * 10_000_000)
    while not task.done():
        await asyncio.sleep(0)
        longest, last = max(longest, loop.time() - last), loop.time()
    assert longest < (last - began) / 2


async def test_data_that_cannot_cross_is_named(pool: Pool) -> None:
    with pytest.raises(TypeError, match=r"takes a builtins\.tuple, which cannot .*: it holds a socket"):
        await pool.call(handlers.echo, handlers.Unpicklable())


# The context.


async def test_the_context_knows_the_same_in_the_process(pool: Pool) -> None:
    context = pool.context(None)
    assert await pool.call(handlers.describe_context, {"a": 1}) == {
        "id": "job-1",
        "task": "task-1",
        "attempt": 2,
        "max_attempts": 3,
        "timestamp": context.timestamp,
        "deadline": context.deadline,
        "data": (handlers.describe_context, {"a": 1}),
        "cancelled": False,
    }


async def test_reports_arrive_in_order_and_before_the_result(pool: Pool) -> None:
    assert await pool.call(handlers.report_much, 500) == 500
    assert [payload for kind, payload in pool.port.reports if kind == "progress"] == [b"%d" % n for n in range(500)]
    assert [kind for kind, _ in pool.port.reports] == ["progress", "log"] * 500
    assert b'"number":499' in pool.port.reports[-1][1]
    assert pool.port.heartbeats == 1


async def test_a_thread_that_outlives_its_job_reports_nothing_to_the_next_one(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "go"
    await pool.call(handlers.report_from_a_late_thread, str(path))
    path.touch()
    await written(Path(f"{path}.done"))
    assert await pool.call(handlers.double, 1) == 2
    assert pool.port.reports == []


# Stopping.


async def test_cancelling_kills_the_process_leaves_no_zombie_and_the_next_job_gets_another(
    pool: Pool, tmp_path: Path
) -> None:
    task = pool.start(handlers.hang, str(tmp_path / "pid"))
    pid = int(await written(tmp_path / "pid"))
    await stop(task)
    assert pid not in handler_processes()
    assert await pool.call(handlers.pid, None) != pid


async def test_being_cancelled_twice_changes_nothing(pool: Pool, tmp_path: Path) -> None:
    task = pool.start(handlers.hang, str(tmp_path / "pid"))
    pid = int(await written(tmp_path / "pid"))
    task.cancel()
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    await aeventually(lambda: pid not in handler_processes())


async def test_what_the_handler_started_is_killed_with_it(pool: Pool, tmp_path: Path) -> None:
    task = pool.start(handlers.hang_with_a_program, str(tmp_path / "pids"))
    pids = [int(pid) for pid in (await written(tmp_path / "pids")).split()]
    await stop(task)
    assert len(pids) == 2
    await aeventually(lambda: all(is_gone(pid) for pid in pids))


async def test_a_process_whose_start_was_cancelled_serves_the_next_job(pool: Pool) -> None:
    with pytest.raises(RuntimeError):
        await pool.call(handlers.exit_hard, 1)
    before = handler_processes()
    task = pool.start(handlers.pid, None)
    await aeventually(lambda: handler_processes() != before)
    (starting,) = set(handler_processes()) - set(before)
    await stop(task)
    assert await pool.call(handlers.pid, None) == starting


async def test_an_interrupt_from_the_terminal_is_ignored(pool: Pool) -> None:
    assert await pool.call(handlers.interrupt_itself, None) == "still here"


# Errors.


async def test_an_error_keeps_its_type_and_brings_its_traceback(pool: Pool) -> None:
    with pytest.raises(handlers.KnownError) as caught:
        await pool.call(handlers.raise_known, "no luck")
    assert str(caught.value) == "no luck"
    (note,) = caught.value.__notes__
    assert "the cause of it" in note
    assert "in raise_known" in note
    assert "_process_child" not in note


async def test_an_error_of_ours_keeps_its_fields(pool: Pool) -> None:
    with pytest.raises(RetryError) as caught:
        await pool.call(handlers.raise_retry, 1.5)
    assert caught.value.delay_ms == 1500


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (handlers.raise_demanding, "DemandingError: 1 and 2 do not fit"),
        (handlers.raise_unpicklable, "KnownError: it holds a lock"),
        (handlers.raise_interrupt, "KeyboardInterrupt: pressed"),
    ],
)
async def test_an_error_that_cannot_cross_is_told(pool: Pool, handler: Callable[..., Any], message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        await pool.call(handler, None)
    assert str(caught.value) == message
    assert handler.__name__ in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("handler", "argument", "code"),
    [
        (handlers.exit_with, 0, "exit code 0"),
        (handlers.exit_hard, 5, "exit code 5"),
        (handlers.kill_itself, signal.SIGKILL, "exit code -9 (SIGKILL)"),
        (handlers.kill_itself, signal.SIGTERM, "exit code -15 (SIGTERM)"),
    ],
)
async def test_the_end_of_the_process_fails_the_job_and_no_other(
    pool: Pool, handler: Callable[..., Any], argument: int, code: str
) -> None:
    with pytest.raises(RuntimeError) as caught:
        await pool.call(handler, argument)
    assert str(caught.value) == f"the process that ran the job ended with {code}"
    assert await pool.call(handlers.double, 1) == 2


async def test_a_death_is_seen_though_a_forked_process_holds_the_pipe(pool: Pool, tmp_path: Path) -> None:
    task = pool.start(handlers.leave_child_and_die, str(tmp_path / "pid"))
    forked = int(await written(tmp_path / "pid"))
    try:
        with pytest.raises(RuntimeError, match=r"ended with exit code 3$"):
            await task
    finally:
        os.kill(forked, signal.SIGKILL)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (handlers.return_unpicklable, r"returned a builtins\.dict, which cannot leave its process: it holds a socket"),
        (handlers.return_unreadable, r"returned a .*_handlers\.Unreadable, which cannot be read .* made elsewhere"),
    ],
)
async def test_a_result_that_cannot_cross_is_named_and_the_process_goes_on(
    pool: Pool, handler: Callable[..., Any], message: str
) -> None:
    pid = await pool.call(handlers.pid, None)
    with pytest.raises(TypeError, match=message):
        await pool.call(handler, None)
    assert await pool.call(handlers.pid, None) == pid


async def test_a_process_that_died_while_it_was_free_costs_no_job(pool: Pool) -> None:
    pid = await pool.call(handlers.pid, None)
    os.kill(pid, signal.SIGKILL)
    await aeventually(lambda: is_gone(pid))
    assert await pool.call(handlers.pid, None) != pid
