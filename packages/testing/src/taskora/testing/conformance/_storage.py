"""What an author hands to the suite: an empty storage, its clock, and ways to reach into it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias, TypedDict

import pytest

from taskora.testing.conformance._clock import StorageClock
from taskora.wire import Backend, SyncBackend


class FlowFacts(TypedDict):
    """What flow control has stored beside the jobs of a task.

    Keys:
        values: What has one value: `debounce:KEY`, `dedup:KEY` and `sent:JOB_ID` name a job, `throttle:KEY` and
            `conc:KEY` hold a count. Only what has not ended yet.
        newer: Ids of the jobs that were left for newer workers.
        keys: Concurrency keys with parked jobs, and when each was looked at last.
        items: Payloads that gather, by the key of their batch.
        records: Ids of the jobs that have a record, sorted.
    """

    values: dict[str, str]
    newer: list[str]
    keys: dict[str, int]
    items: dict[str, list[bytes]]
    records: list[str]


class Tricks:
    """Interventions behind the back of a backend: loss, damage, and the work of other programs.

    No operation offers them, so whoever knows how the storage keeps its data writes them. Override what you can:
    cases that need a trick which is not there are skipped, and say which one.
    """

    def lose_lease(self, task: str, job_id: str) -> None:
        """Ends a lease now, as if its worker had died long ago."""
        _unable("lose_lease")

    def lose_record(self, task: str, job_id: str) -> None:
        """Deletes the record of a job and leaves its id where it stands."""
        _unable("lose_record")

    def damage_record(self, task: str, job_id: str, fields: Mapping[str, bytes]) -> None:
        """Overwrites fields of a job with what they should not hold."""
        _unable("damage_record")

    def lock_for_migration(self, text: bytes) -> None:
        """Says that somebody rewrites the keyspace."""
        _unable("lock_for_migration")

    def lease_of(self, task: str, job_id: str) -> str | None:
        """The token that fences a job now."""
        _unable("lease_of")

    def ids_by_place(self, task: str) -> dict[str, list[str]]:
        """Every structure that holds a job at a time, and the ids in it in order.

        Places: `wait`, `prioritized`, `freed`, `parked`, `active`, `delayed`, and one per final state.
        """
        _unable("ids_by_place")

    def stall_candidates(self, task: str) -> set[str]:
        """Whom the next sweep will look at."""
        _unable("stall_candidates")

    def marker(self, task: str) -> int | None:
        """What the wake-up token says, if there is one: 0, or the instant at which something is due."""
        _unable("marker")

    def flow(self, task: str) -> FlowFacts:
        """What flow control has stored beside the jobs."""
        _unable("flow")

    def time_passes(self, before_ms: int, milliseconds: int) -> None:
        """Ends the lifetimes that are over when the clock moves on; nothing to do where all live by that clock."""

    def leave_slot(self, task: str, concurrency_key: str) -> None:
        """Gives a slot back as a program does that knows nothing of parked jobs."""
        _unable("leave_slot")

    def hold_slot(self, task: str, concurrency_key: str) -> None:
        """Takes a slot that nobody will give back."""
        _unable("hold_slot")

    def cancel_as_others_do(self, task: str, job_id: str) -> None:
        """Cancels a waiting job without knowing where parked ones stand."""
        _unable("cancel_as_others_do")


def _unable(trick: str) -> NoReturn:
    pytest.skip(f"the case needs Tricks.{trick}, which this storage does not offer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A storage under test, empty.

    Attributes:
        backend: What is tested: a `Backend`, or in `SyncBackendConformance` a `SyncBackend`.
        clock: The clock that the backend was made with; None if its clock cannot be set, which skips the cases that
            move it or know what it says.
        tricks: Ways to reach into the storage; those that are missing skip the cases that need them.
    """

    backend: Backend | SyncBackend
    clock: StorageClock | None = None
    tricks: Tricks = field(default_factory=Tricks)


OpenStorage: TypeAlias = Callable[[], AbstractAsyncContextManager[Storage]]
