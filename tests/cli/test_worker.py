"""`taskora worker`: processes, signals, restarts, and that none is left behind."""

import os
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from taskora.contracts import static_contract
from taskora.producer import Producer
from tests.cli.programs import Program, is_running, started, write_module
from tests.polling import eventually
from tests.servers import Server

ADD = static_contract[list[int], int]("shop.add")
STARTED = r"worker process \d started pid=(\d+)"


def add(server: Server, *numbers: int) -> int:
    """Have the worker add some numbers."""
    with Producer(server.url) as producer:
        return producer.register(ADD).dispatch(list(numbers)).result(timeout="30s")


def processes(shop: Path, server: Server, count: int) -> AbstractContextManager[Program]:
    return started(shop, "worker", "shop", "--processes", str(count), TASKORA_URL=server.url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_runs_until_it_is_told_to_end(shop: Path, valkey: Server, number: signal.Signals) -> None:
    with started(shop, "worker", "shop:worker", TASKORA_URL=valkey.url) as program:
        assert add(valkey, 1, 2) == 3
        assert program.end(number) == 0
        assert f"signal_received signal={number.name}" in program.log()


def test_log_lines_have_a_time_in_utc_and_their_fields(shop: Path, valkey: Server) -> None:
    with started(shop, "worker", "shop", TASKORA_URL=valkey.url, TZ="America/New_York") as program:
        add(valkey)
        program.end()
        assert program.wait_for(r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO taskora\.worker: signal_received ")


def test_a_log_level_silences_what_is_below(shop: Path, valkey: Server) -> None:
    with started(shop, "worker", "shop", "--log-level", "error", TASKORA_URL=valkey.url) as program:
        add(valkey)
        assert program.end() == 0
        assert program.log() == ""


def test_a_worker_without_a_server_ends_with_code_3(shop: Path) -> None:
    with started(shop, "worker", "shop", TASKORA_URL="redis://127.0.0.1:1") as program:
        assert program.process.wait(timeout=30) == 3
        assert "error: the server cannot be reached" in program.log()
        assert "Traceback" not in program.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_their_parent_and_its_code_is_0(shop: Path, valkey: Server, number: signal.Signals) -> None:
    with processes(shop, valkey, 2) as program:
        pids = [int(pid) for pid in program.wait_for(STARTED, count=2)]
        assert add(valkey, 1, 2) == 3
        assert all(is_running(pid) for pid in pids)
        assert program.end(number) == 0
        assert not any(is_running(pid) for pid in pids)


def test_a_process_that_dies_is_started_again(shop: Path, valkey: Server) -> None:
    with processes(shop, valkey, 1) as program:
        (first,) = program.wait_for(STARTED)
        add(valkey)
        os.kill(int(first), signal.SIGKILL)
        _, second = program.wait_for(STARTED, count=2)
        assert "worker process 1 was killed by SIGKILL; starting it again in 0.5 s" in program.log()
        assert add(valkey, 1, 2) == 3
        assert program.end() == 0
        assert not is_running(int(second))


def test_no_process_outlives_a_parent_that_is_killed(shop: Path, valkey: Server) -> None:
    with processes(shop, valkey, 2) as program:
        pids = [int(pid) for pid in program.wait_for(STARTED, count=2)]
        add(valkey)
        program.process.kill()
        eventually(lambda: not any(is_running(pid) for pid in pids), deadline=30)


def test_a_worker_that_cannot_be_started_at_all_is_not_started_again(shop: Path) -> None:
    write_module(shop, "broken", ["1 / 0"])
    with started(shop, "worker", "broken", "--processes", "2") as program:
        assert program.process.wait(timeout=30) == 2
        assert "cannot be imported: ZeroDivisionError" in program.log()
        assert "starting it again" not in program.log()


def test_processes_that_have_failed_show_in_the_exit_code(shop: Path) -> None:
    with started(shop, "worker", "shop", "--processes", "1", TASKORA_URL="redis://127.0.0.1:1") as program:
        program.wait_for("ended with exit code 3; starting it again")
        assert program.end() == 3
