"""What holds of one task after every step, whatever the history."""

from collections import Counter
from typing import Any

from tests.properties.image import PARKED_FOR, PLACES, STRUCTURES, TaskView

_READY = ("wait", "prioritized", "parked:freed")
_PERMANENT = {*STRUCTURES, "parked:keys", "parked:newer", "parked:count", "workflow:untold"}


def every_job_stands_where_its_state_says(view: TaskView) -> None:
    """In one place, and that place alone."""
    stand = Counter(job_id for ids in view.places.values() for job_id in ids)
    assert [job_id for job_id, times in stand.items() if times > 1] == [], "jobs in two places"
    assert stand.keys() ^ view.records.keys() == set(), "jobs without a place, or places without a job"
    for place, ids in view.places.items():
        for job_id in ids:
            state = view.state(job_id)
            assert place in PLACES[state], f"{job_id} is {state.value} and stands in {place}"


def counters_equal_reality(view: TaskView) -> None:
    """Parked jobs are counted, and every concurrency key with parked jobs is known."""
    assert int(view.value("parked:count") or 0) == len(view.places["parked"])
    assert set(view.ids("parked:keys")) == set(view.named(PARKED_FOR))
    assert set(view.ids("parked:newer")) <= set(view.places["delayed"])
    for key in view.named("collect:"):
        if key.endswith(":meta"):
            items: Any = view.value(f"collect:{key.removesuffix(':meta')}:items") or []
            assert int(view.value(f"collect:{key}")["count"]) == len(items)


def as_many_slots_are_held_as_jobs_run(view: TaskView) -> None:
    """Of each concurrency key; holds as long as no other program takes or leaves slots."""
    running = Counter(view.text(job_id, "concurrencyKey") for job_id in view.places["active"])
    del running[""]
    held = {key: int(view.value(f"conc:{key}")) for key in view.named("conc:")}
    assert held == dict(running), f"held {held}, running {dict(running)}"


def a_parked_job_has_somebody_to_free_it(view: TaskView) -> None:
    """A job of its key that runs, or one that may run next and then frees the others."""
    competing = {view.text(job_id, "concurrencyKey") for job_id in view.where("active", *_READY)}
    stuck = set(view.named(PARKED_FOR)) - competing
    assert not stuck, f"nobody will free the jobs parked for {stuck}"


def a_deduplication_key_names_a_job_that_has_not_ended(view: TaskView) -> None:
    """Unless it is meant to outlast its job, and then it ends by itself."""
    for name in view.named("dedup:"):
        stored = view.keys[f"dedup:{name}"]
        if stored.ends_at_ms is None:
            owner = stored.value.decode()
            assert owner in view.records, f"{name} belongs to {owner}, which is gone"
            assert not view.state(owner).is_terminal, f"{name} belongs to {owner}, which has ended"


def leases_belong_to_active_jobs(view: TaskView) -> None:
    """Also those of jobs that the next sweep will look at."""
    active = set(view.places["active"])
    assert view.leases().keys() <= active, f"leases of {view.leases().keys() - active}"
    assert (view.value("stalled") or frozenset()) <= active


def keys_end_or_belong_to_somebody(view: TaskView) -> None:
    """No key without a lifetime, unless it is permanent or goes with a job, a slot or a batch."""
    for name, stored in view.keys.items():
        owner, _, rest = name.partition(":")
        goes_with = owner in view.records and rest in {"", "logs"}
        is_owned = owner in {"dedup", "conc"} or name.startswith(PARKED_FOR) or name.endswith((":items", ":meta"))
        assert stored.ends_at_ms is not None or name in _PERMANENT or goes_with or is_owned, f"{name} stays for ever"


def a_batch_has_a_job_that_will_run_it(view: TaskView, cancelled: set[str]) -> None:
    """As long as it holds items; unless its job was cancelled, and then the next push names another."""
    alive = {view.text(job_id, "collectKey") for job_id in view.records if not view.state(job_id).is_terminal}
    forgotten = open_batches(view) - alive - cancelled
    assert not forgotten, f"no job will run the batch of {forgotten}"


def open_batches(view: TaskView) -> set[str]:
    """The keys under which something gathers."""
    return {name.removesuffix(":items") for name in view.named("collect:") if name.endswith(":items")}


def ready_work_is_announced(view: TaskView, *, paced: bool, awake: bool) -> None:
    """A waiting worker would look in time.

    Args:
        paced: The last exchange may have had to put ready work off to its instant.
        awake: A worker has consumed the token, and has not looked yet.
    """
    marker = view.marker()
    if awake:
        return
    if view.where(*_READY):
        assert marker == 0 or (paced and marker is not None), f"ready work, and a worker would look at {marker}"
    elif view.places["delayed"]:
        first_due_ms = view.value("delayed")[0][1]
        assert marker is not None, f"due at {first_due_ms}, and no worker would look"
        assert marker <= first_due_ms, f"due at {first_due_ms}, and a worker would look at {marker}"


ALWAYS = (
    every_job_stands_where_its_state_says,
    counters_equal_reality,
    a_deduplication_key_names_a_job_that_has_not_ended,
    leases_belong_to_active_jobs,
    keys_end_or_belong_to_somebody,
)
UNDISTURBED = (as_many_slots_are_held_as_jobs_run, a_parked_job_has_somebody_to_free_it)
