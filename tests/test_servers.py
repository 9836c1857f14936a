"""The servers that the other tests run on."""

import os
import subprocess
import sys

import pytest
import redis

from tests.polling import aeventually, eventually
from tests.servers import OTHER_SERVER, Server

ORPHAN = """
import sys, time
from tests.servers import running
with running("valkey9") as server:
    print(server.pid, server.port, flush=True)
    time.sleep(60)
"""


def test_a_server_is_of_the_kind_it_is_named_after(server: Server) -> None:
    major = server.version.partition(".")[0]
    assert OTHER_SERVER or server.kind.endswith(major)


@pytest.mark.parametrize("run", [1, 2])
def test_a_server_is_empty_at_the_start_of_a_test(redis_raw: redis.Redis, run: int) -> None:
    assert redis_raw.dbsize() == 0
    redis_raw.set("left-over", run)


def test_a_raw_client_answers_in_bytes(redis_raw: redis.Redis) -> None:
    redis_raw.set("key", "value")
    assert redis_raw.get("key") == b"value"


def test_a_server_listens_on_its_unix_socket_too(server: Server) -> None:
    with redis.Redis.from_url(server.unix_url) as client:
        assert client.ping()


def test_a_server_ends_when_the_process_that_started_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, port = (int(word) for word in owner.stdout.readline().split())
        with redis.Redis(host="127.0.0.1", port=port) as client:
            assert client.ping()
        owner.kill()
    eventually(lambda: not _is_running(pid))


def test_polling_returns_what_the_predicate_returned() -> None:
    values = iter([0, None, 3])
    assert eventually(lambda: next(values)) == 3


def test_polling_gives_up_with_the_last_value() -> None:
    with pytest.raises(AssertionError, match="was still 0 after"):
        eventually(lambda: 0, deadline=0.01)


async def test_polling_awaits_a_coroutine_function() -> None:
    values = iter([False, True])

    async def predicate() -> bool:
        return next(values)

    assert await aeventually(predicate)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
