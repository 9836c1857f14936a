"""What goes wrong with one workflow delays no other, nor the worker."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from packages.worker.tests.workbench import QUICK_SWEEPS, Meddler
from taskora.contracts import BackendError, define_task
from taskora.producer import AsyncProducer, AsyncWorkflowHandle
from taskora.wire import AdvanceWorkflow, Operation, ReadUntold, drive_async, sweep_untold
from taskora.wire.backends import open_backend
from taskora.worker import Worker
from tests.polling import aeventually

double = define_task("double", input=int, output=int)


class Trouble:
    """Refuses to advance some workflows, so many times each."""

    def __init__(self, *, is_permanent: bool, times: int = 1_000_000) -> None:
        self.workflows: set[str] = set()
        self._is_permanent = is_permanent
        self._left: dict[str, int] = {}
        self._times = times
        self.met = 0

    def __call__(self, operation: Operation[Any]) -> None:
        if not isinstance(operation, AdvanceWorkflow) or operation.workflow_id not in self.workflows:
            return
        left = self._left.get(operation.workflow_id, self._times)
        if left:
            self._left[operation.workflow_id] = left - 1
            self.met += 1
            raise BackendError("refused on purpose", is_permanent=self._is_permanent)


@asynccontextmanager
async def working(url: str, trouble: Trouble) -> AsyncGenerator[AsyncProducer]:
    meddler = Meddler(open_backend(url), before=trouble)
    worker = Worker(meddler, defaults=QUICK_SWEEPS)

    @worker.implement(double, concurrency=5)
    async def handler(data: int) -> int:
        return data * 2

    async with AsyncProducer(url) as producer, AsyncProducer(url) as outside:
        chosen = [await outside.dispatch(double.s(number) | double.s()) for number in range(2)]
        trouble.workflows.update(flow.id for flow in chosen)
        async with worker:
            yield producer
    await meddler.close()


async def ended(flow: AsyncWorkflowHandle[Any]) -> None:
    await flow.result("20s")


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage().startswith(event)]


async def test_a_workflow_that_refuses_for_good_keeps_no_other_waiting(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = Trouble(is_permanent=True)
    async with working(url, trouble) as producer:
        for _ in range(5):
            await ended(await producer.dispatch(double.s(1) | double.s() | double.s()))
        await aeventually(lambda: len(said(caplog, "workflow_not_told")) == 2)
    records = said(caplog, "workflow_not_told")
    assert {record.__dict__["workflow"] for record in records} == trouble.workflows
    assert {record.levelno for record in records} == {logging.ERROR}
    assert trouble.met == 2  # and the worker has closed: it did not go on trying


async def test_what_passes_is_tried_again(url: str) -> None:
    trouble = Trouble(is_permanent=False, times=2)
    async with working(url, trouble) as producer:
        await ended(await producer.dispatch(double.s(1)))
        for workflow_id in trouble.workflows:
            await ended(await producer.workflow(workflow_id))
    assert trouble.met == 4


async def test_a_worker_closes_although_a_workflow_cannot_be_reached(url: str) -> None:
    trouble = Trouble(is_permanent=False)
    async with working(url, trouble) as producer:
        await ended(await producer.dispatch(double.s(1)))
        await aeventually(lambda: trouble.met >= 2)
    backend = open_backend(url)
    later: Callable[[], Any] = partial(backend.run, ReadUntold(task="double", min_age_ms=0, limit=10))
    assert await later() == ()  # put off
    await drive_async(sweep_untold("double"), backend.run)
    await backend.close()
