"""scan_tasks: reads only."""

from typing import Any

from taskora.wire import ScanTasks
from taskora.wire._commands import command_for
from taskora.wire._keys import Keyspace
from tests.transitions.keyspace import Events, RawTask, event


def tasks_of(task: RawTask, prefix: str | None) -> set[str]:
    found: set[str] = set()
    cursor = "0"
    while True:
        command = command_for(ScanTasks(cursor=cursor), Keyspace(prefix), None)
        call = command.call
        reply: Any = task.client.eval(call.script.text, len(call.keys), *call.keys, *call.args)
        page = command.decode(reply)
        found.update(page.tasks)
        cursor = page.cursor
        if cursor == "0":
            return found


def test_tasks_are_found_by_their_event_streams_within_their_prefix(task: RawTask) -> None:
    entry = Events([event("waiting", "j1")])
    task.seed({"events": entry})
    for key in ("taskora:{other.task}:events", "taskora:tenant:{t2}:events", "elsewhere:{t3}:events"):
        task.client.xadd(key, {"event": "waiting", "jobId": "j1"})
    task.client.set("taskora:{t4}:events", "no stream")
    assert tasks_of(task, None) == {"t", "other.task"}
    assert tasks_of(task, "tenant") == {"t2"}
    task.client.flushall()


def test_more_tasks_than_one_page_are_all_found(task: RawTask) -> None:
    pipeline = task.client.pipeline(transaction=False)
    for number in range(3000):
        pipeline.xadd(f"taskora:{{t{number}}}:events", {"event": "waiting", "jobId": "j1"})
    pipeline.execute()
    assert tasks_of(task, None) == {f"t{number}" for number in range(3000)}
    task.client.flushall()
