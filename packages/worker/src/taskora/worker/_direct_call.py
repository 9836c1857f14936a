"""Calling a handler without a job: no queue, no lease, no waiting between attempts."""

import asyncio
import itertools
from typing import Any, cast

from taskora.contracts import JobTimeoutError
from taskora.wire import Claim, random_id
from taskora.worker._attempt import StopReason
from taskora.worker._context import Context, ReportKind
from taskora.worker._executor import Executor
from taskora.worker._implementation import Implementation


class NoPort:
    """Takes what a handler reports, and keeps nothing of it: there is no job to write it to."""

    def report(self, kind: ReportKind, payload: bytes) -> None:
        """Drops a report."""

    def heartbeat(self) -> None:
        """Does nothing."""


async def call_directly(
    executor: Executor, implementation: Implementation[Any, Any], data: object, *, now_ms: int
) -> object:
    """The validated result of a handler, called again at once as long as its retry policy says so.

    Raises:
        ValidationError: the data, or the result, does not fit the contract.
        JobTimeoutError: the last attempt took too long.
        Exception: what the handler raised at last.
    """
    payloads, job_id = implementation.payloads, random_id()
    for attempt in itertools.count(1):
        claim = Claim(
            job_id=job_id, token="", data=b"", version=implementation.version, attempt=attempt, timestamp_ms=now_ms
        )
        context = Context(
            claim,
            NoPort(),
            task=implementation.task,
            max_attempts=implementation.retry.attempts,
            timeout_ms=implementation.timeout_ms,
            claimed_ms=now_ms,
        )
        context.data = _validated(payloads, data)
        try:
            return payloads.output.validate(await _call_in_time(executor, implementation, context))
        except Exception as error:
            if not implementation.retry.should_retry(error, attempt):
                raise
    raise AssertionError("itertools.count ended")


def _validated(payloads: Any, data: object) -> object:
    if payloads.batch is None:
        return payloads.input.validate(data)
    return payloads.batch.validate(cast("list[object]", data) if isinstance(data, list) else [data])


async def _call_in_time(executor: Executor, implementation: Implementation[Any, Any], context: Context) -> object:
    timeout_ms = implementation.timeout_ms
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    timed_out = False

    def stop() -> None:
        nonlocal timed_out
        timed_out = True
        context.cancelled.set(StopReason.TIMEOUT.value)
        task.cancel()

    timer = None if timeout_ms is None else loop.call_later(timeout_ms / 1000, stop)
    try:
        return await executor.call(context)
    except asyncio.CancelledError:
        if not timed_out or task.uncancel() > 0:
            raise
        raise JobTimeoutError(job_id=context.id, task=implementation.task, timeout_ms=timeout_ms or 0) from None
    finally:
        if timer is not None:
            timer.cancel()
