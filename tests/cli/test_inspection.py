"""`taskora stats` and `taskora job`: what they show, to people and to programs."""

import json
import os
import re
import subprocess
import sys

from taskora.worker import Context, Worker
from tests.cli.programs import Command
from tests.docs.blocks import ROOT, blocks_of

GUIDE = ROOT / "docs" / "guides" / "cli.md"

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def _run_one_job(url: str) -> str:
    worker = Worker(url)

    @worker.task("greet")
    async def greet(name: str, ctx: Context) -> str:
        ctx.progress({"done": 0.5})
        ctx.log.info("greeting", name=name)
        return f"Hello {name}"

    async with worker:
        handle = await greet.dispatch("Ada")
        await handle.result(timeout="20s")
    return handle.id


def test_stats_count_the_jobs_of_every_task(command: Command) -> None:
    command("dispatch", "one", "1")
    command("dispatch", "two", "1", "--delay", "1h")
    counts = command("stats", "--json").json["tasks"]
    assert sorted(counts) == ["one", "two"]
    assert counts["one"].pop("oldest_waiting_age_ms") >= 0
    names = ("waiting", "active", "delayed", "completed", "failed", "expired", "cancelled", "parked", "newer")
    nothing = dict.fromkeys((*names, "unserved", "workers"), 0) | {"rate_limited_until_ms": None}
    assert counts["one"] == nothing | {"waiting": 1, "unserved": 1}
    assert counts["two"] == nothing | {"delayed": 1, "oldest_waiting_age_ms": None}


def test_stats_of_one_task_leave_the_others_out(command: Command) -> None:
    command("dispatch", "one", "1")
    command("dispatch", "two", "1")
    assert list(command("stats", "two", "--json").json["tasks"]) == ["two"]


async def test_the_guide_shows_the_shapes(command: Command) -> None:
    shown_stats, shown_job = (json.loads(block.code) for block in blocks_of(GUIDE) if block.language == "json")
    job_id = await _run_one_job(command.url)
    job = command("job", job_id, "--json").json
    assert list(job) == list(shown_job)
    for name in ("logs", "timeline"):
        assert [list(item) for item in job[name]] == [list(item) for item in shown_job[name]]
    (counts,), (shown_counts,) = (stats["tasks"].values() for stats in (command("stats", "--json").json, shown_stats))
    assert list(counts) == list(shown_counts)


def test_stats_are_a_table_for_people(command: Command) -> None:
    command("dispatch", "one", "1")
    shown = command("stats")
    assert (shown.code, shown.err) == (0, "")
    header, _, row = [line for line in shown.out.splitlines() if line.strip()]
    assert header.split()[:3] == ["task", "waiting", "active"]
    assert row.split()[:3] == ["one", "1", "0"]
    assert header.split()[-2:] == ["parked", "workers"]
    assert row.split()[-3:] == ["1", "unserved", "0"]


def test_why_a_job_does_not_run_is_shown(command: Command) -> None:
    command("dispatch", "one", "1", "--job-id", "j1")
    assert "no worker implements its task" in command("job", "j1").out
    assert command("job", "j1", "--json").json["parked_reason"] == "unserved"


def test_stats_of_an_empty_server_say_so_on_stderr(command: Command) -> None:
    shown = command("stats")
    assert (shown.code, shown.out) == (0, "")
    assert "no task ever had a job here" in shown.err
    assert command("stats", "--json").json == {"tasks": {}}


async def test_a_job_is_shown_to_programs_in_a_fixed_shape(command: Command) -> None:
    job_id = await _run_one_job(command.url)
    job = command("job", job_id, "--json").json
    times = {name: job.pop(name) for name in list(job) if name.endswith(("_at", "_at_ms"))}
    assert sorted(times) == sorted(
        name + suffix for name in ("dispatched_at", "started_at", "finished_at") for suffix in ("", "_ms")
    )
    assert all(ISO.fullmatch(times[name]) for name in times if not name.endswith("_ms"))
    assert times["dispatched_at_ms"] <= times["started_at_ms"] <= times["finished_at_ms"]
    (log,) = job.pop("logs")
    assert ISO.fullmatch(log.pop("at"))
    assert isinstance(log.pop("at_ms"), int)
    assert log == {"level": "info", "message": "greeting", "meta": {"name": "Ada"}}
    timeline = job.pop("timeline")
    assert [entry["state"] for entry in timeline] == ["waiting", "active", "completed"]
    assert [entry["at_ms"] for entry in timeline] == [
        times[f"{name}_at_ms"] for name in ("dispatched", "started", "finished")
    ]
    assert job == {
        "id": job_id,
        "task": "greet",
        "state": "completed",
        "attempt": 1,
        "max_attempts": 1,
        "priority": 0,
        "version": 1,
        "stalled_count": 0,
        "parked_reason": None,
        "data": "Ada",
        "result": "Hello Ada",
        "progress": {"done": 0.5},
        "error": None,
        "cancel_reason": None,
    }


async def test_a_job_is_shown_to_people_line_by_line(command: Command) -> None:
    job_id = await _run_one_job(command.url)
    shown = command("job", job_id, "--task", "greet")
    lines = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in shown.out.splitlines())
    assert lines["state"] == "completed"
    assert lines["attempt"] == "1 of 1"
    assert lines["result"] == '"Hello Ada"'
    assert lines["log"].endswith('info: greeting {"name": "Ada"}')
    assert "error" not in lines


def test_what_a_job_holds_cannot_play_tricks_on_the_terminal(command: Command) -> None:
    command("dispatch", "t", r'"\u001b[31m[bold]red[/bold]"', "--job-id", "one")
    shown = command("job", "one")
    assert "\x1b" not in shown.out
    assert "[bold]red[/bold]" in shown.out


def test_what_a_job_holds_is_printed_in_whatever_encoding_there_is(command: Command) -> None:
    command("dispatch", "t", '"caf\u00e9"', "--job-id", "one")
    arguments = ["job", "one", "--url", command.url]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.check_output([sys.executable, "-m", "taskora.cli", *arguments], env=environment)
    assert rb'"caf\xe9"' in shown


def test_a_job_that_is_not_there_ends_with_code_4(command: Command) -> None:
    command("dispatch", "add", "1", "--job-id", "one")
    for arguments in (("job", "nope"), ("job", "nope", "--json"), ("job", "one", "--task", "other")):
        missing = command(*arguments)
        assert (missing.code, missing.out) == (4, "")
        assert missing.err.startswith("error: No job ")
