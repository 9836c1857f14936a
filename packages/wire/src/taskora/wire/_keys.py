"""Key names: the only place that knows how a key is spelled."""

from typing import Final

from taskora.contracts import UsageError, check_prefix
from taskora.contracts.records import field, field_names, record

ROOT: Final = "taskora:"


@record(kw_only=False)
class TaskKeys:
    """The keys of one task; the braces are the Redis Cluster hash tag, so all of them share a slot.

    Attribute names are the slot names used in `lua/`.
    """

    prefix: str
    wait_key: str = field(init=False)
    prioritized_key: str = field(init=False)
    active_key: str = field(init=False)
    delayed_key: str = field(init=False)
    completed_key: str = field(init=False)
    failed_key: str = field(init=False)
    expired_key: str = field(init=False)
    cancelled_key: str = field(init=False)
    stalled_key: str = field(init=False)
    marker_key: str = field(init=False)
    events_key: str = field(init=False)
    cancel_channel: str = field(init=False)

    def __post_init__(self) -> None:
        for slot in _TASK_SLOTS:
            name = slot.removesuffix("_key").removesuffix("_channel")
            object.__setattr__(self, slot, self.prefix + name)

    def job_key(self, job_id: str) -> str:
        return self.prefix + job_id

    def lock_key(self, job_id: str) -> str:
        return f"{self.prefix}{job_id}:lock"

    def logs_key(self, job_id: str) -> str:
        return f"{self.prefix}{job_id}:logs"

    def finished_key(self, state: str) -> str:
        """The set of jobs that ended in `state`."""
        return self.prefix + state


_TASK_SLOTS: Final = field_names(TaskKeys)[1:]


class Keyspace:
    """All keys of one application prefix."""

    __slots__ = ("_tasks", "base")

    def __init__(self, prefix: str | None = None) -> None:
        if prefix is not None:
            check_prefix(prefix)
        self.base: Final = ROOT if prefix is None else f"{ROOT}{prefix}:"
        self._tasks: dict[str, TaskKeys] = {}

    @property
    def meta_key(self) -> str:
        return f"{self.base}meta"

    @property
    def migration_lock_key(self) -> str:
        return f"{self.base}migration:lock"

    def workflow_key(self, workflow_id: str) -> str:
        return f"{self.base}wf:{{{workflow_id}}}"

    @property
    def running_workflows_key(self) -> str:
        return f"{self.base}workflows:{{index}}:running"

    @property
    def ended_workflows_key(self) -> str:
        return f"{self.base}workflows:{{index}}:ended"

    @property
    def workflow_tries_key(self) -> str:
        return f"{self.base}workflows:{{index}}:tries"

    @property
    def schedules_key(self) -> str:
        return f"{self.base}schedules"

    @property
    def schedules_next_key(self) -> str:
        return f"{self.base}schedules:next"

    @property
    def schedules_lock_key(self) -> str:
        return f"{self.base}schedules:lock"

    @property
    def task_pattern(self) -> str:
        """Glob that matches the event stream of every task."""
        return f"{self.base}{{*}}:events"

    def task(self, name: str) -> TaskKeys:
        keys = self._tasks.get(name)
        if keys is None:
            keys = self._tasks[name] = TaskKeys(f"{self.base}{{{name}}}:")
        return keys

    def task_of(self, events_key: str) -> str:
        """The task that an event stream belongs to.

        Raises:
            UsageError: the key is not the event stream of a task of this prefix.
        """
        start, end = f"{self.base}{{", "}:events"
        if not (events_key.startswith(start) and events_key.endswith(end)):
            raise UsageError(f"key {events_key!r} is not an event stream under {self.base!r}")
        return events_key[len(start) : -len(end)]
