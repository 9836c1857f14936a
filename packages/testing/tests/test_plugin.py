"""The plugin, in the projects of others: with the asyncio plugins that they have, or without."""

import subprocess
import sys
from pathlib import Path

import pytest

from packages.testing.tests.projects import run_pytest

SHOP = """
    import pytest
    from taskora.contracts import define_task
    from taskora.producer import AsyncProducer, Producer
    from taskora.worker import Worker

    ship = define_task("ship", input=str, output=str)
    producer = Producer("redis://127.0.0.1:1/0")
    send = producer.register(ship)
    send_async = AsyncProducer("redis://127.0.0.1:1/0").register(ship)
"""
PLAIN = """
    def test_code_that_dispatches(taskora_outbox):
        send.dispatch("x", delay="5s")
        assert taskora_outbox.assert_dispatched(ship, "x").delay.seconds == 5

    def test_it_is_empty_again(taskora_outbox, taskora_clock):
        taskora_outbox.assert_empty()
        send.dispatch("x")
        assert send.job(taskora_outbox.assert_dispatched(ship).job_id).state() == "waiting"

    def test_without_the_fixture_a_server_is_missed():
        from taskora.contracts import BackendError
        with pytest.raises(BackendError, match="cannot be reached"):
            send.dispatch("x")
        producer.close()
"""
RUNNER = """
    worker = Worker("redis://127.0.0.1:1/0")
    executed = []

    @worker.implement(ship)
    async def handle(data):
        executed.append(data)
        return data

    @pytest.fixture
    def taskora_worker():
        return worker

    {mark}
    async def test_a_handler(taskora_runner, taskora_clock):
        assert taskora_runner.clock is taskora_clock
        assert await taskora_runner.run(ship, "x") == "x"

    {mark}
    async def test_jobs_of_the_outbox_run_in_the_runner(taskora_outbox, taskora_runner):
        await send_async.dispatch("later", delay="1h")
        await taskora_runner.advance_time("1h")
        assert executed[-1] == "later"
        taskora_outbox.assert_dispatched(ship, "later")

    {mark}
    async def test_a_job_that_is_left_behind(taskora_runner):
        await taskora_runner.dispatch(ship, "never")

    def test_the_worker_is_given_back():
        assert executed == ["x", "later"]
"""
SERVER = """
    def test_a_real_server(taskora_server):
        with Producer(taskora_server.url, prefix="one") as real:
            assert real.register(ship).dispatch("x").state() == "waiting"

    async def worked(url):
        worker = Worker(url, prefix="two")
        worker.implement(ship, lambda data: data)
        async with worker:
            handle = await worker.producer.register(ship).dispatch("y")
            return await handle.result(timeout="20s")

    def test_it_is_the_same_one(taskora_server):
        import asyncio
        assert asyncio.run(worked(taskora_server.url)) == "y"
"""


def test_plain_tests_need_no_plugin_for_asyncio(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SHOP + PLAIN)
    assert (run.code, "3 passed" in run.summary) == (0, True), run.text


@pytest.mark.parametrize(
    ("plugin", "mark", "options"),
    [
        ("asyncio", "@pytest.mark.asyncio", ("-o", "asyncio_default_fixture_loop_scope=function")),
        ("asyncio", "", ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=session")),
        ("anyio", "@pytest.mark.anyio", ()),
    ],
    ids=["asyncio-strict", "asyncio-auto", "anyio"],
)
def test_runner_and_outbox_in_tests_of_coroutines(
    tmp_path: Path, plugin: str, mark: str, options: tuple[str, ...]
) -> None:
    backend = '\n    @pytest.fixture\n    def anyio_backend():\n        return "asyncio"\n'
    source = SHOP + backend + RUNNER.replace("{mark}", mark) + PLAIN
    run = run_pytest(tmp_path, source, *options, plugins=(plugin,))
    assert (run.code, "7 passed" in run.summary) == (0, True), run.text


def test_the_server_is_one_per_session(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SHOP + SERVER)
    assert (run.code, "2 passed" in run.summary) == (0, True), run.text


def test_without_the_extra_the_server_says_what_to_install(tmp_path: Path) -> None:
    hide = """
    @pytest.fixture(autouse=True, scope="session")
    def hide():
        import importlib.util
        importlib.util.find_spec = lambda name: None
"""
    run = run_pytest(tmp_path, SHOP + hide + SERVER, "-k", "real_server")
    assert run.code == 1
    assert (
        'taskora_server cannot start: embedded:// needs a server program: pip install "taskora[embedded]"' in run.text
    )


def test_an_outbox_fails_with_what_was_dispatched_instead_and_no_lines_of_its_own(tmp_path: Path) -> None:
    source = """
    def test_wrong(taskora_outbox):
        send.dispatch("x")
        taskora_outbox.assert_dispatched(ship, "y")
"""
    run = run_pytest(tmp_path, SHOP + source)
    assert "E       AssertionError: no job of task 'ship' was dispatched whose payload equals 'y'" in run.text
    assert "E         'x'" in run.text
    assert "_outbox.py" not in run.text


def test_whoever_uses_no_fixture_pays_nothing(tmp_path: Path) -> None:
    source = """
    import sys

    def test_nothing_is_loaded():
        assert "taskora.testing.plugin" in sys.modules
        for heavy in ("taskora.wire", "taskora.producer", "taskora.worker", "redis", "pydantic"):
            assert heavy not in sys.modules
"""
    run = run_pytest(tmp_path, source)
    assert (run.code, "1 passed" in run.summary) == (0, True), run.text


def test_the_package_needs_no_pytest() -> None:
    program = (
        "import sys; sys.modules['pytest'] = None; import taskora.testing as t; [getattr(t, n) for n in t.__all__]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=50)
