"""Redis and Valkey, for threads."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from taskora.wire._backend import Clock
from taskora.wire._command import Command
from taskora.wire._events import StreamEvent
from taskora.wire._flows import Pause, drive
from taskora.wire._handshake import handshake
from taskora.wire._keys import Keyspace
from taskora.wire._operations import Operation
from taskora.wire.backends import _requests
from taskora.wire.backends._requests import Request
from taskora.wire.backends._sync_connections import SyncConnections, SyncPool

R = TypeVar("R")


class SyncRedisBackend:
    """The synchronous twin of `RedisBackend`. One connection per thread that is busy; a forked child makes its own."""

    def __init__(
        self,
        make_connection: Callable[[], Any],
        *,
        keyspace: Keyspace,
        clock: Clock | None = None,
    ) -> None:
        self._connections: SyncConnections = SyncPool(make_connection)
        self._requests = _requests.Requests(keyspace, clock)
        self._keyspace = keyspace
        self._ready = False

    def run(self, operation: Operation[R]) -> R:
        """Carries out one operation; see `SyncBackend.run`."""
        if not self._ready:
            self._check()
        return self._run(operation)

    def run_together(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Carries out several operations in few round trips; see `PipelinedBackend.run_together`."""
        if not self._ready:
            self._check()
        commands = [self._requests.command(operation) for operation in operations]
        requests = [
            self._requests.request_of(command.call, hasty=operation.comes_again)
            for operation, command in zip(operations, commands, strict=True)
        ]
        replies = self._connections.request_all(requests)
        return [self._finish(*each) for each in zip(operations, commands, replies, strict=True)]

    def _finish(self, operation: Operation[R], command: Command[R], reply: Any) -> R:
        if isinstance(reply, Exception):
            return drive(self._requests.rest(operation, command, reply), self._perform)
        return command.decode(reply)

    def _check(self) -> None:
        # Two threads may do this at once; both checks only read, or write what is already there.
        drive(_requests.check_server(), self._perform)
        drive(handshake(), self._perform)
        self._ready = True

    def _run(self, operation: Operation[R]) -> R:
        return _requests.carry_out(operation, self._requests, self._perform)

    def _perform(self, step: Request | Pause | Operation[Any]) -> Any:
        if isinstance(step, Request):
            return self._connections.request(step)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return self._run(step)

    def read_events(self, positions: Mapping[str, str], *, block_ms: int, limit: int = 100) -> list[StreamEvent]:
        """Reads events; see `SyncBackend.read_events`."""
        request = _requests.events_request(self._keyspace, dict(positions), block_ms, limit)
        try:
            return _requests.decode_events(self._keyspace, self._connections.request(request))
        except _requests.FAILURES as error:
            raise _requests.translate(error) from error

    def close(self) -> None:
        """Closes all idle connections; those in use are closed when their command ends."""
        self._connections.close()
