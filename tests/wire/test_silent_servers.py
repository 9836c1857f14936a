"""Requests that come again anyway give a silent server up early, and spare it for a while."""

from collections import Counter
from typing import Any

import pytest

from taskora.contracts import BackendError
from taskora.wire import CountJobs, ExtendLeases, Keyspace, Lease, Operation
from taskora.wire._flows import Pause, drive
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._address import Address
from taskora.wire.backends._cluster_map import (
    SILENT_SECONDS,
    Learn,
    SlotMap,
    ToNode,
    cluster_request_of,
    learned,
    routed,
)
from taskora.wire.backends._requests import HASTY_TIMEOUT, REPLY_TIMEOUT, Request, Requests, carry_out

HERE, THERE = Address("here", 1), Address("there", 2)
# Their slots lie in the first and in the second half.
NEAR, FAR = "pay", "a"
SLOTS = [[0, 8191, [b"here", 1]], [8192, 16_383, [b"there", 2]]]


def renewal(task: str) -> ExtendLeases:
    return ExtendLeases(task=task, lease_ms=1, leases=[Lease(job_id="j", token="t")])


class Cluster:
    """Two servers that answer or not, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.silent: set[Address] = set()
        self.sent: Counter[tuple[Address, str]] = Counter()
        self.slots = SlotMap([THERE, HERE], clock=lambda: self.now)

    def run(self, operation: Operation[Any]) -> Any:
        return carry_out(operation, Requests(Keyspace(), None, cluster_request_of), self._perform)

    def _perform(self, step: Request | Pause | ToNode | Learn) -> Any:
        if isinstance(step, Pause):
            return None
        if isinstance(step, Learn):
            return drive(learned(self.slots), self._perform)
        if isinstance(step, Request):
            return drive(routed(step, self.slots), self._perform)
        self.sent[step.address, str(step.request.args[0])] += 1
        if step.address in self.silent:
            raise redis_errors.TimeoutError("no reply")
        return SLOTS if step.request.args[0] == "CLUSTER" else [1]

    def asked(self, address: Address) -> int:
        return self.sent[address, "EVALSHA"]


@pytest.mark.parametrize(
    ("operation", "tries", "seconds"), [(renewal("t"), 2, HASTY_TIMEOUT), (CountJobs(task="t"), 4, REPLY_TIMEOUT)]
)
def test_a_renewal_is_tried_twice_and_briefly(operation: Operation[Any], tries: int, seconds: float) -> None:
    asked: list[float] = []

    def perform(step: Request | Pause) -> None:
        if isinstance(step, Request):
            asked.append(step.timeout)
            raise redis_errors.TimeoutError("no reply")

    with pytest.raises(BackendError, match="cannot be reached"):
        carry_out(operation, Requests(Keyspace(), None), perform)
    assert asked == [seconds] * tries


def test_tasks_of_a_silent_server_cost_those_of_another_one_wait_in_all() -> None:
    cluster = Cluster()
    assert cluster.slots.is_stale
    cluster.run(renewal(NEAR))
    cluster.run(renewal(FAR))
    assert (cluster.asked(HERE), cluster.asked(THERE)) == (1, 1), "the names must lie on both servers"
    cluster.silent = {HERE}
    for _ in range(50):
        with pytest.raises(BackendError, match=r"no reply|did not answer"):
            cluster.run(renewal(NEAR))
        cluster.run(renewal(FAR))
    assert (cluster.asked(HERE), cluster.asked(THERE)) == (2, 51)


def test_a_silent_server_is_asked_again_after_a_while() -> None:
    cluster = Cluster()
    cluster.silent = {HERE}
    with pytest.raises(BackendError):
        cluster.run(renewal(NEAR))
    cluster.silent.clear()
    with pytest.raises(BackendError, match="did not answer a moment ago"):
        cluster.run(renewal(NEAR))
    cluster.now += SILENT_SECONDS
    cluster.run(renewal(NEAR))


def test_other_requests_are_sent_to_a_silent_server_all_the_same() -> None:
    cluster = Cluster()
    cluster.silent = {HERE}
    with pytest.raises(BackendError):
        cluster.run(renewal(NEAR))
    before = cluster.asked(HERE)
    with pytest.raises(BackendError, match="no reply"):
        cluster.run(CountJobs(task=NEAR))
    assert cluster.asked(HERE) == before + 4


def test_a_silent_server_is_asked_last_about_the_cluster() -> None:
    cluster = Cluster()
    cluster.run(renewal(FAR))
    assert cluster.slots.informants == [HERE, THERE]
    cluster.slots.note(redis_errors.TimeoutError("no reply"), HERE)
    assert cluster.slots.informants == [THERE, HERE]


def test_a_connection_that_breaks_is_no_silence() -> None:
    cluster = Cluster()
    cluster.slots.note(redis_errors.ConnectionError("reset"), HERE)
    assert not cluster.slots.is_silent(HERE)
