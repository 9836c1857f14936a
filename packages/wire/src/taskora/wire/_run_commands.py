"""How workers' operations are carried out by Redis."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._call import Arg, ExchangeReply
from taskora.wire._command import Command, builds, flags, texts
from taskora.wire._job import integer_of, text_of
from taskora.wire._keys import Keyspace

_SETTLEMENTS: Final = {ord(str(settlement.value)): settlement for settlement in op.Settlement}
_HEAD: Final = 4  # of the reply of an exchange, before its claims
_LEASE_STATES: Final = {state.value: state for state in op.LeaseState}


@builds(op.Exchange)
def _exchange(operation: op.Exchange, keyspace: Keyspace, now_ms: int | None) -> Command[op.Exchanged]:
    outcomes: list[Arg] = []
    # Kind, delay and token are one argument, since each costs the server; of a plain job the token is enough.
    for outcome in operation.outcomes:
        plain = outcome.plain and outcome.kind == op.OutcomeKind.COMPLETED
        ending = f"+{outcome.token}" if plain else f"{outcome.kind} {outcome.delay_ms}+{outcome.token}"
        outcomes += (ending, outcome.job_id, outcome.payload)
    call = lua.exchange(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        token=operation.token,
        lease_ms=operation.lease_ms,
        slots=operation.slots,
        on_expire=operation.on_expire,
        max_version=operation.max_version,
        limits=_limits(operation),
        resend=operation.resend,
        outcomes=outcomes,
    )
    token = operation.token

    def decode(reply: ExchangeReply) -> op.Exchanged:
        server_ms, due_ms, statuses, links = reply[:_HEAD]
        return op.Exchanged(
            now_ms=server_ms,
            due_ms=None if due_ms < 0 else due_ms,
            settlements=tuple([_SETTLEMENTS[digit] for digit in statuses]),
            claims=_claims(reply[_HEAD:], _links(links) if links else {}, token),
        )

    return Command(call, decode)


def _limits(operation: op.Exchange) -> str:
    pace, key_limit, ttl_ms = operation.pace, operation.key_limit, operation.ttl_ms
    if pace is op.NO_PACE and not (key_limit or ttl_ms):
        return ""
    return f"{pace.singleton:d} {pace.max} {pace.window_ms} {key_limit} {ttl_ms} {pace.key}"


def _claims(fields: Sequence[bytes], links: Mapping[int, op.StepLink], token: str) -> tuple[op.Claim, ...]:
    rows = zip(*[iter(fields)] * 5, strict=True)
    return tuple([_claim(row, links.get(place), token) for place, row in enumerate(rows)])


def _claim(row: Sequence[bytes], link: op.StepLink | None, token: str) -> op.Claim:
    """Raises nothing: the job is active by now, and an error would lose all that were claimed with it."""
    job_id, data, version, attempt, timestamp_ms = row
    has_stalled = attempt.endswith(b"!")
    if has_stalled:
        attempt = attempt[:-1]
    try:
        numbers = int(version), int(attempt or 1), int(timestamp_ms)
    except ValueError:  # damaged: what can be read of it
        numbers = integer_of(version) or 0, integer_of(attempt or b"1") or 0, integer_of(timestamp_ms) or 0
    return op.Claim(
        job_id=job_id.decode("utf-8", "backslashreplace"),
        token=token,
        data=data,
        version=numbers[0],
        attempt=numbers[1],
        timestamp_ms=numbers[2],
        link=link,
        plain=not attempt,
        has_stalled=has_stalled,
    )


def _links(fields: Sequence[Any]) -> dict[int, op.StepLink]:
    """Which of the claims are steps of workflows, by their place."""
    links: dict[int, op.StepLink] = {}
    for place, workflow, step in zip(*[iter(fields)] * 3, strict=True):
        workflow_id, number = text_of(workflow), integer_of(step)
        if workflow_id and number is not None:
            links[int(place)] = op.StepLink(workflow_id=workflow_id, step=number)
    return links


@builds(op.ExtendLeases)
def _extend_leases(
    operation: op.ExtendLeases, keyspace: Keyspace, _now_ms: int | None
) -> Command[tuple[op.LeaseState, ...]]:
    leases: list[Arg] = []
    for lease in operation.leases:
        leases += (lease.job_id, lease.token)
    call = lua.extend_leases(keys=keyspace.task(operation.task), lease_ms=operation.lease_ms, leases=leases)
    return Command(call, lambda reply: tuple(_LEASE_STATES[state] for state in reply))


@builds(op.ReserveStart)
def _reserve_start(operation: op.ReserveStart, keyspace: Keyspace, now_ms: int | None) -> Command[int]:
    call = lua.reserve_start(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        rate_key=operation.key,
        start_id=operation.start_id,
        rate_max=operation.max,
        rate_window_ms=operation.window_ms,
    )
    return Command(call, int)


@builds(op.Report)
def _report(operation: op.Report, keyspace: Keyspace, _now_ms: int | None) -> Command[tuple[bool, ...]]:
    entries: list[Arg] = []
    for entry in operation.entries:
        entries += (entry.kind, entry.job_id, entry.token, entry.payload)
    return Command(lua.report(keys=keyspace.task(operation.task), entries=entries), flags)


@builds(op.RecoverStalled)
def _recover_stalled(operation: op.RecoverStalled, keyspace: Keyspace, now_ms: int | None) -> Command[op.Recovered]:
    call = lua.recover_stalled(
        keys=keyspace.task(operation.task),
        now_ms=now_ms,
        max_count=operation.max_count,
        cursor=operation.cursor,
        count_every_ms=operation.count_every_ms,
    )

    def decode(reply: list[list[bytes]]) -> op.Recovered:
        recovered, failed, cancelled = (texts(ids) for ids in reply[:3])
        cursor = integer_of(reply[3][0]) if reply[3] else None
        return op.Recovered(recovered=recovered, failed=failed, cancelled=cancelled, cursor=cursor)

    return Command(call, decode)
