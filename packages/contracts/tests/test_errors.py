"""What errors say, carry and survive."""

import copy
import pickle
import unittest
from typing import cast

from taskora import contracts
from taskora.contracts import (
    BackendError,
    BatchFullError,
    ContractError,
    DuplicateJobError,
    Duration,
    ExpiredError,
    Issue,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    RetryError,
    StalledError,
    TaskoraError,
    ThrottledError,
    UnknownJobError,
    UsageError,
    ValidationError,
    WireVersionCode,
    WireVersionError,
    WireVersions,
    preview,
)

OURS = WireVersions(version=6, min_compat=6)
MISSING = Issue(path=("user", "tags", 0, "name"), message="Field required", rule="missing")
NOT_AN_INT = Issue(path=("age",), message="Input should be an integer", rule="int_type", value="'x'")

# One line for each error: what is raised, exactly what it says, and what it carries.
EXAMPLES: list[tuple[TaskoraError, str, dict[str, object]]] = [
    (TaskoraError("anything"), "anything", {}),
    (ContractError("two schedules"), "two schedules", {"field": None, "value": None, "rule": None}),
    (UsageError("closed already"), "closed already", {"field": None, "value": None, "rule": None}),
    (
        UsageError.for_field("priority", "high", "an integer"),
        "priority must be an integer, got 'high'",
        {"field": "priority", "value": "'high'", "rule": "an integer"},
    ),
    (
        ValidationError(task="send-email", subject="output", issues=(MISSING, NOT_AN_INT)),
        (
            "Validation failed for the output of task 'send-email':\n"
            "  user.tags[0].name: Field required (rule missing)\n"
            "  age: Input should be an integer (rule int_type, got 'x')"
        ),
        {"task": "send-email", "subject": "output", "issues": (MISSING, NOT_AN_INT)},
    ),
    (
        ValidationError(issues=(Issue(path=(), message="not a list", rule="list_type", value="1"),)),
        "Validation failed for the input:\n  (root): not a list (rule list_type, got 1)",
        {"task": None, "subject": "input"},
    ),
    (RetryError(), "Retry requested after its backoff", {"delay_ms": None, "reason": None}),
    (
        RetryError(delay="1m30s", reason="rate limited"),
        "Retry requested in 1m30s: rate limited",
        {"delay_ms": 90_000, "reason": "rate limited"},
    ),
    (RetryError(delay=0), "Retry requested in 0s", {"delay_ms": 0}),
    (
        JobTimeoutError(job_id="j1", timeout_ms=200),
        "Job j1 did not complete within 200ms; give the task a longer timeout, or its jobs less to do",
        {"job_id": "j1", "task": None, "timeout_ms": 200, "during": "run"},
    ),
    (
        JobTimeoutError(job_id="j1", task="t", timeout_ms=200, during="wait"),
        ("Job j1 of task 't' did not complete within 200ms; the job goes on; wait for longer, or look at its state"),
        {"job_id": "j1", "task": "t", "timeout_ms": 200, "during": "wait"},
    ),
    (
        JobFailedError(job_id="j1", task="t", error="boom", attempts=3),
        "Job j1 of task 't' failed after 3 attempts: boom",
        {"job_id": "j1", "task": "t", "error": "boom", "attempts": 3},
    ),
    (
        JobFailedError(job_id="j1", task=None, error="boom", attempts=1),
        "Job j1 failed after 1 attempt: boom",
        {"attempts": 1},
    ),
    (
        JobFailedError(job_id="j1", task="t", error=""),
        "Job j1 of task 't' failed: no error was recorded",
        {"error": "", "attempts": None},
    ),
    (
        JobCancelledError(job_id="j1", task="t", reason="user left"),
        "Job j1 of task 't' was cancelled: user left",
        {"job_id": "j1", "task": "t", "reason": "user left"},
    ),
    (
        JobTimeoutError(job_id="w1", task="a", timeout_ms=200, during="wait", workflow_id="w1"),
        "Workflow w1 did not complete within 200ms; the workflow goes on; wait for longer, or look at its state",
        {"workflow_id": "w1"},
    ),
    (
        JobFailedError(job_id="j1", task="t", error="boom", workflow_id="w1"),
        "Workflow w1 failed at job j1 of task 't': boom",
        {"job_id": "j1", "workflow_id": "w1"},
    ),
    (
        JobFailedError(job_id="w1", task="a", error="boom", workflow_id="w1"),
        "Workflow w1 failed: boom",
        {"workflow_id": "w1"},
    ),
    (
        JobCancelledError(job_id="w1", task="a", reason="enough", workflow_id="w1"),
        "Workflow w1 was cancelled: enough",
        {"workflow_id": "w1"},
    ),
    (
        UnknownJobError(job_id="w1", workflow_id="w1"),
        (
            "No workflow 'w1': it was never dispatched, or its record is gone "
            "(a day after it completed, seven after another end); check the id and the prefix"
        ),
        {"job_id": "w1", "task": None, "workflow_id": "w1"},
    ),
    (JobCancelledError(job_id="j1"), "Job j1 was cancelled: no reason given", {"reason": None}),
    (
        ExpiredError(job_id="j1", task="t"),
        ("Job j1 of task 't' expired before a worker started it; add workers, or give it a longer time to live"),
        {"job_id": "j1", "task": "t"},
    ),
    (
        StalledError(job_id="j1", task="t", count=2, max_count=1),
        (
            "Job j1 of task 't' stalled 2 times (limit 1): its worker died, "
            "or was blocked for longer than its lease; "
            "look for crashes, lack of memory, and code that blocks the event loop"
        ),
        {"job_id": "j1", "task": "t", "count": 2, "max_count": 1},
    ),
    (
        ThrottledError(key="user:1", task="t"),
        (
            "Task 't' was not dispatched: throttle key 'user:1' has reached its limit for this window; "
            "dispatch again later, or raise the limit"
        ),
        {"key": "user:1", "task": "t"},
    ),
    (
        BatchFullError(key="room:1", task="t", max_items=3),
        (
            "Task 't' was not dispatched: the batch of collect key 'room:1' is full, it holds 3 items "
            "and no worker has taken it; run a worker that collects this task, or raise collect.max_items"
        ),
        {
            "key": "room:1",
            "task": "t",
            "field": "collect.max_items",
            "value": "3",
            "rule": "more than the 3 items that wait for a worker",
        },
    ),
    (
        DuplicateJobError(key="user:1", existing_id="j0", task="t"),
        (
            "Task 't' was not dispatched: job 'j0' holds deduplication key 'user:1'; "
            "follow that job, or dispatch again when it has finished"
        ),
        {"key": "user:1", "existing_id": "j0", "task": "t"},
    ),
    (
        UnknownJobError(job_id="j1", task="t"),
        (
            "No job 'j1' in task 't': it was never dispatched, or retention has removed it; "
            "check the id and the prefix, or keep finished jobs for longer"
        ),
        {"job_id": "j1", "task": "t"},
    ),
    (
        UnknownJobError(job_id="j1"),
        (
            "No job 'j1' in any task: it was never dispatched, or retention has removed it; "
            "check the id and the prefix, or keep finished jobs for longer"
        ),
        {"job_id": "j1", "task": None},
    ),
    (
        WireVersionError(code="theirs_too_new", ours=OURS, theirs=WireVersions(version=8, min_compat=7)),
        (
            "Wire versions do not fit (theirs_too_new): the server holds version 8 (compatible back to 7), "
            "this process speaks version 6 (compatible back to 6); upgrade taskora in this process"
        ),
        {"code": "theirs_too_new", "ours": OURS, "theirs": WireVersions(version=8, min_compat=7)},
    ),
    (
        WireVersionError(
            code="theirs_too_old",
            ours=OURS,
            theirs=WireVersions(version=5, min_compat=4, written_by="taskora-wire-5"),
        ),
        (
            "Wire versions do not fit (theirs_too_old): "
            "the server holds version 5 (compatible back to 4, written by taskora-wire-5), "
            "this process speaks version 6 (compatible back to 6); "
            "upgrade the processes that share this server, or use another prefix or database"
        ),
        {"code": "theirs_too_old"},
    ),
    (BackendError("out of memory"), "out of memory", {}),
]


