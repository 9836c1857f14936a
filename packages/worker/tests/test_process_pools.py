import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from packages.worker.tests import process_handlers as handlers
from packages.worker.tests.process_pools import (
    ROOT,
    Pool,
    handler_processes,
    is_gone,
    open_files,
    quick_starts,
    written,
)
from taskora.contracts import JobCancelledError, JobFailedError, JobState, JobTimeoutError, define_task
from taskora.producer import AsyncProducer
from taskora.worker import Worker
from tests.polling import aeventually, eventually

performing = define_task("perform", input=dict[str, object], output=object)

MakeModule = Callable[[str], ModuleType]


@pytest.fixture(scope="module", autouse=True)
def quickly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with quick_starts(tmp_path_factory.getbasetemp() / "bytecode"):
        yield


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    before = handler_processes()
    pool = Pool()
    yield pool
    await pool.close()
    assert handler_processes() == before


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> MakeModule:
    """Makes a module with a handler `run`, after which `{elsewhere}` does something in other processes only."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(elsewhere: str) -> ModuleType:
        name = f"module_of_{request.node.name}"
        source = f"import os\nif os.getpid() != {os.getpid()}: {elsewhere}\ndef run(data): return data\n"
        (tmp_path / f"{name}.py").write_text(source)
        return __import__(name)

    return make


async def test_handlers_do_not_share_processes(pool: Pool) -> None:
    assert await pool.call_directly(handlers.Outer.double, 4) == 8
    assert await pool.call_directly(handlers.registered[0], 4) == 5
    assert len(pool.processes._started) == 2


async def test_a_module_that_fails_only_in_the_process_fails_the_job(pool: Pool, make_module: MakeModule) -> None:
    module = make_module("raise LookupError('no licence here')")
    for _ in range(2):
        with pytest.raises(LookupError, match="no licence here") as caught:
            await pool.call_directly(module.run, 1)
        assert f"{module.__name__}.py" in caught.value.__notes__[0]
        assert pool.processes._started == {}


async def test_a_module_that_ends_its_process_fails_the_job(pool: Pool, make_module: MakeModule) -> None:
    with pytest.raises(RuntimeError, match="task 'task-1' ended with exit code 4 while it started"):
        await pool.call_directly(make_module("os._exit(4)").run, 1)


async def test_closing_ends_free_busy_and_starting_processes(pool: Pool, tmp_path: Path) -> None:
    before = handler_processes()
    busy = pool.start(handlers.hang, str(tmp_path / "pid"))
    await pool.call(handlers.pid, None)
    await written(tmp_path / "pid")
    also_busy = pool.start(handlers.hang, str(tmp_path / "other"))
    await written(tmp_path / "other")
    starting = pool.start(handlers.hang, str(tmp_path / "never"))
    await aeventually(lambda: len(handler_processes()) == len(before) + 3)
    await pool.close()
    assert handler_processes() == before
    for task in (busy, also_busy, starting):
        with pytest.raises(RuntimeError, match=r"ended (with exit code -9|before it)"):
            await task
    with pytest.raises(RuntimeError, match="the worker is closed"):
        await pool.call(handlers.pid, None)


async def test_closing_kills_what_does_not_end_by_itself(pool: Pool) -> None:
    pid = await pool.call(handlers.ignore_sigterm, None)
    await pool.close()
    assert pid not in handler_processes()
    assert is_gone(pid)


async def test_no_file_descriptor_is_left(pool: Pool) -> None:
    await pool.call(handlers.pid, None)  # starts the tracker that multiprocessing keeps
    before = open_files()
    with pytest.raises(RuntimeError):
        await pool.call(handlers.exit_hard, 1)
    await pool.call(handlers.pid, None)
    assert open_files() == before
    await pool.close()
    assert open_files() < before


SCRIPT = """
    import asyncio, sys
    from packages.worker.tests import process_handlers as handlers
    from packages.worker.tests.process_pools import Pool, Path, written

    async def main():
        pool = Pool()
        busy = pool.start(handlers.hang, sys.argv[1])
        print(await written(Path(sys.argv[1])), flush=True)
        if sys.argv[2] == "wait":
            await busy

    if __name__ == "__main__":
        asyncio.run(main())
"""


@contextlib.contextmanager
def running_script(tmp_path: Path, how: str) -> Generator[tuple["subprocess.Popen[str]", int]]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "pid"), how],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_job_does_not_go_on_when_its_worker_was_killed(tmp_path: Path) -> None:
    with running_script(tmp_path, "wait") as (script, pid):
        script.kill()
        eventually(lambda: is_gone(pid))


def test_a_program_that_does_not_close_its_worker_ends_nevertheless(tmp_path: Path) -> None:
    with running_script(tmp_path, "leave") as (script, pid):
        assert script.wait(timeout=30) == 0
        eventually(lambda: is_gone(pid))


async def test_jobs_of_a_worker_run_in_a_process(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    worker = Worker(url)
    worker.implement(performing, handlers.perform, executor="process")
    async with worker, AsyncProducer(url) as producer:
        perform = producer.register(performing)
        jobs = [await perform.dispatch({"handler": "double", "data": number}) for number in range(5)]
        assert [await job.result(timeout=30) for job in jobs] == [0, 2, 4, 6, 8]

        report = await perform.dispatch({"handler": "report_much", "data": 3})
        assert await report.result(timeout=30) == 3
        assert await report.progress() == 2
        assert [entry.meta for entry in await report.logs()] == [{"number": number} for number in range(3)]

        dead = await perform.dispatch({"handler": "exit_hard", "data": 9})
        with pytest.raises(JobFailedError, match="the process that ran the job ended with exit code 9"):
            await dead.result(timeout=30)

        hung = await perform.dispatch({"handler": "hang", "data": str(tmp_path / "pid")})
        pid = int(await written(tmp_path / "pid"))
        await hung.cancel(reason="enough")
        with pytest.raises(JobCancelledError):
            await hung.result(timeout=30)
        assert is_gone(pid)


async def test_a_timeout_kills_the_process_but_not_its_start(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    worker = Worker(url)
    worker.implement(performing, handlers.perform, executor="process", timeout="300ms")
    async with worker, AsyncProducer(url) as producer:
        perform = producer.register(performing)

        async def doubled() -> object:
            job = await perform.dispatch({"handler": "double", "data": 1})
            with contextlib.suppress(JobFailedError, JobTimeoutError):
                return await job.result(timeout=30)
            return None

        # The first jobs may well be out of time before Python has started; then the start goes on without them.
        assert await aeventually(doubled, deadline=30) == 2
        path = tmp_path / "pid"

        async def hung() -> bool:
            job = await perform.dispatch({"handler": "hang", "data": str(path)})
            with pytest.raises((JobFailedError, JobTimeoutError)):
                await job.result(timeout=30)
            return path.exists()

        assert await aeventually(hung, deadline=30)
        assert is_gone(int(path.read_text()))


async def test_closing_a_worker_gives_the_job_back(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    worker = Worker(url)
    worker.implement(performing, handlers.perform, executor="process")
    async with AsyncProducer(url) as producer:
        before = handler_processes()
        await worker.start()
        hung = await producer.register(performing).dispatch({"handler": "hang", "data": str(tmp_path / "pid")})
        pid = int(await written(tmp_path / "pid"))
        await worker.close(timeout=0)
        assert is_gone(pid)
        assert handler_processes() == before
        assert await hung.state() is JobState.WAITING
