"""The suite, as the author of a backend meets it."""

from pathlib import Path

import pytest

from packages.testing.tests.projects import run_pytest

START = """
    from contextlib import asynccontextmanager
    import pytest
    from taskora.testing import MemoryBackend
    from taskora.testing.conformance import *
    from taskora.wire import Cancel, CancelReply

    @asynccontextmanager
    async def memory(kind=MemoryBackend):
        clock = StorageClock()
        backend = kind(clock=clock)
        clock.on_move(backend.notify_time)
        yield Storage(backend=backend, clock=clock)
        await backend.close()
"""
MEMORY = """
    class TestMemory(BackendConformance):
        @pytest.fixture
        def open_storage(self):
            return memory
"""
BROKEN = """
    class Broken(MemoryBackend):
        async def run(self, operation):
            reply = await super().run(operation)
            return CancelReply.ENDED if isinstance(operation, Cancel) else reply

        async def wait_for_work(self, task, *, timeout_ms, now_ms):
            import asyncio
            await asyncio.Event().wait()

    class TestBroken(BackendConformance):
        @pytest.fixture
        def open_storage(self):
            return lambda: memory(Broken)
"""
NO_CLOCK = """
    @asynccontextmanager
    async def ticking():
        backend = MemoryBackend()
        yield Storage(backend=backend)
        await backend.close()

    class TestTicking(BackendConformance):
        @pytest.fixture
        def open_storage(self):
            return ticking
"""
THREADS_ONLY = """
    @asynccontextmanager
    async def threads():
        backend = MemoryBackend().blocking()
        yield Storage(backend=backend)
        backend.close()

    class TestThreads(SyncBackendConformance):
        @pytest.fixture
        def open_storage(self):
            return threads
"""


@pytest.mark.parametrize("plugins", [(), ("asyncio",), ("anyio",)], ids=["none", "asyncio", "anyio"])
def test_a_backend_passes_whatever_plugins_there_are(tmp_path: Path, plugins: tuple[str, ...]) -> None:
    mode = (
        ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function") if "asyncio" in plugins else ()
    )
    run = run_pytest(tmp_path, START + MEMORY, "-k", "TestLifo or TestWaiting", *mode, plugins=plugins)
    assert run.code == 0, run.text
    assert "20 passed" in run.summary


def test_a_broken_backend_fails_by_name_with_what_was_expected(tmp_path: Path) -> None:
    source = START + "    import taskora.testing.conformance._suite as suite\n    suite.CASE_SECONDS = 0.5\n" + BROKEN
    which = "a_job_that_waits_for_its_retry_is_cancelled_at_once or waiting_ends_with_its_time"
    run = run_pytest(tmp_path, source, "-k", which)
    name = "TestBroken::TestCancel::test_a_job_that_waits_for_its_retry_is_cancelled_at_once[asyncio]"
    assert f"FAILED test_project.py::{name}" in run.text
    assert "<CancelReply.ENDED" in run.text
    assert "the case did not end within 0.5 s: something waits for what never comes" in run.text


def test_without_a_clock_that_can_be_set_cases_are_skipped_and_say_why(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, START + NO_CLOCK, "-k", "TestCancel")
    assert run.code == 0, run.text
    assert "needs to know or to move the clock, and that of this storage cannot be set" in run.text


def test_a_trick_that_is_missing_skips_its_cases_and_is_named(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, START + MEMORY, "-k", "TestStallSweep")
    assert run.code == 0, run.text
    assert "the case needs Tricks.lose_lease, which this storage does not offer" in run.text


def test_a_storage_for_threads_alone_is_not_asked_for_more(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, START + THREADS_ONLY, "-k", "TestHandshake or TestLifo")
    assert run.code == 0, run.text
    assert "this storage is for threads only" in run.text
    assert "passed" in run.summary


def test_whoever_forgets_to_open_a_storage_is_told(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, START + "\n    class TestNothing(BackendConformance): ...\n", "-k", "TestLifo")
    assert "TestNothing must define the fixture `open_storage`" in run.text
