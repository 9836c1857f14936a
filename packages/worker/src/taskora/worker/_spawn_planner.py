"""Writes what steps have spawned into the graphs of their workflows, before the results of those steps are stored."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from taskora.contracts import UsageError
from taskora.contracts.records import record
from taskora.wire import Backend, Outcome, Spawn, drive_async, may_pass, pause_after, spawn_steps
from taskora.worker import _outcomes
from taskora.worker._attempt import Attempt, StopReason
from taskora.worker._implementation import Implementation
from taskora.worker._spawning import decode_spawned

logger = logging.getLogger("taskora.worker")

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
# Others have changed the graph meanwhile: it takes a few milliseconds to write one, and many may want to.
_FIRST_TURN: Final = 0.02
_LONGEST_TURN: Final = 1.0


@record(kw_only=False, eq=False)
class _Request:
    spawn: Spawn
    reply: "asyncio.Future[bool | UsageError]"


class SpawnPlanner:
    """One per lane. What several steps of one workflow have spawned is written together.

    Plans only: the steps start when the workflow hears of the result, and if it is the one of the attempt that planned.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend
        self._waiting: Final[dict[str, list[_Request]]] = {}
        self._planning: Final[set[asyncio.Task[None]]] = set()

    async def plan(self, attempt: Attempt, outcome: Outcome, implementation: Implementation[Any, Any]) -> Outcome:
        """The outcome of the attempt: as it was, or a failure if what it spawned cannot be planned.

        If the workflow has stopped the attempt is cancelled, although it has a result: kept for another try, the result
        would be one without what was spawned. Goes on for as long as the server cannot be reached; the attempt can be
        stopped meanwhile, as any other.
        """
        claim = attempt.claim
        if claim.link is None or attempt.stop_reason is StopReason.LEASE_LOST:
            return outcome
        try:
            parts = [decode_spawned(payload) for payload in attempt.spawned]
            spawn = Spawn(step=claim.link.step, job_id=claim.job_id, token=claim.token, parts=parts)
            reply = await _reply(attempt, self._ask(claim.link.workflow_id, spawn))
        except asyncio.CancelledError as error:
            attempt.error = error
            return _outcomes.ended_with_error(attempt, error, implementation)
        except Exception as error:
            about = {"task": implementation.task, "job": claim.job_id, "error": str(error)}
            logger.warning("spawned_steps_not_planned", exc_info=not isinstance(error, UsageError), extra=about)
            return self._failed(attempt, error, implementation)
        if isinstance(reply, UsageError):
            return self._failed(attempt, reply, implementation)
        return outcome if reply else _outcomes.cancelled(claim)

    def _failed(self, attempt: Attempt, error: Exception, implementation: Implementation[Any, Any]) -> Outcome:
        attempt.error = error
        return _outcomes.failed(attempt.claim, error, implementation)

    def _ask(self, workflow_id: str, spawn: Spawn) -> "asyncio.Future[bool | UsageError]":
        loop = asyncio.get_running_loop()
        request = _Request(spawn, loop.create_future())
        waiting = self._waiting.get(workflow_id)
        if waiting is None:
            self._waiting[workflow_id] = [request]
            planning = loop.create_task(self._work(workflow_id), name=f"spawn_planner:{workflow_id}")
            self._planning.add(planning)
            planning.add_done_callback(self._planning.discard)
        else:
            waiting.append(request)
        return request.reply

    async def _work(self, workflow_id: str) -> None:
        failures = turns = 0
        try:
            while requests := self._open(workflow_id):
                try:
                    done = await self._write(workflow_id, requests)
                except Exception as error:  # noqa: BLE001 - it is told to those who wait, and logged if it may pass
                    if not may_pass(error):
                        _refuse(requests, error)
                        continue
                    failures += 1
                    about = {"workflow": workflow_id, "error": str(error), "failures": failures}
                    logger.warning("spawned_steps_not_planned", extra=about)
                    await asyncio.sleep(pause_after(failures, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
                else:
                    failures, turns = 0, 0 if done else turns + 1
                    if turns:
                        await asyncio.sleep(pause_after(turns, first=_FIRST_TURN, longest=_LONGEST_TURN))
        finally:
            for request in self._waiting.pop(workflow_id):
                request.reply.cancel()

    def _open(self, workflow_id: str) -> list[_Request]:
        """Those that have no reply yet, and are still waited for."""
        requests = self._waiting[workflow_id]
        requests[:] = [request for request in requests if not request.reply.done()]
        return list(requests)

    async def _write(self, workflow_id: str, requests: Sequence[_Request]) -> bool:
        spawns = [request.spawn for request in requests]
        replies = await drive_async(spawn_steps(workflow_id, spawns), self._backend.run)
        if replies is None:
            return False
        for request, reply in zip(requests, replies, strict=True):
            if not request.reply.done():
                request.reply.set_result(reply)
        return True

    def close(self) -> None:
        """Gives up what is left; nobody waits for it."""
        for planning in self._planning:
            planning.cancel()


async def _reply(attempt: Attempt, reply: "asyncio.Future[bool | UsageError]") -> bool | UsageError:
    """Waits for a reply, until the attempt is stopped.

    A result that is there is worth more than another run: a worker that stops waits until it leaves attempts behind.
    """
    task = asyncio.current_task()
    try:
        return await asyncio.shield(reply)
    except asyncio.CancelledError:
        if attempt.stop_reason is not StopReason.SHUTDOWN or attempt.ended or task is None:
            reply.cancel()
            raise
        task.uncancel()
    return await reply


def _refuse(requests: Sequence[_Request], error: Exception) -> None:
    for request in requests:
        if not request.reply.done():
            request.reply.set_exception(error)
