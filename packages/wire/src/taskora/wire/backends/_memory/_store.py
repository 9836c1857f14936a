"""Everything stored under one prefix, and the one door to it."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeAlias, TypeVar, cast

from taskora.wire import _operations as op
from taskora.wire._backend import Clock
from taskora.wire._events import StreamEvent
from taskora.wire._version import StoredMeta
from taskora.wire.backends._memory import _inspect, _leases, _manage, _steps, _workers, _workflows
from taskora.wire.backends._memory._advance import advance_workflow
from taskora.wire.backends._memory._collect import push_collect, read_collect
from taskora.wire.backends._memory._control import enqueue_controlled
from taskora.wire.backends._memory._describe import describe_workflow
from taskora.wire.backends._memory._enqueue import enqueue
from taskora.wire.backends._memory._exchange import exchange
from taskora.wire.backends._memory._pacing import reserve_start
from taskora.wire.backends._memory._schedules import OF_SCHEDULES, ScheduleBook, dispatch_occurrences, withdraw_claim
from taskora.wire.backends._memory._subscriber import Subscriber
from taskora.wire.backends._memory._task import TaskStore
from taskora.wire.backends._memory._waiting import Sleeper
from taskora.wire.backends._memory._workflows import Workflows

R = TypeVar("R")
M = TypeVar("M")
Transition: TypeAlias = Callable[[TaskStore, Any, int], Any]
OfTask: TypeAlias = Any  # an operation that has a `task`

_TRANSITIONS: Final[dict[type[op.Operation[Any]], Transition]] = {
    op.Enqueue: enqueue,
    op.EnqueueControlled: enqueue_controlled,
    op.DispatchOccurrences: dispatch_occurrences,
    op.WithdrawClaim: withdraw_claim,
    op.PushCollect: push_collect,
    op.ReadCollect: read_collect,
    op.Exchange: exchange,
    op.ReserveStart: reserve_start,
    op.ExtendLeases: _leases.extend_leases,
    op.Report: _leases.report,
    op.RecoverStalled: _leases.recover_stalled,
    op.Cancel: _manage.cancel,
    op.RetryDead: _manage.retry_dead,
    op.RemoveFinished: _manage.remove_finished,
    op.Prune: _manage.prune,
    op.ReadStatuses: _inspect.read_statuses,
    op.ReadJob: _inspect.read_job,
    op.ReadLogs: _inspect.read_logs,
    op.ListJobs: _inspect.list_jobs,
    op.CountJobs: _inspect.count_jobs,
    op.CountVersions: _inspect.count_versions,
    op.LastEvent: _inspect.last_event,
    op.AnnounceWorker: _workers.announce_worker,
    op.ReadWorkers: _workers.read_workers,
    op.EnqueueSteps: _steps.enqueue_steps,
    op.CancelSteps: _steps.cancel_steps,
    op.ReadLinks: _steps.read_links,
    op.ReadUntold: _steps.read_untold,
    op.ForgetUntold: _steps.forget_untold,
    op.PostponeUntold: _steps.postpone_untold,
    op.TellWorkflowEnd: _steps.tell_workflow_end,
}
_WORKFLOW_TRANSITIONS: Final[dict[type[op.Operation[Any]], Callable[[Workflows, Any, int], Any]]] = {
    op.CreateWorkflow: _workflows.create_workflow,
    op.AbandonWorkflow: _workflows.abandon_workflow,
    op.AdvanceWorkflow: advance_workflow,
    op.StopWorkflow: _workflows.stop_workflow,
    op.ReviseWorkflow: _workflows.revise_workflow,
    op.ReadWorkflow: _workflows.read_workflow,
    op.RememberWorkflow: _workflows.remember_workflow,
    op.DueWorkflows: _workflows.due_workflows,
    op.FileWorkflow: _workflows.file_workflow,
    op.ListWorkflows: _workflows.list_workflows,
    op.DescribeWorkflow: describe_workflow,
}


class WallClock:
    """The time of this machine."""

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return time.time_ns() // 1_000_000


class Store:
    """The tasks of one prefix. One lock makes every operation atomic, from whatever thread it comes."""

    def __init__(self, clock: Clock) -> None:
        self.lock: Final = threading.RLock()
        self.clock: Final = clock
        self.migration_lock = b""
        self._meta: StoredMeta | None = None
        self._tasks: dict[str, TaskStore] = {}
        self.schedules = ScheduleBook()
        self._workflows = Workflows()

    def task(self, name: str) -> TaskStore:
        """What is stored of a task."""
        found = self._tasks.get(name)
        if found is None:
            found = self._tasks[name] = TaskStore(name)
        return found

    def execute(self, operation: op.Operation[R]) -> R:
        """Carries out one operation."""
        transition = _TRANSITIONS.get(type(operation))
        with self.lock:
            now_ms = self.clock.now_ms()
            of_schedules = OF_SCHEDULES.get(type(operation))
            if of_schedules is not None:
                return cast("R", of_schedules(self.schedules, operation, now_ms))
            if transition is None:
                return cast("R", self._keyspace_operation(operation, now_ms))
            task = self.task(cast("OfTask", operation).task)
            reply = transition(task, operation, now_ms)
            task.deliver()
            return cast("R", reply)

    def _keyspace_operation(self, operation: op.Operation[Any], now_ms: int) -> object:
        of_workflow = _WORKFLOW_TRANSITIONS.get(type(operation))
        if of_workflow is not None:
            return of_workflow(self._workflows, operation, now_ms)
        match operation:
            case op.Handshake(ours=ours):
                self._meta = self._meta or StoredMeta(
                    wire_version=str(ours.wire_version),
                    min_compat=str(ours.min_compat),
                    written_by=ours.written_by,
                    written_at=str(now_ms),
                )
                return self._meta
            case op.ReadMigrationLock():
                return self.migration_lock
            case op.ScanTasks():
                with_events = (name for name, task in self._tasks.items() if task.events)
                return op.TaskPage(cursor="0", tasks=tuple(with_events))
            case _:
                raise TypeError(f"{type(operation).__name__} is not an operation that memory can carry out")

    def events_after(self, positions: Mapping[str, str], limit: int) -> list[StreamEvent]:
        """Up to `limit` events of each task after its position."""
        with self.lock:
            streams = [self.task(name).events.after(position, limit) for name, position in positions.items()]
        return [event for stream in streams for event in stream]

    def reading(self, tasks: Iterable[str], sleeper: Sleeper) -> AbstractContextManager[None]:
        """Wakes `sleeper`, in this context, whenever one of the tasks has a new event."""
        return self._member([self.task(name).readers for name in tasks], sleeper)

    def subscribed(self, tasks: Iterable[str], subscriber: Subscriber) -> AbstractContextManager[None]:
        """Tells `subscriber`, in this context, which jobs of the tasks shall stop."""
        return self._member([self.task(name).subscribers for name in tasks], subscriber)

    @contextmanager
    def _member(self, groups: Sequence[set[M]], member: M) -> Generator[None]:
        with self.lock:
            for group in groups:
                group.add(member)
        try:
            yield
        finally:
            with self.lock:
                for group in groups:
                    group.discard(member)

    def next_due_ms(self, task_name: str) -> int | None:
        """When to look for work of a task next: for its token, or for the first of its delayed jobs."""
        with self.lock:
            task = self.task(task_name)
            first = task.delayed.first()
            instants = [task.marker.look_at_ms, None if first is None else int(first[0])]
            now_ms = self.clock.now_ms()
            later = [instant for instant in instants if instant is not None and instant > now_ms]
            return min(later, default=None if task.marker.look_at_ms is None and first is None else now_ms)

    def make_due(self, task_name: str, job_id: str) -> bool:
        """Makes a delayed job due now; false when it is not delayed."""
        with self.lock:
            task = self.task(task_name)
            if job_id not in task.delayed:
                return False
            task.delayed.add(job_id, self.clock.now_ms())
            task.marker.set(0)
            task.deliver()
            return True

    def clear(self) -> None:
        """Forgets everything but the meta record, who waits, and where the event streams end."""
        with self.lock:
            self._tasks = {name: task.emptied() for name, task in self._tasks.items()}
            self.schedules = ScheduleBook()
            self._workflows = Workflows()
            self.migration_lock = b""

    def notify_time(self) -> None:
        """Makes everybody who waits for an instant look at the clock."""
        with self.lock:
            for task in self._tasks.values():
                task.marker.wake_all()
