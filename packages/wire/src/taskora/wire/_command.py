"""An operation as a Redis call: which script, which keys, which arguments, and what the reply means."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from taskora.contracts.records import record
from taskora.wire._call import Call
from taskora.wire._job import text_of
from taskora.wire._keys import Keyspace
from taskora.wire._operation import Operation

R = TypeVar("R", covariant=True)
Raw = Any  # a reply as the protocol delivers it; its shape is declared by the script and decoded by a command
O = TypeVar("O", bound=Operation[Any])  # noqa: E741 - operation


@record(kw_only=False, guarded=False)
class Command(Generic[R]):
    """A call, and the function that turns its raw reply into the operation's."""

    call: Call[Raw]
    decode: Callable[[Raw], R]


Builder = Callable[[O, Keyspace, int | None], Command[Any]]
BUILDERS: dict[type[Operation[Any]], Builder[Any]] = {}


def builds(operation: type[O]) -> Callable[[Builder[O]], Builder[O]]:
    """Registers how an operation becomes a command."""

    def register(builder: Builder[O]) -> Builder[O]:
        BUILDERS[operation] = builder
        return builder

    return register


def flags(reply: Sequence[int]) -> tuple[bool, ...]:
    """A reply of ones and other numbers."""
    return tuple([flag == 1 for flag in reply])


def texts(reply: Sequence[bytes]) -> tuple[str, ...]:
    """A reply of ids; bytes that are not UTF-8 are shown, not refused."""
    return tuple(text_of(text) or "" for text in reply)