class Messages(unittest.TestCase):
    def test_every_error_says_what_happened_with_the_values_and_what_to_do(self) -> None:
        for error, text, attributes in EXAMPLES:
            with self.subTest(type(error).__name__, text=text):
                self.assertEqual(str(error), text)
                self.assertEqual({name: getattr(error, name) for name in attributes}, attributes)

    def test_every_public_error_has_an_example(self) -> None:
        public = {getattr(contracts, name) for name in contracts.__all__ if name.endswith("Error")}
        self.assertEqual({type(error) for error, _, _ in EXAMPLES}, public)

    def test_the_tree_in_the_docstring_is_the_tree(self) -> None:
        documented = str(TaskoraError.__doc__)
        for error, _, _ in EXAMPLES:
            with self.subTest(type(error).__name__):
                self.assertIsInstance(error, TaskoraError)
                self.assertIn(type(error).__name__, documented)

    def test_wire_versions_that_do_not_fit_each_have_their_remedy(self) -> None:
        cases: list[tuple[WireVersionCode, WireVersions, str]] = [
            ("theirs_too_new", WireVersions(version=7, min_compat=7), "upgrade taskora in this process"),
            (
                "theirs_too_old",
                WireVersions(version=5, min_compat=5),
                "upgrade the processes that share this server, or use another prefix or database",
            ),
            (
                "invalid_meta",
                WireVersions(version="six", min_compat=""),
                "the meta record is damaged or not taskora's; use another prefix or database",
            ),
        ]
        for code, theirs, remedy in cases:
            with self.subTest(code):
                text = str(WireVersionError(code=code, ours=OURS, theirs=theirs))
                self.assertIn(f"({code}): the server holds version {theirs.version} ", text)
                self.assertTrue(text.endswith(f"; {remedy}"), text)

    def test_a_retry_needs_a_delay_that_is_a_duration(self) -> None:
        with self.assertRaisesRegex(UsageError, "^delay must be a duration: .*, got 'later'$"):
            RetryError(delay="later")
        with self.assertRaisesRegex(UsageError, "^delay must be zero or a positive duration, got -1$"):
            RetryError(delay=cast("Duration", -1))


