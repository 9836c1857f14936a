"""The scenarios, with a library that lives in this process, and with ours."""

import asyncio
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskora.bench.peers import drivers
from taskora.bench.peers._catalog import OURS, PEERS, Peer
from taskora.bench.peers._environments import Environment, UnavailableError, lock_of, prepare
from taskora.bench.peers._rows import SCENARIOS as ROWS_OF
from taskora.bench.peers._run import measure_apart
from taskora.bench.peers._server import describe_server, fresh_server
from taskora.bench.peers.drivers import _harness
from taskora.bench.peers.drivers._arrivals import Arrivals
from taskora.bench.peers.drivers._harness import SCENARIOS, measure
from taskora.bench.peers.drivers._protocol import AsyncioDriver, NotOfferedError

PYTHON_PEERS = [peer for peer in PEERS if peer.language == "python"]


class Fake(AsyncioDriver):
    """A queue without a server."""

    distribution = "fake"
    settings = "none"
    arrivals = Arrivals()

    def __init__(self) -> None:
        super().__init__()
        self.waiting: asyncio.Queue[int] = asyncio.Queue()
        self.workers: list[int] = []

    async def connect(self, url: str) -> None:
        self.url = url

    async def enqueue(self, number: int) -> None:
        await asyncio.sleep(0)
        self.waiting.put_nowait(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self.enqueue(number)

    async def start_worker(self, concurrency: int) -> None:
        self.workers.append(concurrency)
        self.keep_running(self._work())

    async def _work(self) -> None:
        while True:
            await self.waiting.get()
            await asyncio.sleep(0)
            self.arrivals.arrive()


class FakeWithoutBulk(Fake):
    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        raise NotOfferedError("no bulk")


class Idle(Fake):
    async def start_worker(self, concurrency: int) -> None:
        """There is nobody to run anything."""


class OneAtATime(Fake):
    most_at_once = 1


@pytest.fixture(autouse=True)
def arrivals(monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    fresh = Arrivals()
    monkeypatch.setattr(_harness, "ARRIVALS", fresh)
    monkeypatch.setattr(Fake, "arrivals", fresh)
    return fresh


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_yields_its_rows(scenario: str) -> None:
    with fresh_server() as url:
        figures = measure(Fake(), scenario, url, 0.02)
    assert set(figures) == set(ROWS_OF[scenario])


def test_scenarios_are_those_whose_rows_are_known() -> None:
    assert list(SCENARIOS) == list(ROWS_OF)


@pytest.mark.parametrize(("scenario", "concurrency"), [("process_1", 1), ("process_100", 100), ("latency", 10)])
def test_a_worker_gets_the_concurrency_of_the_scenario(scenario: str, concurrency: int) -> None:
    fake = Fake()
    with fresh_server() as url:
        measure(fake, scenario, url, 0.01)
    assert fake.workers == [concurrency]


def test_a_worker_that_runs_one_job_at_a_time_is_not_measured_with_more() -> None:
    with fresh_server() as url:
        with pytest.raises(NotOfferedError, match="one job at a time"):
            measure(OneAtATime(), "process_100", url, 0.01)
        fake = OneAtATime()
        measure(fake, "latency", url, 0.01)
    assert fake.workers == [1]


def test_a_library_without_bulk_is_filled_one_by_one_and_not_measured_in_bulk() -> None:
    with fresh_server() as url:
        assert set(measure(FakeWithoutBulk(), "process_1", url, 0.01)) == {"process_1"}
        with pytest.raises(NotOfferedError, match="no bulk"):
            measure(FakeWithoutBulk(), "enqueue_bulk", url, 0.01)


def test_a_worker_that_does_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_harness, "_START_SECONDS", 0.01)
    with fresh_server() as url, pytest.raises(TimeoutError, match="0 of"):
        measure(Idle(), "process_1", url, 0.01)


async def test_arrivals_are_counted_from_all_threads_and_awaited(arrivals: Arrivals) -> None:
    def arrive_often() -> None:
        for _ in range(100):
            arrivals.arrive()

    threads = [threading.Thread(target=arrive_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert await arrivals.reach(400, 10.0)
    assert not await arrivals.reach(401, 0.0)
    arrivals.arrive()
    assert await arrivals.reach(401, 0.0)
    for thread in threads:
        thread.join()


def test_our_own_driver_runs_a_scenario_in_a_process_of_its_own(tmp_path: Path) -> None:
    cell = measure_apart(prepare(OURS, tmp_path, "no uv"), "latency", 0.05)
    assert cell.failure == ""
    assert set(cell.figures) == set(ROWS_OF["latency"])
    assert cell.version


def test_the_fewest_requests_are_measured_as_a_library_is(tmp_path: Path) -> None:
    python, *words, _ = prepare(OURS, tmp_path, "no uv").command
    cell = measure_apart(Environment(command=(python, *words, "bare"), variables={}), "latency", 0.05)
    assert cell.failure == ""
    assert set(cell.figures) == set(ROWS_OF["latency"])


def test_the_server_says_what_it_is() -> None:
    with fresh_server() as url:
        assert describe_server(url).split()[0] in ("Redis", "Valkey")


@pytest.mark.parametrize("peer", PYTHON_PEERS, ids=lambda peer: peer.name)
def test_the_lock_of_a_peer_pins_what_it_asks_for_and_names_no_registry(peer: Peer) -> None:
    lines = lock_of(peer).read_text().splitlines()
    pins = {line.partition(";")[0].strip() for line in lines}
    assert pins >= {
        requirement.partition("==")[0].partition("[")[0] + "==" + _version(requirement)
        for requirement in peer.requirements
    }
    assert all("==" in line and "/" not in line for line in lines)


def _version(requirement: str) -> str:
    return requirement.partition("==")[2]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_a_driver(peer: Peer) -> None:
    if peer.language == "node":
        assert (Path(drivers.__file__).parent / f"{peer.driver}.cjs").exists()
    else:
        assert importlib.util.find_spec(f"{drivers.__name__}.{peer.driver}")


def test_a_library_that_cannot_be_installed_says_why(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be installed"):
        prepare(PYTHON_PEERS[0], tmp_path, str(tmp_path / "no-uv"))


def test_node_libraries_need_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (node,) = (peer for peer in PEERS if peer.language == "node")
    with pytest.raises(UnavailableError, match="node and npm are not installed"):
        prepare(node, tmp_path, "uv")
