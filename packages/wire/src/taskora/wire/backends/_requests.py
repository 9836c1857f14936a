"""An operation as requests on a Redis connection: what is sent, what is retried, how errors are named.

Shared by the asyncio and the synchronous backend, which only know how to perform one request.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from taskora.contracts import BackendError
from taskora.contracts.records import record, replace
from taskora.wire._backend import Clock
from taskora.wire._call import Arg, Call
from taskora.wire._command import Command
from taskora.wire._commands import command_for
from taskora.wire._events import StreamEvent, decode_event
from taskora.wire._flows import Flow, Pause, drive
from taskora.wire._keys import Keyspace
from taskora.wire._operations import Operation
from taskora.wire.backends import _redis_errors as redis_errors

R = TypeVar("R")

CONNECT_TIMEOUT: Final = 5.0
REPLY_TIMEOUT: Final = 10.0
# A blocked read must outlast its block time, or a quiet server would look like a dead one.
BLOCK_MARGIN: Final = 5.0
# A timeout of 0 would block for ever, and so would one of 1: Redis 6.2 rounds it down.
_SHORTEST_BLOCK_MS: Final = 2.0
_RETRY_PAUSES: Final = (0.0, 0.1, 0.4)
# One more try is for a connection that broke while nobody used it.
_HASTY_PAUSES: Final = (0.0,)
HASTY_TIMEOUT: Final = 2.0
# A server that reads its data answers as soon as it can: it is waited for as long as for a reply.
_FIRST_LOADING_PAUSES: Final = (0.1, 0.4)
_LOADING_PAUSE: Final = 0.5
_OLDEST_SERVER: Final = (6, 2)
# Scripts are called by their SHA, and sent whole to a server that does not know it.
_BY_NAME: Final = "EVALSHA"
_WHOLE: Final = "EVAL"

# Failures after which the same request may succeed: the connection broke, or the server is starting or changing roles.
TRANSIENT: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.TryAgainError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    OSError,
    EOFError,  # also asyncio's for an incomplete read
)
# When a script runs into the rights of its user: words of Valkey and Redis 8, and of Redis 6.2 and 7. None is a code.
_FORBIDDEN_IN_SCRIPT: Final = ("ACL failure in script", "The user executing the script can't")
# Words of a server that cannot do this now, and may be able to later.
_PASSING: Final = ("BUSY", "MISCONF", "NOREPLICAS", "LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY")
# What a request may raise in all.
FAILURES: Final = (*TRANSIENT, redis_errors.RedisError)
_REFUSED: Final = (
    redis_errors.AuthenticationError,
    redis_errors.AuthorizationError,
    redis_errors.NoPermissionError,
    redis_errors.MaxConnectionsError,
    redis_errors.TlsError,
)


class RequestOf(Protocol):
    """How a call becomes a request."""

    def __call__(self, call: Call[Any], *, hasty: bool = False) -> "Request":
        """The request that makes a call."""
        ...


@record(kw_only=False, guarded=False)
class Request:
    """One command to send, and how long to wait for its reply.

    Where there are several servers, `key` says which one is meant; without a key any will do. A `hasty` one is not sent
    to a server that did not answer a moment ago.
    """

    args: tuple[Arg, ...]
    timeout: float = REPLY_TIMEOUT
    key: str | None = None
    hasty: bool = False


def request_of(call: Call[Any], *, hasty: bool = False) -> Request:
    """The request that makes a call where the server knows the script."""
    keys = call.keys
    words = (_BY_NAME, call.script.sha, len(keys), *keys, *call.args)
    return Request(words, HASTY_TIMEOUT if hasty else REPLY_TIMEOUT, keys[0], hasty)


class Requests:
    """How operations become requests: under which keys, at what time, and what to send after a failure."""

    def __init__(self, keyspace: Keyspace, clock: Clock | None, request_of: RequestOf = request_of) -> None:
        self._keyspace: Final = keyspace
        self._clock: Final = clock
        self.request_of: Final = request_of

    def command(self, operation: Operation[R]) -> Command[R]:
        """The command that carries out an operation now."""
        return command_for(operation, self._keyspace, None if self._clock is None else self._clock.now_ms())

    def rest(self, operation: Operation[R], command: Command[R], error: Exception) -> Flow[R]:
        """Carries on where the first request has failed.

        The whole script goes to a server that does not know it. When a connection failed, the operation is sent again,
        marked as a repetition.

        Raises:
            BackendError: it failed for good.
        """
        hasty = operation.comes_again
        tries = _Tries(hasty=hasty)
        request = self.request_of(command.call, hasty=hasty)
        while True:
            if isinstance(error, redis_errors.NoScriptError) and request.args[0] == _BY_NAME:
                request = replace(request, args=(_WHOLE, command.call.script.text, *request.args[2:]))
            elif (pause := tries.pause_after(error)) is not None:
                yield Pause(pause)
                if not isinstance(error, redis_errors.BusyLoadingError):  # that was not carried out, for certain
                    operation = operation.again()
                command = self.command(operation)
                request = self.request_of(command.call, hasty=hasty)
            else:
                raise translate(error) from (None if isinstance(error, BackendError) else error)
            try:
                reply = yield request
            except Exception as failure:  # noqa: BLE001 - the branches above say what can be done about it
                error = failure
            else:
                return command.decode(reply)


class _Tries:
    """How often what failed is tried again, and after which pauses."""

    def __init__(self, *, hasty: bool = False) -> None:
        seconds = HASTY_TIMEOUT if hasty else REPLY_TIMEOUT
        steady = round((seconds - sum(_FIRST_LOADING_PAUSES)) / _LOADING_PAUSE)
        self._broken: Final = iter(_HASTY_PAUSES if hasty else _RETRY_PAUSES)
        self._loading: Final = iter((*_FIRST_LOADING_PAUSES, *(_LOADING_PAUSE,) * steady))

    def pause_after(self, error: Exception) -> float | None:
        """Seconds until the next try; None if there is none."""
        if not is_transient(error):
            return None
        return next(self._loading if isinstance(error, redis_errors.BusyLoadingError) else self._broken, None)


def carry_out(operation: Operation[R], requests: Requests, perform: Callable[[Any], Any]) -> R:
    """Carries out an operation in a thread; `perform` does one step. Nearly always there is one, a request."""
    command = requests.command(operation)
    try:
        reply = perform(requests.request_of(command.call, hasty=operation.comes_again))
    except Exception as error:  # noqa: BLE001 - the flow decides what it can handle
        return drive(requests.rest(operation, command, error), perform)
    return command.decode(reply)


def check_server() -> Flow[None]:
    """Refuses servers that are too old. Where `INFO` is not allowed, the first script decides.

    Raises:
        BackendError: the server is older than Redis 6.2.
    """
    version = _server_version((yield from _server_info()))
    if version is not None and version < _OLDEST_SERVER:
        raise BackendError(
            f"the server speaks Redis {'.'.join(map(str, version))}, taskora needs Redis 6.2 or Valkey 7.2 or newer: "
            "upgrade the server"
        )


def _server_info() -> Flow[bytes]:
    tries = _Tries()
    while True:
        try:
            info: bytes = yield Request(("INFO", "server"))
        except redis_errors.NoPermissionError:
            return b""
        except BackendError:
            raise
        except Exception as error:
            pause = tries.pause_after(error)
            if pause is None:
                raise translate(error) from error
            yield Pause(pause)
        else:
            return info


def _server_version(info: bytes) -> tuple[int, ...] | None:
    for line in info.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == "redis_version":
            parts = value.strip().split(".")[:2]
            return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else None
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, TRANSIENT) and not isinstance(error, _REFUSED)


def closed() -> BackendError:
    """Somebody uses a backend after closing it."""
    return BackendError("this backend is closed: open another one")


def translate(error: BaseException | None) -> BackendError:
    """The one place where errors of the client library become ours."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, BackendError):
        return error
    if isinstance(error, redis_errors.AuthenticationError) or "NOAUTH" in text or "WRONGPASS" in text:
        return BackendError(f"the server refused the credentials ({text}): check user name and password in the URL")
    if isinstance(error, redis_errors.TlsError):
        return BackendError(f"the connection cannot be encrypted: {error}")
    if isinstance(error, redis_errors.NoPermissionError) or any(words in text for words in _FORBIDDEN_IN_SCRIPT):
        return BackendError(f"the user may not do this ({text}): extend its ACL", is_permanent=True)
    if isinstance(error, redis_errors.OutOfMemoryError) or "OOM" in text:
        return BackendError(
            f"the server is out of memory ({text}): free memory or raise maxmemory, nothing was written"
        )
    if isinstance(error, redis_errors.BusyLoadingError):
        return BackendError(f"the server is loading its data ({text}): wait until it has done so")
    if error is not None and is_transient(error):
        return BackendError(f"the server cannot be reached ({text}): check that it runs and that the address is right")
    return BackendError(f"the server refused a request ({text})", is_permanent=not str(error).startswith(_PASSING))


