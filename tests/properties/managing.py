"""Rules of operators, of retention and of new processes: cancelling, reviving, deleting, meeting."""

import json
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from taskora.wire import FINAL_STATES, Cancel, CancelReply, FinalState, Prune, RemoveFinished, RetryDead
from taskora.wire._operations import Handshake, ReadMigrationLock
from taskora.wire._version import Meta
from tests.properties.pair import Held, Name, Pair, anything_ended, anything_failed, claims, jobs, tasks

BY_NAME: Final[dict[str, FinalState]] = {state.value: state for state in FINAL_STATES}
final_states = st.sampled_from([*BY_NAME])
META: Final = {version: Meta(wire_version=version, min_compat=5, written_by=f"program-{version}") for version in (6, 7)}
LOCK: Final = json.dumps({"targetWireVersion": 7}).encode()


class Managing(Pair):
    """What people and retention do to jobs."""

    @rule(name=jobs, reason=st.sampled_from(["", "довольно"]), resend=st.booleans())
    def cancel(self, name: Name, reason: str, resend: bool) -> None:
        cancel = Cancel(task=name.task, job_id=name.job_id, reason=reason)
        reply = self.both(cancel)
        if resend and reply is CancelReply.CANCELLED:
            assert self.both(cancel.again()) is reply

    @rule(held=claims)
    def cancel_what_runs(self, held: Held) -> None:
        self.both(Cancel(task=held.task, job_id=held.lease.job_id, reason="enough"))

    @precondition(anything_failed)
    @rule(
        task=tasks,
        limit=st.integers(0, 3),
        offset=st.sampled_from([0, 0, 1]),
        name=st.none() | jobs,
        workflow_try=st.sampled_from([None, 0, 1, 2]),
        resend=st.booleans(),
    )
    def retry_dead(
        self, task: str, limit: int, offset: int, name: Name | None, workflow_try: int | None, resend: bool
    ) -> None:
        retry = RetryDead(
            task=task if name is None else name.task,
            job_ids=() if name is None else (name.job_id, "nobody"),
            offset=offset,
            limit=limit,
            workflow_try=workflow_try,
            request=self.fresh("r") if resend else "",
        )
        reply = self.both(retry)
        if resend:
            assert self.both(retry.again()) == reply

    retry_dead_2 = retry_dead_3 = retry_dead

    @precondition(anything_ended)
    @rule(name=jobs, resend=st.booleans())
    def remove_finished(self, name: Name, resend: bool) -> None:
        requests = [self.fresh("r") if resend else "" for _ in FINAL_STATES]
        removals = [
            RemoveFinished(task=name.task, state=state, job_id=name.job_id, request=request)
            for state, request in zip(FINAL_STATES, requests, strict=True)
        ]
        ended = [self.both(removal) for removal in removals]
        record = self.views[name.task].records.get(name.job_id, {})
        assert ended == [record.get("state") == state.value.encode() for state in FINAL_STATES]
        if resend:
            assert [self.both(removal.again()) for removal in removals] == ended

    @precondition(anything_ended)
    @rule(
        task=tasks,
        state=final_states,
        age_ms=st.none() | st.sampled_from([0, 1, 30_000]),
        items=st.none() | st.integers(0, 2),
        spared_ms=st.sampled_from([0, 1, 30_000]),
        limit=st.sampled_from([100, 0, 1, 2]),
        cursor=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def prune(
        self, task: str, state: str, age_ms: int | None, items: int | None, spared_ms: int, limit: int, cursor: int
    ) -> None:
        ended = self.views[task].places[state]
        prune = Prune(
            task=task,
            state=BY_NAME[state],
            max_age_ms=age_ms,
            max_items=items,
            spared_ms=spared_ms,
            limit=limit,
            cursor=cursor,
        )
        removed = self.both(prune).removed
        assert removed <= min(limit, len(ended))
        if items is not None and limit == 100 and cursor == spared_ms == 0:
            untold = self.views[task].ids("workflow:untold")  # those are kept until their workflows know
            assert len(ended) - removed <= items + len(untold)

    @rule(version=st.sampled_from([6, 7]), locked=st.booleans())
    def meet(self, version: int, locked: bool) -> None:
        """Of those that come, the first writes the meta record; all others read it. Somebody migrates, or no longer."""
        self.both(Handshake(ours=META[version]))
        for side in self.sides:
            side.lock_for_migration(LOCK if locked else b"")
        assert self.both(ReadMigrationLock()) == (LOCK if locked else b"")
