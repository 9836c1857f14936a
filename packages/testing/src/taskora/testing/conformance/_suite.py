"""The suite as classes to derive from."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import pytest

from taskora.testing.conformance._cases.cancel import TestCancel
from taskora.testing.conformance._cases.claiming import TestClaiming
from taskora.testing.conformance._cases.collect import TestCollect
from taskora.testing.conformance._cases.concurrency_keys import TestConcurrencyKeys
from taskora.testing.conformance._cases.dead_letters import TestDeadLetters
from taskora.testing.conformance._cases.debounce import TestDebounce
from taskora.testing.conformance._cases.deduplicate import TestDeduplicate
from taskora.testing.conformance._cases.enqueue import TestEnqueue
from taskora.testing.conformance._cases.events import TestEvents
from taskora.testing.conformance._cases.handshake import TestHandshake
from taskora.testing.conformance._cases.keep_latest import TestKeepLatest
from taskora.testing.conformance._cases.leases import TestLeases
from taskora.testing.conformance._cases.lifo import TestLifo
from taskora.testing.conformance._cases.pacing import TestPacing
from taskora.testing.conformance._cases.promotion import TestPromotion
from taskora.testing.conformance._cases.reading import TestReading
from taskora.testing.conformance._cases.reports import TestReports
from taskora.testing.conformance._cases.retention import TestRetention
from taskora.testing.conformance._cases.schedules import TestSchedules
from taskora.testing.conformance._cases.settling import TestSettling
from taskora.testing.conformance._cases.stall_sweep import TestStallSweep
from taskora.testing.conformance._cases.throttle import TestThrottle
from taskora.testing.conformance._cases.versions import TestVersions
from taskora.testing.conformance._cases.waiting import TestWaiting
from taskora.testing.conformance._cases.workers import TestWorkers
from taskora.testing.conformance._cases.workflow_crashes import TestWorkflowCrashes
from taskora.testing.conformance._cases.workflow_notes import TestWorkflowNotes
from taskora.testing.conformance._cases.workflow_spawns import TestWorkflowSpawns
from taskora.testing.conformance._storage import OpenStorage
from taskora.testing.conformance._subject import Subject, View, opened

Case: TypeAlias = Callable[[Subject], Awaitable[None]]
Trial: TypeAlias = Callable[[Case], Awaitable[None]]

# Far above what any case takes: a wait that nothing ends shall fail, and not hang.
CASE_SECONDS: Final = 55.0


class BackendConformance:
    """What every `Backend` must do, seen from asyncio and through `blocking()` from threads.

    Derive a class whose name begins with `Test`, and give it the fixture `open_storage`: a function that returns an
    asynchronous context manager of an empty `Storage`. Each case opens one for itself, in an event loop of its own.
    """

    TestCancel = TestCancel
    TestClaiming = TestClaiming
    TestCollect = TestCollect
    TestConcurrencyKeys = TestConcurrencyKeys
    TestDeadLetters = TestDeadLetters
    TestDebounce = TestDebounce
    TestDeduplicate = TestDeduplicate
    TestEnqueue = TestEnqueue
    TestEvents = TestEvents
    TestHandshake = TestHandshake
    TestKeepLatest = TestKeepLatest
    TestLeases = TestLeases
    TestLifo = TestLifo
    TestPacing = TestPacing
    TestPromotion = TestPromotion
    TestReading = TestReading
    TestReports = TestReports
    TestRetention = TestRetention
    TestSchedules = TestSchedules
    TestSettling = TestSettling
    TestStallSweep = TestStallSweep
    TestThrottle = TestThrottle
    TestVersions = TestVersions
    TestWaiting = TestWaiting
    TestWorkers = TestWorkers
    TestWorkflowCrashes = TestWorkflowCrashes
    TestWorkflowNotes = TestWorkflowNotes
    TestWorkflowSpawns = TestWorkflowSpawns

    @pytest.fixture
    def open_storage(self) -> OpenStorage:
        """To be overridden: returns a function that opens an empty storage."""
        pytest.fail(f"{type(self).__name__} must define the fixture `open_storage`: see the guide on writing a backend")

    @pytest.fixture(params=["asyncio", "threads"])
    def view(self, request: pytest.FixtureRequest) -> View:
        """From where the operations of a case are sent."""
        view: View = request.param
        return view

    @pytest.fixture
    def subject(self, open_storage: OpenStorage, view: View) -> Trial:
        """Runs a case over a fresh storage, from either side."""
        return lambda case: _trial(open_storage, view, case)

    @pytest.fixture
    def async_subject(self, open_storage: OpenStorage) -> Trial:
        """Runs a case over a fresh storage, for what only asyncio offers."""
        return lambda case: _trial(open_storage, "asyncio", case)


class SyncBackendConformance(BackendConformance):
    """What every `SyncBackend` must do, for a storage that offers nothing else. Cases for asyncio are skipped."""

    @pytest.fixture
    def view(self) -> View:
        """There is only one."""
        return "threads"


async def _trial(open_storage: OpenStorage, view: View, case: Case) -> None:
    deadline = asyncio.timeout(CASE_SECONDS)
    try:
        async with deadline, open_storage() as storage, opened(storage, view) as subject:
            await case(subject)
    except TimeoutError:
        if deadline.expired():
            pytest.fail(f"the case did not end within {CASE_SECONDS:g} s: something waits for what never comes")
        raise
