"""Errors that tell a caller what it did wrong, or what refused it. Those about one job are in `_failures`."""

from __future__ import annotations

import re
from reprlib import Repr
from typing import Any, Final, Literal, Self, TypeAlias

from taskora.contracts.records import record

_PREVIEW_LENGTH: Final = 80
_LISTED_ISSUES: Final = 10
# Greedy up to the last "@": a password may itself contain "@" or "/".
_URL_CREDENTIALS: Final = re.compile(r"(?<=://)\S*@")
_URL_PASSWORD_PARAMETER: Final = re.compile(r"(?:(?<=[?&]password=)|(?<=[?&]sentinel_password=))[^&\s]*")

# reprlib, not repr: it never walks the whole of a large payload, and survives a __repr__ that raises.
_preview = Repr()
_preview.maxstring = _preview.maxother = _preview.maxlong = _PREVIEW_LENGTH


def preview(value: object) -> str:
    """Return `repr(value)`, shortened to 80 characters, for use in a message; its type, if it cannot be shown."""
    try:
        return _shortened(_preview.repr(value))
    except Exception as error:  # noqa: BLE001 - a very long integer, or what a program made: the message matters more
        return _shortened(f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>")


def _shortened(text: str) -> str:
    return text if len(text) <= _PREVIEW_LENGTH else f"{text[: _PREVIEW_LENGTH - 3]}..."


def _restore(cls: type[TaskoraError], args: tuple[object, ...]) -> TaskoraError:
    error = cls.__new__(cls)
    error.args = args
    return error


class TaskoraError(Exception):
    """The root of everything that taskora raises on purpose.

    ::

        TaskoraError
        ├── ContractError (ValueError)         a contract, or an option in it, breaks a rule
        ├── UsageError (ValueError)            a call to the library breaks a rule
        ├── ValidationError                    data does not fit the declared type
        ├── RetryError                         raised by a handler: run this attempt again
        ├── JobTimeoutError (TimeoutError)     an attempt, or a wait for a result, took too long
        ├── JobFailedError                     the awaited job failed for good
        ├── JobCancelledError                  the job was cancelled
        ├── ExpiredError                       the job's time to live ended before it started
        ├── StalledError                       workers died holding the job, too often
        ├── ThrottledError                     a dispatch was over its rate limit
        │   └── BatchFullError                 a batch holds as many items as it may
        ├── DuplicateJobError                  a dispatch met a job with the same deduplication key
        ├── UnknownJobError                    no such job, or no longer
        ├── WireVersionError                   this process and the data in the server do not fit together
        └── BackendError                       the server is unreachable, refuses us, or is full

    All of them survive pickling with their attributes, so they cross process boundaries whole.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls cls(*args), which no keyword-only constructor accepts.
        return _restore, (type(self), self.args), self.__dict__


class _RuleError(TaskoraError, ValueError):
    """A value that breaks a rule.

    Attributes:
        field: The parameter or option at fault; None when the message is about something else.
        value: A preview of its value.
        rule: What it must be.
    """

    field: str | None = None
    value: str | None = None
    rule: str | None = None

    @classmethod
    def for_field(cls, field: str, value: object, rule: str) -> Self:
        """Build the error for one field: `<field> must be <rule>, got <value>`."""
        error = cls(f"{field} must be {rule}, got {preview(value)}")
        error.field, error.value, error.rule = field, preview(value), rule
        return error


class ContractError(_RuleError):
    """A contract, or an option in it, breaks a rule. Raised where the contract is defined or implemented."""


class UsageError(_RuleError):
    """A call to the library breaks a rule. Raised before anything is sent to the server."""


@record
class Issue:
    """One way in which data does not fit its declared type.

    Attributes:
        path: Keys and indices that lead to the value; empty for the value as a whole.
        message: What is wrong, for people.
        rule: What was checked, for programs, such as `"missing"` or `"int_type"`.
        value: A preview of the value; empty when there is none. It may end up in logs and in the server.
    """

    path: tuple[str | int, ...]
    message: str
    rule: str
    value: str = ""

    @property
    def location(self) -> str:
        """The path as it would be written in code: `items[0].price`; `(root)` for the value as a whole."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return "".join(parts).removeprefix(".") or "(root)"

    def __str__(self) -> str:
        found = f", got {_shortened(self.value)}" if self.value else ""
        return f"{self.location}: {self.message} (rule {self.rule}{found})"


class ValidationError(TaskoraError):
    """Data does not fit the type that its contract declares. Not retried, as the same data would fail again.

    Attributes:
        issues: Everything that is wrong, at least one.
        task: Name of the task; None outside of one.
        subject: What was checked: `"input"`, `"output"`, ...
        job_id: Id of the job that the data was stored in; None for data that is not stored, or not known to be.
    """

    def __init__(
        self, *, issues: tuple[Issue, ...], task: str | None = None, subject: str = "input", job_id: str | None = None
    ) -> None:
        owner = "" if task is None else f" of task {task!r}"
        owner += "" if job_id is None else f", job {job_id!r}"
        listed = [f"  {issue}" for issue in issues[:_LISTED_ISSUES]]
        if len(issues) > _LISTED_ISSUES:
            listed.append(f"  ... and {len(issues) - _LISTED_ISSUES} more")
        super().__init__("\n".join([f"Validation failed for the {subject}{owner}:", *listed]))
        self.issues = issues
        self.task = task
        self.subject = subject
        self.job_id = job_id

    def for_job(self, job_id: str) -> ValidationError:
        """The same error, naming the job that the data was stored in."""
        return ValidationError(issues=self.issues, task=self.task, subject=self.subject, job_id=job_id)


class ThrottledError(TaskoraError):
    """A dispatch was over the rate limit of its throttle key, and asked to be told by an error.

    Attributes:
        key: The throttle key.
        task: Name of the task.
    """

    def __init__(self, *, key: str, task: str) -> None:
        super().__init__(
            f"Task {task!r} was not dispatched: throttle key {key!r} has reached its limit for this window; "
            "dispatch again later, or raise the limit"
        )
        self.key = key
        self.task = task


class BatchFullError(ThrottledError):
    """A batch holds as many items as it may, and no worker has taken it: another item was refused, and is not stored.

    Attributes:
        key: The key that items gather under.
        task: Name of the task.
        field: The option at fault, `"collect.max_items"`.
        value: What it says.
        rule: What it must be for the dispatch to be accepted.
    """

    def __init__(self, *, key: str, task: str, max_items: int) -> None:
        TaskoraError.__init__(
            self,
            f"Task {task!r} was not dispatched: the batch of collect key {key!r} is full, it holds {max_items} items "
            "and no worker has taken it; run a worker that collects this task, or raise collect.max_items",
        )
        self.key = key
        self.task = task
        self.field = "collect.max_items"
        self.value = str(max_items)
        self.rule = f"more than the {max_items} items that wait for a worker"


class DuplicateJobError(TaskoraError):
    """A dispatch met a job that holds the same deduplication key, and asked to be told by an error.

    Attributes:
        key: The deduplication key.
        existing_id: Id of the job that holds it.
        task: Name of the task.
    """

    def __init__(self, *, key: str, existing_id: str, task: str) -> None:
        super().__init__(
            f"Task {task!r} was not dispatched: job {existing_id!r} holds deduplication key {key!r}; "
            "follow that job, or dispatch again when it has finished"
        )
        self.key = key
        self.existing_id = existing_id
        self.task = task


def _unknown(job_id: str, task: str | None) -> str:
    where = "any task" if task is None else f"task {task!r}"
    return (
        f"No job {job_id!r} in {where}: it was never dispatched, or retention has removed it; "
        "check the id and the prefix, or keep finished jobs for longer"
    )


def _unknown_workflow(workflow_id: str) -> str:
    return (
        f"No workflow {workflow_id!r}: it was never dispatched, or its record is gone "
        "(a day after it completed, seven after another end); check the id and the prefix"
    )


class UnknownJobError(TaskoraError):
    """No job, or no workflow, has this id, or it was removed by retention.

    Attributes:
        job_id: The id that was asked for.
        task: Name of the task it was looked for in; None if in all, and for a workflow.
        workflow_id: The same id, if it was that of a workflow.
    """

    def __init__(self, *, job_id: str, task: str | None = None, workflow_id: str | None = None) -> None:
        super().__init__(_unknown(job_id, task) if workflow_id is None else _unknown_workflow(workflow_id))
        self.job_id = job_id
        self.task = task
        self.workflow_id = workflow_id


WireVersionCode: TypeAlias = Literal["theirs_too_new", "theirs_too_old", "invalid_meta"]

_WIRE_REMEDIES: Final[dict[WireVersionCode, str]] = {
    "theirs_too_new": "upgrade taskora in this process",
    "theirs_too_old": "upgrade the processes that share this server, or use another prefix or database",
    "invalid_meta": "the meta record is damaged or not taskora's; use another prefix or database",
}


@record
class WireVersions:
    """A wire version and the oldest one that can share a server with it.

    A string is what was found where a number should be.
    """

    version: int | str
    min_compat: int | str
    written_by: str = ""

    def __str__(self) -> str:
        writer = f", written by {self.written_by}" if self.written_by else ""
        return f"version {self.version!s} (compatible back to {self.min_compat!s}{writer})"


class WireVersionError(TaskoraError):
    """The data in the server and this process do not fit together. Nothing was read or written.

    Attributes:
        code: Why.
        ours: The versions of this process.
        theirs: The versions recorded in the server.
    """

    def __init__(self, *, code: WireVersionCode, ours: WireVersions, theirs: WireVersions) -> None:
        super().__init__(
            f"Wire versions do not fit ({code}): the server holds {theirs}, this process speaks {ours}; "
            f"{_WIRE_REMEDIES[code]}"
        )
        self.code: WireVersionCode = code
        self.ours = ours
        self.theirs = theirs


class BackendError(TaskoraError):
    """The server is unreachable, refuses us, is out of memory, or is too old.

    Passwords in URLs are blotted out of the message.

    Attributes:
        is_permanent: The same request would fail again: the server understood and refused it, or what is stored is
            damaged. Otherwise it may succeed later.
    """

    def __init__(self, message: str, *, is_permanent: bool = False) -> None:
        redacted = _URL_CREDENTIALS.sub("***@", message)
        super().__init__(_URL_PASSWORD_PARAMETER.sub("***", redacted))
        self.is_permanent = is_permanent
