"""Dispatching more than anybody wants to hold at once: batches are cut while items come, and go as there is room."""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final, Generic, TypeAlias, TypeVar

from taskora.contracts.records import record
from taskora.producer._dispatching import BATCH_BYTES, BATCH_SIZE, AnyJob, DispatchItem
from taskora.wire import NewJob, PushCollect

I = TypeVar("I")  # noqa: E741 - input
R = TypeVar("R")
Items: TypeAlias = Iterable[I | DispatchItem[I]]
Dispatch: TypeAlias = AnyJob | PushCollect


@record(kw_only=False)
class StreamBatch(Generic[I]):
    """Items that travel together, with what is sent for each; `first` is the index of the first one in the stream."""

    first: int
    items: list[I | DispatchItem[I]]
    dispatches: list[Dispatch]

    @property
    def place(self) -> str:
        """What is known of the stream when this batch fails."""
        last = self.first + len(self.items) - 1
        return (
            f"items {self.first} to {last} of the stream may have been dispatched, and some after them; "
            f"the {self.first} before them were"
        )


class Gathering(Generic[I]):
    """The items that the next batch will take: at most so many, and hardly more than so many bytes."""

    def __init__(self, prepare: Callable[[I | DispatchItem[I]], Dispatch]) -> None:
        self._prepare: Final = prepare
        self._first = 0
        self._weight = 0
        self._items: list[I | DispatchItem[I]] = []
        self._dispatches: list[Dispatch] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether the batch should leave."""
        return len(self._items) >= BATCH_SIZE or self._weight >= BATCH_BYTES

    @property
    def place(self) -> str:
        """What is known of the stream when the next item cannot be had, or is refused."""
        index = self._first + len(self._items)
        return f"item {index} of the stream; the {index} before it were dispatched"

    def add(self, item: I | DispatchItem[I]) -> None:
        """Checks and encodes an item.

        Raises:
            UsageError, ValidationError, TypeError: as `dispatch` does.
        """
        dispatch = self._prepare(item)
        self._items.append(item)
        self._dispatches.append(dispatch)
        self._weight += _weight(dispatch)

    def take(self) -> StreamBatch[I]:
        """What has gathered."""
        batch = StreamBatch(self._first, self._items, self._dispatches)
        self._first += len(self._items)
        self._items, self._dispatches, self._weight = [], [], 0
        return batch


def _weight(dispatch: Dispatch) -> int:
    if isinstance(dispatch, PushCollect):
        return len(dispatch.item)
    return len(dispatch.data if isinstance(dispatch, NewJob) else dispatch.job.data)


def stream(items: Items[I], gathering: Gathering[I], send: Callable[[StreamBatch[I]], R]) -> Generator[R]:
    """Sends items in batches, one at a time; the next items are asked for when the reply was taken.

    What cannot be had, or is refused, is raised when everything before it has been sent.
    """
    iterator = iter(items)
    is_over, trouble = False, None
    while not is_over:
        try:
            is_over = not _fill(gathering, iterator)
        except Exception as error:  # noqa: BLE001 - from the items, whatever it is
            error.add_note(gathering.place)
            is_over, trouble = True, error
        if gathering:
            yield send(gathering.take())
    if trouble is not None:
        raise trouble


def _fill(gathering: Gathering[I], iterator: Iterator[I | DispatchItem[I]]) -> bool:
    """Whether there may be more items."""
    for item in iterator:
        gathering.add(item)
        if gathering.is_full:
            return True
    return False
