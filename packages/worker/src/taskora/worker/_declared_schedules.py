"""The schedules that a worker declares in code."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final, TypedDict, Unpack

from taskora.contracts import Duration, OnMissed, Schedule, TaskContract, UsageError, is_contract
from taskora.producer import check_schedule_name, schedule_record


class ScheduleOptions(TypedDict, total=False):
    """When a task runs by itself; see `Schedule`.

    Keys:
        every: The interval.
        cron: The expression; either this or an interval.
        timezone: The zone of the expression; UTC by default.
        data: Input of every run.
        on_missed: What happens to runs that were due while no scheduler ran: `"skip"`, `"catch-up"` or
            `"catch-up-limit:N"`.
        overlap: Whether a run may be dispatched while the one before it has not ended.
        start: No run is due before.
        end: No run is due after.
        jitter: Each run starts up to this much later.
    """

    every: Duration | None
    cron: str | None
    timezone: str | None
    data: object
    on_missed: OnMissed
    overlap: bool
    start: datetime | None
    end: datetime | None
    jitter: Duration | None


class DeclaredSchedules(Collection[str]):
    """What a worker declares, by name. Refuses what could not be stored or run."""

    def __init__(self) -> None:
        self._declared: Final[dict[str, tuple[TaskContract[Any, Any], Schedule]]] = {}

    def add(self, name: str, contract: TaskContract[Any, Any], schedule: Schedule) -> None:
        """Declares a schedule.

        Raises:
            UsageError: the name is taken or none, the task collects, or this is no contract or no schedule.
            ValidationError: the data do not fit the contract.
        """
        if not is_contract(contract):
            raise UsageError.for_field("contract", contract, "a TaskContract, made by define_task or static_contract")
        if check_schedule_name(name) in self._declared:
            raise UsageError(f"schedule {name!r} is declared already in this worker")
        schedule_record(contract, schedule)
        self._declared[name] = contract, schedule

    def declare(self, name: str, contract: TaskContract[Any, Any], **options: Unpack[ScheduleOptions]) -> None:
        """Declares a schedule by its options."""
        unknown = sorted(options.keys() - ScheduleOptions.__optional_keys__)
        if unknown:
            raise TypeError(f"a schedule has no option {', '.join(map(repr, unknown))}")
        self.add(name, contract, Schedule(**options))

    def items(self) -> list[tuple[str, TaskContract[Any, Any], Schedule]]:
        """All of them."""
        return [(name, contract, schedule) for name, (contract, schedule) in self._declared.items()]

    def __contains__(self, name: object) -> bool:
        return name in self._declared

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)
