"""Histories on which memory and servers once disagreed, or did what they must not, as they were printed."""

import textwrap

import pytest

from tests.properties.replay import replay
from tests.servers import Server

FOUND = {
    "parked jobs with a priority below 0 kept no order": """
        jobs_0, jobs_1, jobs_2 = state.dispatch_of_a_concurrency_key(
            count=3, kind='below all', limit='one of x', task='work')
        (claims_0,) = state.claim(lease_ms=1800000, slots=1, task='work', worker='ann')
        state.check()
        state.lose_all_workers(max_count=1, task='work')
        state.check()
        (claims_1,) = state.settle(end='completed', held=claims_0, payload=b'1', slots=2)
    """,
    "a batch expired and left its items behind": """
        jobs_0 = state.push_collect(
            delay_ms=30000, key='a', max_items=10, max_size=0, max_wait_ms=0, task='work', version=1)
        state.check()
        state.pass_time(milliseconds=600000)
        (claims_0,) = state.claim_as_told(
            key_limit=0, max_version=2147483647, on_expire='fail', pace='free', slots=1, task='work', ttl_ms=30000)
    """,
    "memory revised a workflow that was never created": """
        workflows_0 = state.make_workflow(done='remembered', shape='one', ttl_ms=0)
        state.abandon_workflow(made=workflows_0)
        state.check()
        state.revise_workflow(made=workflows_0, opens=False, outdated=False, step=0)
    """,
}


@pytest.mark.parametrize("history", FOUND.values(), ids=FOUND)
def test_it_does_not_happen_again(server: Server, history: str) -> None:
    begin = "state = BackendsAgree()\nstate.begin(other_programs=False, some_rules=False)\nstate.check()\n"
    replay(begin + textwrap.dedent(history) + "state.check()\nstate.teardown()", server)
