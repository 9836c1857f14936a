"""What a request to a server may fail with. The names are those of redis-py, and the words are the server's.

```
RedisError
|- ConnectionError           the connection broke, or never came about
|  |- AuthenticationError
|  |- AuthorizationError
|  |- BusyLoadingError
|  |- MaxConnectionsError
|  `- TlsError               a certificate was rejected, or cannot be read
|- TimeoutError
|- InvalidResponse           what came is not RESP
|- DataError                 a request that no server takes
`- ResponseError             the server said no
   |- AskError, MovedError   it named another server
   |- ClusterDownError
   |  `- MasterDownError
   |- NoPermissionError
   |- NoScriptError
   |- OutOfMemoryError
   |- ReadOnlyError
   `- TryAgainError
```
"""

import re
from collections.abc import Callable, Mapping
from typing import Final


class RedisError(Exception):
    """Any of them."""


class ConnectionError(RedisError):
    """The connection broke, or never came about."""


class AuthenticationError(ConnectionError):
    """The server refused the credentials, or misses them."""


class AuthorizationError(ConnectionError):
    """The server refused the user."""


class BusyLoadingError(ConnectionError):
    """The server reads its data."""


class MaxConnectionsError(ConnectionError):
    """A pool of the user's is exhausted."""


class TlsError(ConnectionError):
    """A certificate was rejected, by us or by the server, or cannot be read."""


class TimeoutError(RedisError):
    """Something did not come in time."""


class InvalidResponse(RedisError):
    """What came is not RESP."""


class DataError(RedisError):
    """A request that no server takes."""


class ResponseError(RedisError):
    """The server said no."""


class AskError(ResponseError):
    """The key is on its way to another server: that one is asked once."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        _, where = words.split(" ")
        host, port = where.rsplit(":", 1)
        self.host: Final = host
        self.port: Final = int(port)


class MovedError(AskError):
    """The key lives on another server."""


class ClusterDownError(ResponseError):
    """Nobody holds the slot of the key."""


class MasterDownError(ClusterDownError):
    """A replica without its master."""


class NoPermissionError(ResponseError):
    """The user may not do this."""


class NoScriptError(ResponseError):
    """The server does not know the script."""


class OutOfMemoryError(ResponseError):
    """The server takes no more data."""


class ReadOnlyError(ResponseError):
    """A replica was asked to write."""


class TryAgainError(ResponseError):
    """The keys of a request are on their way to another server, and some have arrived."""


_BY_CODE: Final[Mapping[str, Callable[[str], RedisError]]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "DENIED": ConnectionError,  # of somebody from another host; it hangs up then
    "LOADING": BusyLoadingError,
    "MASTERDOWN": MasterDownError,
    "MOVED": MovedError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "TRYAGAIN": TryAgainError,
    "UNBLOCKED": ConnectionError,  # a master has become a replica
    "WRONGPASS": AuthenticationError,
}
# Errors that have no code of their own.
_BY_WORDS: Final[Mapping[str, Callable[[str], RedisError]]] = {
    "AUTH <password> called without any password configured for the default user. Are you sure your configuration "
    "is correct?": AuthenticationError,
    "invalid password": AuthenticationError,
    "max number of clients reached": ConnectionError,
}


# What follows is quoted from the request, and may be a password or a payload.
_QUOTATION: Final = ", with args beginning with"
# Redis 6.2 wraps what went wrong within a script, once or twice; newer servers append where that was.
_WRAPPED: Final = re.compile(
    r"(?:ERR )?(?:Error running script \(call to f_(?P<sha>\w+)\): )?@user_script: ?(?P<line>\d+): "
    r"(?:@user_script: \d+: )?-?(?P<said>.*)"
)


def unquoted(words: str) -> str:
    """What a server said, without what it quotes of the request."""
    return words.partition(_QUOTATION)[0]


def error_of(words: str) -> RedisError:
    """The error that a server answered with. Codes that have a class of their own are not in its message."""
    words = _unwrapped(unquoted(words))
    code, _, rest = words.partition(" ")
    if code == "ERR":
        return _BY_WORDS.get(rest, ResponseError)(rest)
    kind = _BY_CODE.get(code)
    return ResponseError(words) if kind is None else kind(rest)


def _unwrapped(words: str) -> str:
    found = _WRAPPED.fullmatch(words)
    if found is None:
        return words
    script = f" script: {found['sha']}, on" if found["sha"] else " script:"
    return f"{found['said']}{script} @user_script:{found['line']}."
