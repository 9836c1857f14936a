"""A task bound to a producer: what is dispatched through."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, Unpack, overload

from taskora.contracts import UNSET, Collect, Duration, Step, TaskContract, check_job_id
from taskora.producer._collecting import (
    CollectInfo,
    describe_batch,
    push,
    push_item,
    read_batch,
    readable_items,
)
from taskora.producer._dispatching import (
    AnyJob,
    DispatchItem,
    DispatchOptions,
    DispatchRules,
    Reply,
    data_and_options,
    raise_first_rejection,
    raise_rejection,
)
from taskora.producer._flow_control import followed
from taskora.producer._job_building import JobBuilder
from taskora.producer._payload import Payloads
from taskora.producer._results import ResultReader
from taskora.producer._session import Session
from taskora.producer._streaming import Gathering, Items, StreamBatch, stream
from taskora.producer._sync.handle import JobHandle
from taskora.wire import AlikeJobs, NewJob, PushCollect

if TYPE_CHECKING:
    from taskora.producer._sync.events import EventStream
    from taskora.producer._sync.workflow import WorkflowHandle

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
        self._jobs: Final = JobBuilder(contract, self._payloads, rules)
        self._reader: Final = ResultReader(contract.name, self._payloads.output)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.contract.name

    @property
    def payloads(self) -> Payloads[I, O]:
        """How inputs and outputs become bytes."""
        return self._payloads

    @overload
    def s(self) -> Step[I, O]: ...
    @overload
    def s(self, data: I) -> Step[object, O]: ...
    def s(self, data: Any = UNSET) -> Step[Any, O]:
        """A step of a workflow: with its input, or without one, to be given what the step before it gives."""
        return self.contract.s() if data is UNSET else self.contract.s(data)

    def map(
        self,
        items: Iterable[I],
        *,
        ttl: Duration | None = None,
        name: str | None = None,
        workflow_id: str | None = None,
    ) -> WorkflowHandle[list[O]]:
        """Runs a job per item, all side by side, as one workflow; its result is the list of theirs, in order.

        The options are those of `Producer.dispatch`.

        Raises:
            UsageError: there are no items, or too many; or `workflow_id` is that of another workflow.
            ValidationError: an item does not fit the contract; nothing was sent.
            BackendError: the server cannot be reached, or refuses; the workflow may run.
        """
        from taskora.producer._sync.workflow import dispatch_workflow
        from taskora.producer._workflow_building import one_by_one, plan_workflow

        plan = plan_workflow(one_by_one(self.contract, items), self._payloads_of, self._rules, name=name)
        return dispatch_workflow(self._session, plan, ttl, workflow_id)

    def chunk(
        self,
        items: Iterable[I],
        *,
        size: int,
        ttl: Duration | None = None,
        name: str | None = None,
        workflow_id: str | None = None,
    ) -> WorkflowHandle[list[O]]:
        """Runs a job per item, `size` of them side by side, and the next ones when all of those are done.

        The result is the list of all results, in order. Raises as `map` does.
        """
        from taskora.producer._sync.workflow import dispatch_workflow
        from taskora.producer._workflow_building import in_batches, plan_batches, plan_workflow

        batches = in_batches(self.contract, items, size)
        plan = plan_batches(plan_workflow(batches, self._payloads_of, self._rules, name=name), self._payloads)
        return dispatch_workflow(self._session, plan, ttl, workflow_id)

    def _payloads_of(self, _contract: TaskContract[Any, Any]) -> Payloads[Any, Any]:
        return self._payloads

    def dispatch(self, data: I, **options: Unpack[DispatchOptions]) -> JobHandle[O]:
        """Enqueues one job, once: a request whose reply was lost is sent again under the same id.

        Calling this again enqueues another job, unless both calls name the same `job_id`.

        For a task that collects, the payload joins the batch of its key instead, and only `skip_validation` may be
        given. The handle names the job that runs the batch if this payload is its last one; otherwise there is no job
        of that name.

        Raises:
            ValidationError: the payload does not fit the contract.
            TypeError: there is no such option.
            UsageError: an option breaks a rule.
            ThrottledError, DuplicateJobError: flow control rejected it, and `raise_on_reject` was given.
            BatchFullError: the task collects, and the batch is full.
            BackendError: the server cannot be reached, or refuses; the job may have been enqueued.
        """
        if self.contract.collect is not None:
            return self._push(self._item(self.contract.collect, data, options))
        job = self._jobs.build(data, options)
        reply = self._session.enqueue(self.contract, job)
        if options and options.get("raise_on_reject", False):
            raise_rejection(self.name, job, reply)
        return self._handle(job, reply)

    def dispatch_many(self, items: Iterable[I | DispatchItem[I]]) -> list[JobHandle[O]]:
        """Enqueues a batch in one round trip; items made by `item` have options of their own.

        Flow control decides about each item in order. Rejected ones give handles that say so; if an item has
        `raise_on_reject`, its rejection is raised when the whole batch has been sent, the first one of several.

        The whole batch is checked before any of it is sent. More than a thousand jobs, or 8 MiB, are sent in several
        parts: when one fails, those before it stay, and the error's notes say which. Items with a `job_id` make the
        whole safe to repeat. `dispatch_stream` is for more items than anybody wants to hold.

        What is raised about one item says which, counted from 0, in its notes.

        Raises:
            ValidationError: a payload does not fit the contract; nothing was sent.
            UsageError: an option breaks a rule; nothing was sent.
            ThrottledError, DuplicateJobError: flow control rejected an item with `raise_on_reject`; the others were
                sent, and those that were accepted stay.
            BatchFullError: the task collects, and a batch is full; payloads before that one have joined theirs.
            BackendError: the server cannot be reached, or refuses; jobs may have been enqueued.
        """
        if self.contract.collect is not None:
            pushes = [self._item(self.contract.collect, *data_and_options(item)) for item in items]
            return [self._push(operation) for operation in pushes]
        batch = list(items)
        jobs = self._jobs.build_all(batch)
        replies = self._session.enqueue_many(self.contract, jobs)
        raise_first_rejection(self.name, batch, jobs, replies)
        return self._handles(jobs, replies)

    def dispatch_stream(self, items: Items[I]) -> Generator[list[JobHandle[O]]]:
        """Enqueues any number of jobs, and never holds more than a few thousand of them.

        Yields the handles of a batch when it has been enqueued: at most a thousand jobs, or about 8 MiB; all batches in
        the order of the items. Items are asked for as batches leave and their handles are taken, no sooner. Nothing
        happens until somebody iterates; who stops early has dispatched what was under way.

        What is raised says at which item, counted from 0, in its notes. Items before one that is refused have been
        enqueued, and their handles yielded. Items with a `job_id` make the whole safe to repeat.

        A rejection by flow control gives a handle that says so, and the stream goes on; with `raise_on_reject` it ends
        the stream when the batch of the item has been sent, whose handles are not yielded then. Payloads of a task that
        collects take a call each.

        Args:
            items: Payloads, or what `item` made; where there is an event loop, also from an asynchronous iterable.

        Raises:
            ValidationError: a payload does not fit the contract.
            UsageError: an option breaks a rule.
            ThrottledError, DuplicateJobError: flow control rejected an item with `raise_on_reject`.
            BatchFullError: the task collects, and a batch is full.
            BackendError: the server cannot be reached, or refuses; jobs may have been enqueued.
        """
        return stream(items, Gathering[I](self._prepared), self._send_batch)

    def _prepared(self, item: I | DispatchItem[I]) -> AnyJob | PushCollect:
        if self.contract.collect is None:
            return self._jobs.build_item(item)
        return self._item(self.contract.collect, *data_and_options(item))

    def _send_batch(self, batch: StreamBatch[I]) -> list[JobHandle[O]]:
        pushes = [dispatch for dispatch in batch.dispatches if isinstance(dispatch, PushCollect)]
        jobs = [dispatch for dispatch in batch.dispatches if not isinstance(dispatch, PushCollect)]
        try:
            if pushes:
                return [self._push(operation) for operation in pushes]
            replies = self._session.enqueue_many(self.contract, jobs)
            raise_first_rejection(self.name, batch.items, jobs, replies)
        except Exception as error:
            error.add_note(batch.place)
            raise
        return self._handles(jobs, replies)

    def _item(self, collect: Collect, data: I, options: DispatchOptions) -> PushCollect:
        return push_item(self.contract, self._payloads, self._rules, collect, data, options)

    def _push(self, operation: PushCollect) -> JobHandle[O]:
        return JobHandle(self._session, self._reader, self._session.drive(push(operation)))

    def peek_collect(self, key: str) -> list[I]:
        """The items that have gathered under a key, oldest first; changes nothing. Unreadable ones are left out.

        Raises:
            UsageError: the task does not collect.
        """
        batch = self._session.drive(read_batch(self.contract, key))
        return readable_items(self._payloads, batch)

    def inspect_collect(self, key: str) -> CollectInfo | None:
        """How many items have gathered under a key, and when; None when there are none.

        Raises:
            UsageError: the task does not collect.
        """
        return describe_batch(self._session.drive(read_batch(self.contract, key)))

    def item(self, data: I, **options: Unpack[DispatchOptions]) -> DispatchItem[I]:
        """A payload with options of its own, for `dispatch_many` and `dispatch_stream`."""
        return DispatchItem(data, options)

    def job(self, job_id: str) -> JobHandle[O]:
        """A handle to a job that was dispatched earlier, or elsewhere; whether it exists is not checked."""
        return JobHandle(self._session, self._reader, check_job_id(job_id), job_id)

    def events(self) -> EventStream[O]:
        """The events of this task's jobs; see `Producer.events`."""
        from taskora.producer._sync.events import EventStream

        return EventStream(self._session, {self.name: self._payloads.output})

    def _handles(self, jobs: Sequence[AnyJob], replies: Sequence[Reply]) -> list[JobHandle[O]]:
        session, reader = self._session, self._reader
        if type(jobs) is AlikeJobs and len(replies) == len(jobs) and all(replies):
            return [JobHandle(session, reader, job_id) for job_id in jobs.job_ids]
        return [
            JobHandle(session, reader, job.job_id)
            if reply is True and isinstance(job, NewJob)  # nearly all of them
            else self._handle(job, reply)
            for job, reply in zip(jobs, replies, strict=True)
        ]

    def _handle(self, job: AnyJob, reply: Reply) -> JobHandle[O]:
        if reply is True and isinstance(job, NewJob):
            return JobHandle(self._session, self._reader, job.job_id)
        return JobHandle(self._session, self._reader, *followed(self.name, job, reply))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
