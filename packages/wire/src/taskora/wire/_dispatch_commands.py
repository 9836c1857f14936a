"""How producers' operations are carried out by Redis."""

from collections.abc import Sequence
from typing import Any

from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._call import Arg
from taskora.wire._command import Command, builds, flags
from taskora.wire._job import integer_of
from taskora.wire._keys import Keyspace


@builds(op.Enqueue)
def _enqueue(operation: op.Enqueue, keyspace: Keyspace, now_ms: int | None) -> Command[tuple[bool, ...]]:
    jobs = operation.jobs
    arguments, has_terms = _columns(jobs) if type(jobs) is op.AlikeJobs else _rows(jobs)
    call = lua.enqueue(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        version=operation.version,
        max_attempts=operation.max_attempts,
        resend=operation.resend,
        has_terms=has_terms,
        jobs=arguments,
    )
    all_created = (True,) * len(jobs)
    return Command(call, lambda reply: flags(reply) if reply else all_created)


def _rows(jobs: Sequence[op.NewJob]) -> tuple[list[Arg], bool]:
    """The jobs as arguments, and whether there are terms among them."""
    arguments: list[Arg] = []
    has_terms = False
    for job in jobs:
        arguments += (job.job_id, job.data)
        has_terms = has_terms or bool(job.delay_ms or job.priority or job.ttl_ms)
    if has_terms:
        # What most calls do not ask for: each argument costs both sides about as much as a field of the record.
        arguments = []
        for job in jobs:
            arguments += (job.job_id, job.data, _terms(job.delay_ms, job.priority, job.ttl_ms))
    return arguments, has_terms


def _columns(jobs: op.AlikeJobs) -> tuple[list[Arg], bool]:
    """The same for jobs that are there as columns."""
    count, has_terms = len(jobs), jobs.ttl_ms > 0
    width = 3 if has_terms else 2
    arguments: list[Arg] = [_terms(0, 0, jobs.ttl_ms)] * (width * count)
    arguments[::width] = jobs.job_ids
    arguments[1::width] = jobs.payloads
    return arguments, has_terms


def _terms(delay_ms: int, priority: int, ttl_ms: int) -> str:
    return f"{delay_ms} {priority} {ttl_ms}"


@builds(op.EnqueueControlled)
def _enqueue_controlled(
    operation: op.EnqueueControlled, keyspace: Keyspace, now_ms: int | None
) -> Command[tuple[op.Admission, ...]]:
    jobs: list[Arg] = []
    for controlled in operation.jobs:
        jobs += _controlled_arguments(controlled)
    call = lua.enqueue_controlled(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        version=operation.version,
        max_attempts=operation.max_attempts,
        resend=operation.resend,
        jobs=jobs,
    )
    return Command(call, lambda reply: tuple(_admission(row) for row in reply))


def _controlled_arguments(controlled: op.ControlledJob) -> tuple[Arg, ...]:
    job = controlled.job
    return (
        job.job_id,
        job.data,
        job.delay_ms,
        job.priority,
        job.ttl_ms,
        "1" if controlled.lifo else "0",
        controlled.concurrency_key,
        controlled.concurrency_limit,
        controlled.control.value,
        controlled.key,
        controlled.amount,
        controlled.period_ms,
        f" {' '.join(controlled.states)} ",
    )


def _admission(row: Sequence[Any]) -> op.Admission:
    verdict, job_id = row
    return op.Admission(verdict=op.Verdict(verdict), job_id=job_id.decode())


@builds(op.PushCollect)
def _push_collect(operation: op.PushCollect, keyspace: Keyspace, now_ms: int | None) -> Command[op.Collected]:
    call = lua.push_collect(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        version=operation.version,
        max_attempts=operation.max_attempts,
        resend=operation.resend,
        job_id=operation.job_id,
        collect_key=operation.key,
        item=operation.item,
        collect_ms=operation.delay_ms,
        max_size=operation.max_size,
        max_wait_ms=operation.max_wait_ms,
        max_items=operation.max_items,
    )
    return Command(call, lambda reply: op.Collected(collecting=op.Collecting(reply[0]), count=reply[1]))


@builds(op.ReadCollect)
def _read_collect(operation: op.ReadCollect, keyspace: Keyspace, _now_ms: int | None) -> Command[op.Batch]:
    def decode(reply: tuple[list[bytes], list[bytes | None]]) -> op.Batch:
        items, (count, first, last) = reply
        return op.Batch(items=tuple(items), count=int(count or 0), first_ms=integer_of(first), last_ms=integer_of(last))

    return Command(lua.read_collect(keys=keyspace.task(operation.task), collect_key=operation.key), decode)
