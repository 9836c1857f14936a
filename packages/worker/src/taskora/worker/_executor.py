"""Running one attempt: version gate, decode, validate, middleware around the handler, validate output, encode."""

import asyncio
import inspect
import logging
from typing import Any, Final

from taskora.wire import Outcome
from taskora.worker import _outcomes
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._context import Context
from taskora.worker._decoding import decode_input
from taskora.worker._handlers import Middleware
from taskora.worker._implementation import Implementation
from taskora.worker._invoking import Invoker
from taskora.worker._log_capture import captured_logs
from taskora.worker._middleware import compose
from taskora.worker._pacing import Reserve, reserve_start

logger = logging.getLogger("taskora.worker")


class Executor:
    """Runs the attempts of one task. Never raises: whatever happens becomes an outcome."""

    def __init__(
        self,
        implementation: Implementation[Any, Any],
        middleware: tuple[Middleware, ...],
        invoker: Invoker,
        reserve: Reserve,
    ) -> None:
        self._implementation: Final = implementation
        self._invoker: Final = invoker
        self._reserve: Final = reserve
        self._call: Final = compose((*middleware, *implementation.middleware), self._call_handler)

    async def run(self, attempt: Attempt) -> Outcome:
        """Runs an attempt to its end."""
        try:
            if attempt.stop_reason is not None:
                raise asyncio.CancelledError  # asked to stop before it began
            result = await self._run(attempt)
        except GeneratorExit:
            raise  # the event loop is gone
        except BaseException as error:  # noqa: BLE001 - nothing that a handler does may end the lane
            # Cancellation included: it is how an attempt is stopped, and a handler may also raise it itself.
            attempt.error = error
            outcome = _outcomes.ended_with_error(attempt, error, self._implementation)
        else:
            outcome = self._ended_with_result(attempt, result)
        if attempt.stop_reason is StopReason.CANCELLED:
            await self.run_cancel_hook(attempt)
        return outcome

    async def _run(self, attempt: Attempt) -> bytes:
        self._check_version(attempt.claim.version)
        context = attempt.context
        self._decode(attempt)
        rate_limit = self._implementation.rate_limit
        if rate_limit is not None:
            await reserve_start(self._reserve, self._implementation.task, rate_limit, attempt.claim, context.data)
        attempt.began = True
        return self._implementation.payloads.output.pack(await self.call(context))

    async def call(self, context: Context) -> object:
        """Middleware and handler, with a context that has its data; raises what they raise."""
        if self._implementation.capture_logs:
            with captured_logs(context):
                await self._call(context)
        else:
            await self._call(context)
        return context.result

    def _decode(self, attempt: Attempt) -> None:
        attempt.context.data = decode_input(self._implementation, attempt.claim)
        attempt.decoded = True

    def _check_version(self, version: int) -> None:
        # Payloads of newer versions are never claimed: the exchange leaves them for a newer worker.
        since = self._implementation.since
        if version < since:
            raise _outcomes.TooOldError(
                f"Job version {version} is below minimum supported version {since} — migration no longer available"
            )

    async def _call_handler(self, context: Context) -> None:
        context.result = await self._invoker(context)

    def _ended_with_result(self, attempt: Attempt, result: bytes) -> Outcome:
        # A result that came in spite of the wish to stop is worth more than another run, unless the job was
        # cancelled or its time was over: then the answer has been given already.
        match attempt.stop_reason:
            case StopReason.CANCELLED:
                return _outcomes.cancelled(attempt.claim)
            case StopReason.TIMEOUT:
                error = _outcomes.timeout_error(attempt, self._implementation)
                return _outcomes.failed(attempt.claim, error, self._implementation)
            case _:
                return _outcomes.completed(attempt.claim, result)

    async def run_cancel_hook(self, attempt: Attempt) -> None:
        """Tells the implementation that a job was cancelled while it ran, or was about to."""
        hook = self._implementation.on_cancel
        if hook is None:
            return
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        try:
            if not attempt.decoded:
                self._check_version(attempt.claim.version)
                self._decode(attempt)
            done: object = hook(attempt.context.data, attempt.context)
            if inspect.isawaitable(done):
                await done
        except GeneratorExit:
            raise
        except BaseException:
            logger.exception("on_cancel_failed", extra={"task": self._implementation.task, "job": attempt.claim.job_id})
