"""Servers of our own: one per process or directory, and none that outlives its process."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from taskora.contracts import BackendError, UsageError
from taskora.wire import ScanTasks
from taskora.wire.backends import EmbeddedServer, open_sync_backend
from taskora.wire.backends._embedded import join_embedded_server
from tests.polling import eventually

JOIN = """
import os, sys, time, redis
from taskora.wire.backends._embedded import join_embedded_server
url = join_embedded_server(sys.argv[1])
client = redis.Redis.from_url(url)
"""


def test_users_in_one_process_share_a_server() -> None:
    url = join_embedded_server("embedded://")
    assert join_embedded_server("embedded://") == url
    with redis.Redis.from_url(url) as client:
        assert client.ping()


def test_a_backend_opens_an_embedded_url() -> None:
    backend = open_sync_backend("embedded://", prefix="embedded-test")
    assert backend.run(ScanTasks()).tasks == ()
    backend.close()


def test_a_server_of_ones_own_ends_with_its_block_and_leaves_nothing() -> None:
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        home = _directory_of(client)
        pid = _pid_of(client)
        assert home.is_dir()
    assert not server.is_running
    assert not home.exists()
    assert _is_gone(pid)
    server.close()


def test_two_servers_of_ones_own_share_nothing() -> None:
    with EmbeddedServer() as one, EmbeddedServer() as other:
        assert one.url != other.url


def test_a_server_is_out_of_reach_of_the_network_and_of_other_users() -> None:
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("port") == {"port": "0"}
        assert (_directory_of(client) / "valkey.sock").stat().st_mode & 0o077 == 0


def test_an_interrupt_at_the_terminal_does_not_reach_the_server() -> None:
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        assert os.getpgid(_pid_of(client)) != os.getpgid(0)


def test_a_process_ends_without_a_word_a_zombie_or_a_server() -> None:
    script = "print(client.info()['process_id'], client.config_get('dir')['dir'])"
    ended = _run(script, "embedded://")
    pid, home = ended.stdout.split()
    assert ended.stderr == ""
    assert _is_gone(int(pid))
    assert not Path(home).exists()


def test_a_closed_server_leaves_no_zombie() -> None:
    script = """
    from taskora.wire.backends import EmbeddedServer
    EmbeddedServer().close()
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("none")
    """
    assert _run(script, "", prelude="import os").stdout == "none\n"


def test_a_server_ends_when_its_process_is_killed(tmp_path: Path) -> None:
    for url in ("embedded://", f"embedded://{tmp_path}"):
        with _start("print(client.info()['process_id'], flush=True); time.sleep(60)", url) as owner:
            assert owner.stdout is not None
            pid = int(owner.stdout.readline())
            assert not _is_gone(pid)
            owner.kill()
        eventually(partial(_is_gone, pid))


def test_a_server_started_by_a_thread_outlives_that_thread() -> None:
    script = """
    import threading
    from taskora.wire.backends import EmbeddedServer
    servers = []
    starter = threading.Thread(target=lambda: servers.append(EmbeddedServer()))
    starter.start()
    starter.join()
    print(servers[0].is_running)
    """
    assert _run(script, "", prelude="").stdout == "True\n"


def test_a_forked_child_that_ends_leaves_the_server_to_its_parent() -> None:
    script = """
    child = os.fork()
    if child == 0:
        assert join_embedded_server(sys.argv[1]) == url
        sys.exit(0)
    os.waitpid(child, 0)
    print(redis.Redis.from_url(url).ping())
    """
    assert _run(script, "embedded://").stdout == "True\n"


def test_a_server_in_a_directory_is_joined_by_other_processes(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    script = "print(client.info()['process_id'], flush=True); sys.stdin.read()"
    with _start(script, url) as owner:
        assert owner.stdout is not None
        pid = owner.stdout.readline()
        assert _run("print(client.info()['process_id'])", url).stdout == pid
        owner.communicate("")


def test_processes_that_start_together_share_one_server(tmp_path: Path) -> None:
    script = "print(client.info()['process_id'], flush=True); sys.stdin.read()"
    with ExitStack() as stack:
        processes = [stack.enter_context(_start(script, f"embedded://{tmp_path}")) for _ in range(4)]
        pids: set[str] = set()
        for process in processes:
            assert process.stdout is not None
            pids.add(process.stdout.readline())
        assert len(pids) == 1
        for process in processes:
            process.communicate("")


def test_a_directory_keeps_its_data_from_one_server_to_the_next(tmp_path: Path) -> None:
    directory = tmp_path / "with space" / "new"
    for run in (1, 2):
        with EmbeddedServer(_made(directory)) as server, redis.Redis.from_url(server.url) as client:
            assert client.incr("runs") == run


def test_a_server_that_died_is_replaced(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    with redis.Redis.from_url(join_embedded_server(url)) as client:
        pid = _pid_of(client)
        os.kill(pid, 9)
    eventually(partial(_is_gone, pid))
    with redis.Redis.from_url(join_embedded_server(url)) as client:
        assert client.ping()


@pytest.mark.parametrize("url", ["embedded://data", "embedded://data/queue", "embedded:///data?db=1"])
def test_other_forms_of_the_url_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="embedded:///path/to/directory"):
        join_embedded_server(url)


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="short enough for the path of a socket"):
        join_embedded_server(f"embedded://{tmp_path}/{'x' * 100}")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    with pytest.raises(UsageError, match=r'pip install "taskora\[embedded\]"'):
        EmbeddedServer()


def test_a_server_that_cannot_start_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way")
    with pytest.raises(BackendError, match=r"does not start; the end of its log: .*appendonlydir"):
        EmbeddedServer(tmp_path)


@pytest.fixture(autouse=True)
def _free_directories() -> Iterator[None]:
    """Servers of temporary directories would otherwise live until the test process ends."""
    from taskora.wire.backends import _embedded

    yield
    for directory in [directory for directory in _embedded._servers if directory is not None]:
        _embedded._servers.pop(directory).close()


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _run(script: str, url: str, *, prelude: str = JOIN) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", prelude + textwrap.dedent(script), url]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def _start(script: str, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", JOIN + textwrap.dedent(script), url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _pid_of(client: redis.Redis) -> int:
    info: dict[str, int] = client.info("server")
    return info["process_id"]


def _directory_of(client: redis.Redis) -> Path:
    reply: Any = client.config_get("dir")
    return Path(reply["dir"])


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
