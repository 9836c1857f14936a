"""Memory and a real server, side by side: every operation goes to both, and after every step both look the same."""

from typing import TypeVar

import redis
from hypothesis.stateful import RuleBasedStateMachine, invariant

from taskora.contracts import JobState
from taskora.wire import FINAL_STATES, CountJobs, CountVersions, JobRecord, Keyspace, LastEvent, ListJobs, Operation
from taskora.wire.backends import MemoryBackend, open_sync_backend
from tests.conformance.clock import VirtualClock
from tests.conformance.subject import TASK, shown
from tests.conformance.tricks import MemoryTricks, RedisTricks, Tricks
from tests.servers import Server

R = TypeVar("R")

PLACES: dict[JobState, set[str]] = {
    JobState.WAITING: {"wait", "prioritized", "freed", "parked"},
    JobState.ACTIVE: {"active"},
    JobState.DELAYED: {"delayed"},
    JobState.RETRYING: {"delayed"},
    **{state: {state.value} for state in FINAL_STATES},
}


class Pair(RuleBasedStateMachine):
    """Does everything twice."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._raw: redis.Redis = server.client()
        self._raw.flushall()
        self.clock = VirtualClock()
        memory = MemoryBackend(clock=self.clock)
        self._memory, self._redis = memory.blocking(), open_sync_backend(server.url, clock=self.clock)
        self.tricks: tuple[Tricks, Tricks] = (MemoryTricks(memory), RedisTricks(self._raw, Keyspace()))
        self._positions = ["0-0", "0-0"]
        self.records: dict[str, JobRecord] = {}
        self.paced = False  # since the last exchange, ready work may have to wait for its instant
        self.slots_disturbed = False  # somebody took or left a slot and did not tell

    def teardown(self) -> None:
        self._redis.close()
        self._raw.close()

    def both(self, operation: Operation[R]) -> R:
        expected, reply = self._redis.run(operation), self._memory.run(operation)
        assert reply == expected, operation
        return reply

    def advance(self, milliseconds: int) -> None:
        for tricks in self.tricks:
            tricks.time_passes(self.clock.now_ms(), milliseconds)
        self.clock.advance(milliseconds)

    def lease_of(self, job_id: str) -> str | None:
        return self.tricks[0].lease_of(TASK, job_id)

    def place(self, *names: str) -> list[str]:
        """Where memory has jobs; an invariant compares it with the server."""
        places = self.tricks[0].ids_by_place(TASK)
        return [job_id for name in names for job_id in places[name]]

    def look(self) -> dict[str, JobRecord]:
        """The jobs that exist."""
        pages = [self.both(ListJobs(task=TASK, state=state, limit=1000)) for state in JobState]
        return {record.job_id: record for page in pages for record in page}

    @invariant()
    def both_look_the_same(self) -> None:
        self.records = self.look()
        self.every_job_stands_where_its_state_says()
        self.flow_control_remembers_the_same()
        self.as_many_slots_are_held_as_jobs_are_active()
        self.a_deduplication_key_names_a_job_that_has_not_ended()
        self.leases_belong_to_active_jobs()
        self.ready_work_is_announced()
        self.the_same_events_happened()

    def every_job_stands_where_its_state_says(self) -> None:
        memory, server = (tricks.ids_by_place(TASK) for tricks in self.tricks)
        assert memory == server
        stand = [(job_id, place) for place, ids in memory.items() for job_id in ids]
        assert sorted(job_id for job_id, _ in stand) == sorted(self.records)
        states = {job_id: record.status.state for job_id, record in self.records.items()}
        assert [job_id for job_id, place in stand if place not in PLACES[states[job_id]]] == []
        counts = self.both(CountJobs(task=TASK))
        assert (counts.active, counts.parked) == (len(memory["active"]), len(memory["parked"]))
        self.both(CountVersions(task=TASK))

    def flow_control_remembers_the_same(self) -> None:
        memory, server = (tricks.flow(TASK) for tricks in self.tricks)
        assert memory == server
        assert memory["records"] == sorted(self.records)
        assert set(memory["newer"]) <= set(self.place("delayed"))

    def as_many_slots_are_held_as_jobs_are_active(self) -> None:
        held = {name: value for name, value in self.tricks[0].flow(TASK)["values"].items() if name.startswith("conc:")}
        active: dict[str, int] = {}
        for job_id in self.place("active"):
            key = self.records[job_id].fields.get("concurrencyKey")
            if key:
                active[f"conc:{key.decode()}"] = active.get(f"conc:{key.decode()}", 0) + 1
        assert self.slots_disturbed or held == {name: str(count) for name, count in active.items()}

    def a_deduplication_key_names_a_job_that_has_not_ended(self) -> None:
        values = self.tricks[0].flow(TASK)["values"]
        for record in self.records.values():
            name = record.fields.get("dedupKey", b"").decode().rpartition("}:")[2]
            if name and values.get(name) == record.job_id:
                assert not record.status.state.is_terminal

    def leases_belong_to_active_jobs(self) -> None:
        memory, server = self.tricks
        tokens = {job_id: memory.lease_of(TASK, job_id) for job_id in self.records}
        active = set(memory.ids_by_place(TASK)["active"])
        assert {job_id for job_id, token in tokens.items() if token is not None} <= active
        assert {job_id: tokens[job_id] for job_id in active} == {
            job_id: server.lease_of(TASK, job_id) for job_id in active
        }
        assert memory.stall_candidates(TASK) == server.stall_candidates(TASK) <= active

    def ready_work_is_announced(self) -> None:
        memory, server = self.tricks
        marker = memory.marker(TASK)
        assert marker == server.marker(TASK)
        if self.place("wait", "prioritized", "freed"):
            assert marker == 0 or (self.paced and marker is not None)
        elif self.place("delayed"):
            assert marker is not None

    def the_same_events_happened(self) -> None:
        histories: list[list[str]] = []
        for index, backend in enumerate((self._memory, self._redis)):
            last = backend.run(LastEvent(task=TASK))
            news = last != self._positions[index]  # a read without news would block for a while
            events = backend.read_events({TASK: self._positions[index]}, block_ms=1, limit=10_000) if news else []
            self._positions[index] = last
            histories.append(shown(events))
        assert histories[0] == histories[1]