@record(kw_only=False, guarded=False)
class TokenRequest(Request):
    """Waits for a wake-up token, and takes it."""

    def undone(self, token: Sequence[Any]) -> Request:
        """Puts a token back that was taken for nobody; one that has come meanwhile and is due earlier stays."""
        marker_key, member, score = token
        return put_back_request(marker_key.decode(), float(score), member)


def marker_request(marker_keys: Sequence[str], timeout_ms: float) -> TokenRequest:
    """Waits for a wake-up token of some tasks."""
    seconds = max(timeout_ms, _SHORTEST_BLOCK_MS) / 1000
    words = ("BZPOPMIN", *marker_keys, f"{seconds:.3f}")
    return TokenRequest(words, timeout=seconds + BLOCK_MARGIN, key=marker_keys[0])


def put_back_request(marker_key: str, score: float, member: Arg = "0") -> Request:
    """Puts a wake-up token back, unless there is one that is due earlier."""
    return Request(("ZADD", marker_key, "LT", f"{score:.0f}", member), key=marker_key)


def events_request(keyspace: Keyspace, positions: dict[str, str], block_ms: int, limit: int) -> Request:
    """Reads events of several tasks after the given positions."""
    keys = [keyspace.task(task).events_key for task in positions]
    args: tuple[Arg, ...] = ("XREAD", "COUNT", limit, "BLOCK", max(block_ms, 1), "STREAMS", *keys, *positions.values())
    return Request(args, timeout=block_ms / 1000 + BLOCK_MARGIN, key=keys[0] if keys else None)


def decode_events(keyspace: Keyspace, reply: Sequence[Any] | Mapping[bytes, Any] | None) -> list[StreamEvent]:
    """Decodes the reply to `events_request`: pairs, in RESP 3 a map."""
    events: list[StreamEvent] = []
    for key, entries in reply.items() if isinstance(reply, Mapping) else reply or ():
        task = keyspace.task_of(key.decode())
        for position, flat in entries:
            event = decode_event(task, position, flat or ())
            if event is not None:
                events.append(event)
    return events
