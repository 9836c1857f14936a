"""Key names, spelled out."""

import pytest

from taskora.contracts import UsageError
from taskora.wire import Keyspace

TASK_KEYS = [
    ("wait_key", "wait"),
    ("prioritized_key", "prioritized"),
    ("active_key", "active"),
    ("delayed_key", "delayed"),
    ("completed_key", "completed"),
    ("failed_key", "failed"),
    ("expired_key", "expired"),
    ("cancelled_key", "cancelled"),
    ("stalled_key", "stalled"),
    ("marker_key", "marker"),
    ("events_key", "events"),
    ("cancel_channel", "cancel"),
    ("prefix", ""),
]
PREFIXES = pytest.mark.parametrize(("prefix", "base"), [(None, "taskora:"), ("tenant-a", "taskora:tenant-a:")])


@PREFIXES
@pytest.mark.parametrize(("builder", "name"), TASK_KEYS)
def test_keys_of_a_task(prefix: str | None, base: str, builder: str, name: str) -> None:
    assert getattr(Keyspace(prefix).task("send-email"), builder) == f"{base}{{send-email}}:{name}"


@PREFIXES
def test_keys_of_a_job(prefix: str | None, base: str) -> None:
    task = Keyspace(prefix).task("x")
    job_id = "0cec5281-0ab4-4be5-9529-951429da30ce"
    assert task.job_key(job_id) == f"{base}{{x}}:{job_id}"
    assert task.lock_key(job_id) == f"{base}{{x}}:{job_id}:lock"
    assert task.logs_key(job_id) == f"{base}{{x}}:{job_id}:logs"


@PREFIXES
def test_keys_of_an_application(prefix: str | None, base: str) -> None:
    space = Keyspace(prefix)
    assert space.base == base
    assert space.meta_key == f"{base}meta"
    assert space.migration_lock_key == f"{base}migration:lock"
    assert space.schedules_key == f"{base}schedules"
    assert space.schedules_next_key == f"{base}schedules:next"
    assert space.schedules_lock_key == f"{base}schedules:lock"
    assert space.task_pattern == f"{base}{{*}}:events"


@pytest.mark.parametrize("state", ["completed", "failed", "expired", "cancelled"])
def test_each_final_state_has_its_set(state: str) -> None:
    assert Keyspace().task("t").finished_key(state) == f"taskora:{{t}}:{state}"


@PREFIXES
def test_a_stream_names_its_task(prefix: str | None, base: str) -> None:
    space = Keyspace(prefix)
    assert space.task_of(space.task("mail.send").events_key) == "mail.send"
    for stranger in (f"{base}meta", "elsewhere:{t}:events", f"{base}{{t}}:wait"):
        with pytest.raises(UsageError, match="not an event stream"):
            space.task_of(stranger)


def test_a_prefix_that_would_break_keys_is_refused() -> None:
    with pytest.raises(UsageError):
        Keyspace("a{b}")


def test_a_task_has_its_keys_once() -> None:
    space = Keyspace()
    assert space.task("t") is space.task("t")
