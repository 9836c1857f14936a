"""Schedules, as those see them who manage them."""

from __future__ import annotations

import builtins
from typing import Any, Final, TypeVar, Unpack, overload

from taskora.contracts import (
    Schedule,
    ScheduleOptions,
    TaskContract,
    UsageError,
    check_schedule_options,
    is_contract,
    static_contract,
)
from taskora.producer._async.handle import AsyncJobHandle
from taskora.producer._async_session import AsyncSession
from taskora.producer._dispatching import DispatchRules
from taskora.producer._results import ResultReader
from taskora.producer._schedule_changes import changed
from taskora.producer._schedule_info import ScheduleInfo
from taskora.producer._schedules import (
    check_schedule_name,
    find_schedule,
    list_schedules,
    pause_schedule,
    put_schedule,
    readable_schedule,
    remove_schedule,
    resume_schedule,
    schedule_record,
    update_schedule,
)
from taskora.wire import Enqueue, NewJob, random_id

O = TypeVar("O")  # noqa: E741 - output


class AsyncSchedules:
    """What runs by itself: schedules that workers declare, and those that are created here.

    Changes take effect with the next look of the scheduler that leads, about a second later.
    """

    def __init__(self, session: AsyncSession, rules: DispatchRules) -> None:
        self._session: Final = session
        self._rules: Final = rules

    async def list(self) -> builtins.list[ScheduleInfo]:
        """All schedules, by name; damaged ones as well, with their problem."""
        return await self._session.drive(list_schedules())

    async def find(self, name: str) -> ScheduleInfo | None:
        """One schedule; None when there is none of that name."""
        return await self._session.drive(find_schedule(name))

    async def create(
        self, name: str, contract: TaskContract[Any, Any], schedule: Schedule, *, declared: bool = False
    ) -> ScheduleInfo:
        """Creates a schedule, or changes the one of that name to this.

        One that is the same already keeps its next run, its history, and its pause. One that differs keeps its
        history and its pause. `declared` is for workers: code declares it.

        Raises:
            UsageError: the name, the schedule or the contract breaks a rule.
            ValidationError: the data do not fit the contract.
        """
        if not is_contract(contract):
            raise UsageError.for_field("contract", contract, "a TaskContract, made by define_task or static_contract")
        record = schedule_record(contract, schedule, validate=self._rules.validate, declared=declared)
        return await self._session.drive(put_schedule(check_schedule_name(name), record))

    async def pause(self, name: str) -> bool:
        """Makes a schedule be due no more, until it is resumed; false when there is none of that name."""
        return await self._session.drive(pause_schedule(name))

    async def resume(self, name: str) -> bool:
        """Makes a paused schedule be due again, counted from now; false when there is none of that name.

        Raises:
            UsageError: its record is damaged.
        """
        return await self._session.drive(resume_schedule(name))

    async def update(self, name: str, **changes: Unpack[ScheduleOptions]) -> ScheduleInfo:
        """Changes options of a schedule; those that are not named stay.

        An interval replaces an expression and its zone, and the other way round. Where the times change, the next run
        is counted from now. `data` are plain JSON values; whether they fit the task is not known here. What code
        declares, it declares again when its worker starts.

        Raises:
            UsageError: there is no such schedule, or a change breaks a rule.
        """
        check_schedule_options(changes)
        return await self._session.drive(update_schedule(name, lambda schedule: changed(schedule, changes)))

    async def remove(self, name: str) -> bool:
        """Deletes a schedule; false when there is none of that name. Jobs that it has dispatched stay."""
        return await self._session.drive(remove_schedule(name))

    @overload
    async def trigger(self, name: str) -> AsyncJobHandle[Any]: ...
    @overload
    async def trigger(self, name: str, contract: TaskContract[Any, O]) -> AsyncJobHandle[O]: ...
    async def trigger(self, name: str, contract: TaskContract[Any, Any] | None = None) -> AsyncJobHandle[Any]:
        """Runs a schedule's task now, with its data; when it is due does not change. A contract types the result.

        Raises:
            UsageError: there is no such schedule, it is damaged, or it runs another task than that of the contract.
        """
        record = await self._session.drive(readable_schedule(name))
        task: TaskContract[Any, Any] = contract or static_contract(record.task)
        if task.name != record.task:
            raise UsageError(f"schedule {name!r} runs task {record.task!r}, not {task.name!r}")
        untyped: TaskContract[Any, Any] = static_contract(record.task)
        data = self._session.payloads(untyped).input.encode(record.schedule.data)
        job = NewJob(job_id=random_id(), data=data, ttl_ms=record.ttl_ms)
        dispatch = Enqueue(task=record.task, version=record.version, max_attempts=record.max_attempts, jobs=(job,))
        await self._session.run(dispatch)
        reader = ResultReader(record.task, self._session.payloads(task).output)
        return AsyncJobHandle(self._session, reader, job.job_id)
