"""Dispatching to tasks that collect."""

from typing import Final, TypeVar

from taskora.contracts import BatchFullError, Collect, TaskContract, UsageError, ValidationError, check_flow_key
from taskora.contracts.records import record
from taskora.producer._dispatching import DispatchOptions, DispatchRules, check_names, encode_payload, max_attempts
from taskora.producer._payload import Payloads
from taskora.wire import Batch, Collecting, Flow, PushCollect, ReadCollect, ask, random_id

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

_ALLOWED: Final = frozenset({"skip_validation"})


@record
class CollectInfo:
    """What has gathered under a key; times are epoch milliseconds."""

    count: int
    first_ms: int
    last_ms: int


def push_item(
    contract: TaskContract[I, O],
    payloads: Payloads[I, O],
    rules: DispatchRules,
    collect: Collect,
    data: I,
    options: DispatchOptions,
) -> PushCollect:
    """The operation that adds one item to its batch.

    Raises:
        TypeError: there is no such option.
        UsageError: an option that a batch cannot have, or a key that is none.
        ValidationError: the item does not fit the contract.
    """
    check_names(options)
    refused = sorted(name for name in options if name not in _ALLOWED)
    if refused:
        raise UsageError(
            f"task {contract.name!r} collects: {', '.join(refused)} cannot be given for one item of a batch"
        )
    checked = rules.validate and contract.validates_input and not options.get("skip_validation", False)
    item = encode_payload(
        contract, payloads, rules, data, checked=checked
    )  # before its key is asked for: it may be bad
    return PushCollect(
        task=contract.name,
        version=contract.version,
        max_attempts=max_attempts(contract),
        job_id=random_id(),
        key=key_of(collect, data),
        item=item,
        delay_ms=collect.delay_ms,
        max_size=collect.max_size or 0,
        max_wait_ms=collect.max_wait_ms,
        max_items=collect.max_items,
    )


def key_of(collect: Collect, data: object) -> str:
    """The key that an item gathers under."""
    return check_flow_key(collect.key(data) if callable(collect.key) else collect.key, field="collect.key")


def push(operation: PushCollect) -> Flow[str]:
    """Adds an item; returns the id of the job that runs the batch if the item is its last.

    Raises:
        BatchFullError: the batch is full, and no worker has taken it.
    """
    reply = yield from ask(operation)
    if reply.collecting is Collecting.FULL:
        raise BatchFullError(key=operation.key, task=operation.task, max_items=operation.max_items)
    return operation.job_id


def collect_of(contract: TaskContract[I, O]) -> Collect:
    """How a task collects.

    Raises:
        UsageError: it does not.
    """
    if contract.collect is None:
        raise UsageError(f"task {contract.name!r} does not collect: give its contract collect=Collect(...)")
    return contract.collect


def read_batch(contract: TaskContract[I, O], key: str) -> Flow[Batch]:
    """What has gathered under a key.

    Raises:
        UsageError: the task does not collect.
    """
    collect_of(contract)
    return (yield from ask(ReadCollect(task=contract.name, key=check_flow_key(key))))


def describe_batch(batch: Batch) -> CollectInfo | None:
    """Count and times; None when nothing has gathered."""
    if batch.count <= 0 or batch.first_ms is None or batch.last_ms is None:
        return None
    return CollectInfo(count=batch.count, first_ms=batch.first_ms, last_ms=batch.last_ms)


def readable_items(payloads: Payloads[I, O], batch: Batch) -> list[I]:
    """The items of a batch, as far as they fit the contract."""
    items: list[I] = []
    for raw in batch.items:
        try:
            items.append(payloads.input.decode(raw))
        except ValidationError:
            continue
    return items
