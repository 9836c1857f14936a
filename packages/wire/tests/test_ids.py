"""Names that nobody else has."""

import subprocess
import sys
import threading
import uuid

import pytest

from taskora.wire import random_id, random_ids


def are_random_uuids(made: list[str]) -> bool:
    kinds = {(uuid.UUID(name).version, uuid.UUID(name).variant) for name in made}
    return all(str(uuid.UUID(name)) == name for name in made) and kinds == {(4, uuid.RFC_4122)}


def test_an_id_is_a_random_uuid_as_text() -> None:
    made = [random_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert are_random_uuids(made)


@pytest.mark.parametrize("count", [1, 5, 23, 24, 50, 1000])
def test_many_ids_are_as_random_as_one(count: int) -> None:
    made = random_ids(count) + random_ids(count)
    assert len(made) == len(set(made)) == 2 * count
    assert are_random_uuids(made)


def test_no_ids_are_none() -> None:
    assert random_ids(0) == []


def test_each_digit_that_may_be_any_is_any() -> None:
    """What tells a column that is never filled, or filled from another one."""
    made = random_ids(2000)
    columns = ["".join(column) for column in zip(*made, strict=True)]
    for position, column in enumerate(columns):
        expected = {8: "-", 13: "-", 14: "4", 18: "-", 19: "89ab", 23: "-"}.get(position, "0123456789abcdef")
        assert set(column) == set(expected)
    random_columns = [column for position, column in enumerate(columns) if position not in (8, 13, 14, 18, 23)]
    assert len(set(random_columns)) == 31


FORKS = {
    "by Python": "from os import fork",
    "behind its back": "import ctypes; fork = ctypes.CDLL(None).fork",  # as servers do that have Python inside
}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_processes_that_fork_have_ids_of_their_own(fork: str) -> None:
    program = f"""
import os
from taskora.wire import random_id
{fork}
print(random_id(), flush=True)
child = fork()
os.write(1, "".join(random_id() + "\\n" for _ in range(40)).encode())
if not child:
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    made = done.stdout.split()
    assert len(made) == len(set(made)) == 81


def test_threads_have_ids_of_their_own() -> None:
    made: list[str] = []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        made.extend([random_id() for _ in range(2000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) == 8000
