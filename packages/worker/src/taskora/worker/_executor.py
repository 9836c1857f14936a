"""Running one attempt: version gate, decode, validate, middleware around the handler, validate output, encode."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from taskora.wire import Claim, Outcome
from taskora.worker import _outcomes
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._decoding import decode_input, decoder_of_newest
from taskora.worker._handlers import Invoker, Middleware
from taskora.worker._implementation import Implementation
from taskora.worker._invoking import OnData
from taskora.worker._log_capture import capturing
from taskora.worker._middleware import compose
from taskora.worker._pacing import Reserve, reserve_start

logger = logging.getLogger("taskora.worker")


class Executor:
    """Runs the attempts of one task. Never raises: whatever happens becomes an outcome.

    What all attempts have in common is settled here, once: how inputs are read, and what surrounds the handler.

    Attributes:
        call: Middleware and handler, with a context that has its data; gives the result, and raises what they raise.
    """

    def __init__(
        self,
        implementation: Implementation[Any, Any],
        middleware: tuple[Middleware, ...],
        invoker: Invoker,
        reserve: Reserve,
    ) -> None:
        self._implementation: Final = implementation
        self._reserve: Final = reserve
        self._version: Final = implementation.version
        self._decode_newest: Final = decoder_of_newest(implementation)
        self._pack: Final = implementation.payloads.output.pack
        call = compose((*middleware, *implementation.middleware), invoker)
        self.call: Final[Invoker] = capturing(call) if implementation.capture_logs else call
        self._bare: Final = _bare_handler(implementation, middleware, invoker)

    async def run(self, attempt: Attempt) -> Outcome:
        """Runs an attempt to its end."""
        try:
            stop_reason = attempt.stop_reason
            if stop_reason is not None:
                raise asyncio.CancelledError  # asked to stop before it began
            self._decode(attempt)
            rate_limit = self._implementation.rate_limit
            if rate_limit is not None:
                await reserve_start(self._reserve, self._implementation.task, rate_limit, attempt.claim, attempt.data)
            attempt.began = True
            bare = self._bare
            result = self._pack(await (self.call(attempt.context) if bare is None else bare(attempt.data)))
        except GeneratorExit:
            raise  # the event loop is gone
        except BaseException as error:  # noqa: BLE001 - nothing that a handler does may end the lane
            # Cancellation included: it is how an attempt is stopped, and a handler may also raise it itself.
            attempt.error = error
            outcome = _outcomes.ended_with_error(attempt, error, self._implementation)
        else:
            if attempt.stop_reason is None:
                return _outcomes.completed(attempt.claim, result)
            outcome = self._ended_with_late_result(attempt, result)
        if attempt.stop_reason is StopReason.CANCELLED:
            await self.run_cancel_hook(attempt)
        return outcome

    def _decode(self, attempt: Attempt) -> None:
        # Payloads of newer versions are never claimed: the exchange leaves them for a newer worker.
        claim = attempt.claim
        attempt.data = self._decode_older(claim) if claim.version < self._version else self._decode_newest(claim.data)
        attempt.decoded = True

    def _decode_older(self, claim: Claim) -> object:
        since = self._implementation.since
        if claim.version < since:
            raise _outcomes.TooOldError(
                f"Job version {claim.version} is below minimum supported version {since} "
                "— migration no longer available"
            )
        return decode_input(self._implementation, claim)

    def _ended_with_late_result(self, attempt: Attempt, result: bytes) -> Outcome:
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
                self._decode(attempt)
            done: object = hook(attempt.context.data, attempt.context)
            if inspect.isawaitable(done):
                await done
        except GeneratorExit:
            raise
        except BaseException:
            logger.exception("on_cancel_failed", extra={"task": self._implementation.task, "job": attempt.claim.job_id})


def _bare_handler(
    implementation: Implementation[Any, Any], middleware: tuple[Middleware, ...], invoker: Invoker
) -> Callable[[Any], Awaitable[object]] | None:
    """The handler, if nobody would see a context: it takes the data alone, and nothing is around it."""
    surrounded = middleware or implementation.middleware or implementation.capture_logs or implementation.on_cancel
    return invoker.handler if isinstance(invoker, OnData) and not surrounded else None
