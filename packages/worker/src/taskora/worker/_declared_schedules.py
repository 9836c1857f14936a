"""The schedules that a worker declares in code."""

from collections.abc import Collection, Iterator
from typing import Any, Final, Unpack

from taskora.contracts import (
    Schedule,
    ScheduleOptions,
    TaskContract,
    UsageError,
    check_schedule_options,
    is_contract,
)
from taskora.producer import check_schedule_name, schedule_record


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
        check_schedule_options(options)
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
