"""What happens to workflows when the processes that run their steps are killed."""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taskora.contracts import chord, group
from taskora.producer import Producer, WorkflowHandle
from tests.chaos.fleet import PATIENCE_S, fleet, running_in
from tests.chaos.program import sum_up, work
from tests.chaos.spawning_program import LEAVES, spread
from tests.polling import eventually
from tests.servers import Server

CHORDS, WIDTH, KILLS = 10, 20, 4
pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


def test_workflows_end_right_although_workers_are_killed(server: Server, tmp_path: Path) -> None:
    with Producer(server.url) as producer, fleet(server.url, tmp_path) as team:
        victims = [team.start(pause_ms=20), team.start(pause_ms=20)]
        flows = [dispatch_chord(producer, start) for start in range(CHORDS)]

        def runs_a_step(victim: "subprocess.Popen[bytes]") -> bool:
            if not producer.inspector.waiting(work, limit=1):  # the others may be done before it has begun
                flows.append(dispatch_chord(producer, len(flows)))
            return bool(running_in(producer, victim))

        for _ in range(KILLS):
            victim = victims.pop(0)
            eventually(partial(runs_a_step, victim), deadline=PATIENCE_S)
            victim.kill()
            victim.wait()
            victims.append(team.start(pause_ms=20))
        for start, flow in enumerate(flows):
            assert flow.result(PATIENCE_S) == sum(range(start, start + WIDTH))
            assert_each_step_ran_once(producer, flow)
        assert team.log().count("Traceback") == 0


def test_what_steps_spawn_runs_once_although_workers_are_killed_while_they_plan(server: Server, tmp_path: Path) -> None:
    program = "tests.chaos.spawning_program"
    with Producer(server.url) as producer, fleet(server.url, tmp_path) as team:
        victims = [team.start(pause_ms=150, program=program), team.start(pause_ms=150, program=program)]
        flows = [producer.dispatch(group([spread.s(number) for number in range(WIDTH)])) for _ in range(2)]
        for _ in range(KILLS):
            victim = victims.pop(0)
            eventually(partial(running_in, producer, victim, spread), deadline=PATIENCE_S)
            victim.kill()
            victim.wait()
            victims.append(team.start(pause_ms=150, program=program))
        for flow in flows:
            assert flow.result(PATIENCE_S) == [*range(WIDTH)]
            ended = [node for node in flow.nodes() if node.state == "completed" and node.spawned_by is not None]
            spawned: list[Any] = [node.result for node in ended]
            assert sorted(spawned) == sorted(10 * number + leaf for number in range(WIDTH) for leaf in range(LEAVES))
        assert team.log().count("Traceback") == 0


def dispatch_chord(producer: Producer, start: int) -> WorkflowHandle[int]:
    return producer.dispatch(chord([work.s(start + number) for number in range(WIDTH)], sum_up.s()))


def assert_each_step_ran_once(producer: Producer, flow: WorkflowHandle[int]) -> None:
    """Each step has one job, and no other job belongs to the workflow."""
    nodes = flow.nodes()
    assert {node.state for node in nodes} == {"completed"}
    for task in (work, sum_up):
        known = {node.job_id for node in nodes if node.task == task.name}
        jobs = producer.inspector.completed(task, limit=1000)
        assert {job.id for job in jobs if job.fields.get("_wf") == flow.id.encode()} <= known
