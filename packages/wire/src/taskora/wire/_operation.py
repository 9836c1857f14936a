"""What can be asked of a storage, as data.

An operation says what shall happen, not how: a backend turns it into one script call (Redis) or does it itself
(memory). `R` in `Operation[R]` is the type of the reply, so `await backend.run(Enqueue(...))` is fully typed.
Every operation is atomic. Replies that a caller must expect (lease lost, id taken) are values, never exceptions.
"""

from typing import ClassVar, Generic, Self, TypeVar

from taskora.contracts.records import record

R = TypeVar("R", covariant=True)


@record
class Operation(Generic[R]):
    """One atomic request; `R` is the type of its reply.

    Attributes:
        comes_again: Whether it is soon asked again in any case. A server that is silent is then given up early, so that
            those of its kind for other servers have their turn.
    """

    comes_again: ClassVar[bool] = False

    def again(self) -> Self:
        """The same request, to be sent when it is unknown whether the first one was executed."""
        return self