class Kinds(unittest.TestCase):
    def test_some_errors_are_also_the_builtin_that_they_refine(self) -> None:
        self.assertIsInstance(ContractError("x"), ValueError)
        self.assertIsInstance(UsageError("x"), ValueError)
        self.assertIsInstance(JobTimeoutError(job_id="j", timeout_ms=1), TimeoutError)

    def test_whose_fault_it_was_is_never_ambiguous(self) -> None:
        self.assertNotIsInstance(ContractError("x"), UsageError)
        self.assertNotIsInstance(UsageError("x"), ContractError)


class Copies(unittest.TestCase):
    def test_every_error_crosses_a_process_boundary_whole(self) -> None:
        for error, text, _ in EXAMPLES:
            error.add_note("seen in the billing service")
            for name, clone in [
                ("pickle", pickle.loads(pickle.dumps(error))),
                ("copy", copy.deepcopy(error)),
            ]:
                with self.subTest(type(error).__name__, by=name):
                    self.assertEqual(clone.__class__, error.__class__)
                    self.assertEqual(str(clone), text)
                    self.assertEqual(repr(clone), repr(error))
                    self.assertEqual(vars(clone), vars(error))


class Secrets(unittest.TestCase):
    def test_a_password_never_gets_into_the_message(self) -> None:
        cases = {
            "no answer from redis://me:hunter2@host:6379/0": "no answer from redis://***@host:6379/0",
            "rediss://:hunter2@host and redis://host2": "rediss://***@host and redis://host2",
            "redis://:hun/ter2@x@host:6379": "redis://***@host:6379",
            "redis://host?db=1&password=hunter2&ssl=1": "redis://host?db=1&password=***&ssl=1",
            "redis://host?password=hunter2": "redis://host?password=***",
            "mail admin@example.org": "mail admin@example.org",
        }
        for message, expected in cases.items():
            with self.subTest(message):
                error = BackendError(message)
                self.assertEqual(str(error), expected)
                self.assertNotIn(b"hunter2", pickle.dumps(error))

    def test_a_long_value_is_cut_to_80_characters(self) -> None:
        long = ("x" * 10_000, 10**1000, ["y" * 1000], {"k" * 100: "v" * 100}, [10**5000])
        for value in (*long, object, Unprintable()):
            with self.subTest(type(value).__name__):
                self.assertLessEqual(len(preview(value)), 80)
        self.assertEqual(preview("short"), "'short'")
        self.assertEqual(preview([Unnamed()]), "<list that cannot be shown: RuntimeError>")
        self.assertEqual(len(preview("x" * 10_000)), 80)
        cut = Issue(path=("a",), message="too long", rule="max", value="z" * 500)
        self.assertEqual(str(cut), f"a: too long (rule max, got {'z' * 77}...)")

    def test_a_long_list_of_issues_is_cut_to_ten_but_kept_whole(self) -> None:
        issues = tuple(Issue(path=(number,), message="no", rule="r") for number in range(13))
        error = ValidationError(issues=issues)
        self.assertEqual(error.issues, issues)
        lines = str(error).splitlines()
        self.assertEqual(lines[10:], ["  [9]: no (rule r)", "  ... and 3 more"])


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text for you")


class WithoutName(type):
    def __getattribute__(cls, name: str) -> object:
        if name == "__name__":
            raise RuntimeError("no name for you")
        return super().__getattribute__(name)


class Unnamed(metaclass=WithoutName):
    """Not even `reprlib` shows its instances."""


if __name__ == "__main__":
    unittest.main()
