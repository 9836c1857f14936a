"""A task bound to a producer: what is dispatched through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar, Unpack

from taskora.contracts import TaskContract, check_job_id
from taskora.producer._dispatching import DispatchItem, DispatchOptions, DispatchRules, build_job, build_jobs
from taskora.producer._results import ResultReader
from taskora.producer._session import Session
from taskora.producer._sync.events import EventStream
from taskora.producer._sync.handle import JobHandle

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output


class BoundTask(Generic[I, O]):
    """A contract, and where its jobs go.

    Attributes:
        contract: What the jobs are.
    """

    def __init__(self, session: Session, contract: TaskContract[I, O], rules: DispatchRules) -> None:
        self.contract: Final = contract
        self._session: Final = session
        self._rules: Final = rules
        self._payloads: Final = session.payloads(contract)
        self._reader: Final = ResultReader(contract.name, self._payloads.output)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.contract.name

    def dispatch(self, data: I, **options: Unpack[DispatchOptions]) -> JobHandle[O]:
        """Enqueues one job, once: a request whose reply was lost is sent again under the same id.

        Calling this again enqueues another job, unless both calls name the same `job_id`.

        Raises:
            ValidationError: the payload does not fit the contract.
            UsageError: an option breaks a rule.
            BackendError: the server cannot be reached, or refuses; the job may have been enqueued.
        """
        job = build_job(self.contract, self._payloads, self._rules, data, **options)
        created = self._session.enqueue(self.contract, job)
        return self._handle(job.job_id, enqueued=created)

    def dispatch_many(self, items: Iterable[I | DispatchItem[I]]) -> list[JobHandle[O]]:
        """Enqueues a batch in one round trip; items made by `item` have options of their own.

        The whole batch is checked before any of it is sent. More than a thousand jobs, or 8 MiB, are sent in several
        parts: when one fails, those before it stay. Items with a `job_id` make the whole safe to repeat.

        Raises:
            ValidationError: a payload does not fit the contract; nothing was sent.
            UsageError: an option breaks a rule; nothing was sent.
            BackendError: the server cannot be reached, or refuses; jobs may have been enqueued.
        """
        jobs = build_jobs(self.contract, self._payloads, self._rules, items)
        flags = self._session.enqueue_many(self.contract, jobs)
        return [self._handle(job.job_id, enqueued=flag) for job, flag in zip(jobs, flags, strict=True)]

    def item(self, data: I, **options: Unpack[DispatchOptions]) -> DispatchItem[I]:
        """A payload with options of its own, for `dispatch_many`."""
        return DispatchItem(data, options)

    def job(self, job_id: str) -> JobHandle[O]:
        """A handle to a job that was dispatched earlier, or elsewhere; whether it exists is not checked."""
        return self._handle(check_job_id(job_id), enqueued=False)

    def events(self) -> EventStream[O]:
        """The events of this task's jobs; see `Producer.events`."""
        return EventStream(self._session, {self.name: self._payloads.output})

    def _handle(self, job_id: str, *, enqueued: bool) -> JobHandle[O]:
        return JobHandle(self._session, self._reader, job_id, enqueued=enqueued)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
