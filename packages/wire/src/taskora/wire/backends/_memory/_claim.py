"""The second half of exchange: waiting -> active | expired."""

from collections.abc import Callable
from typing import Final, TypeAlias

from taskora.wire._operations import Claim, Exchange
from taskora.wire.backends._memory._collect import drain
from taskora.wire.backends._memory._promote import expire
from taskora.wire.backends._memory._record import Record, link_of, note_start, number, state, write
from taskora.wire.backends._memory._slots import limit_of, park, pass_on, release_slot, takes_slot
from taskora.wire.backends._memory._task import StoredLease, TaskStore, is_expired

_EXTRA_TRIES: Final = 1000
_NEWER_PARK_MS: Final = 30_000

Source: TypeAlias = Callable[[int], list[str]]


def reclaim_own(task: TaskStore, token: str, lease_ms: int, now_ms: int) -> list[Claim]:
    """The claims of an earlier execution of the same call, whose reply was lost; with new leases, as any claim."""
    own = [job_id for job_id in task.active if task.holds_lease(job_id, token, now_ms)]
    task.leases.update(dict.fromkeys(own, StoredLease(token, now_ms + lease_ms)))
    task.stalled.difference_update(own)
    return [_claim(job_id, task.jobs.get(job_id, {}), token) for job_id in own]


class Claiming:
    """One call: takes jobs until there are `slots` claims; passes over a bounded number that cannot run."""

    def __init__(self, task: TaskStore, operation: Exchange, claims: list[Claim], slots: int, now_ms: int) -> None:
        self._task = task
        self._operation = operation
        self._claims = claims
        self._slots = slots
        self._now_ms = now_ms
        self._freed_and_blocked: list[str] | None = None  # while freed jobs are tried

    def claim(self) -> None:
        """Adds claims: the prioritized first, then those that were freed, then the others."""
        self._claim_from(self._task.pop_prioritized)
        self._claim_freed()
        self._claim_from(self._task.pop_waiting)

    def _claim_freed(self) -> None:
        blocked = self._freed_and_blocked = []
        self._claim_from(self._task.parking.pop_freed)
        for job_id in reversed(blocked):  # back in front, the first of them foremost
            park(self._task, job_id, self._now_ms, was_freed=True)
        self._freed_and_blocked = None

    def _claim_from(self, pop: Source) -> None:
        tries = self._slots + _EXTRA_TRIES
        while len(self._claims) < self._slots and tries > 0:
            job_ids = pop(min(self._slots - len(self._claims), tries))
            if not job_ids:
                return
            tries -= len(job_ids)
            for job_id in job_ids:
                self._try(job_id)

    def _try(self, job_id: str) -> None:
        task, operation = self._task, self._operation
        record = task.jobs.get(job_id)
        if record is None:
            return  # a ghost: the id was queued, its record is gone
        limit = limit_of(record, operation.key_limit)
        stands = state(record)
        if stands is not None and stands.is_terminal:
            pass_on(task, record, limit)
        elif is_expired(record, self._now_ms, default_ttl_ms=operation.ttl_ms):
            expire(task, job_id, operation.on_expire, self._now_ms)
            pass_on(task, record, limit)
        elif number(record, "_v") > operation.max_version:
            self._leave_for_newer(job_id, record)
            pass_on(task, record, limit)
        elif not takes_slot(task, record, limit):
            self._park(job_id)
        elif drain(task, record):
            self._claims.append(self._start(job_id, record))
        else:
            task.erase(job_id)
            release_slot(task, record)

    def _park(self, job_id: str) -> None:
        if self._freed_and_blocked is None:
            park(self._task, job_id, self._now_ms, was_freed=False)
        else:
            self._freed_and_blocked.append(job_id)

    def _leave_for_newer(self, job_id: str, record: Record) -> None:
        write(record, state="delayed")
        self._task.delayed.add(job_id, self._now_ms + _NEWER_PARK_MS)
        self._task.parking.newer.add(job_id, number(record, "_v"))

    def _start(self, job_id: str, record: Record) -> Claim:
        task, operation = self._task, self._operation
        note_start(record, self._now_ms)
        task.active[job_id] = None
        task.leases[job_id] = StoredLease(operation.token, self._now_ms + operation.lease_ms)
        task.emit(self._now_ms, "active", job_id, attempt=record.get("attempt", b"0"))
        return _claim(job_id, record, operation.token)


def _claim(job_id: str, record: Record, token: str) -> Claim:
    return Claim(
        job_id=job_id,
        token=token,
        data=record.get("data", b""),
        version=number(record, "_v"),
        attempt=number(record, "attempt"),
        timestamp_ms=number(record, "ts"),
        link=link_of(record),
        has_stalled=number(record, "stalledCount") > 0,
    )
