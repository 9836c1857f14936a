"""The example as it is deployed: the API, the worker in an environment and a process of its own, a server."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexer_api import create_app
from tests.apps.environments import Environment
from tests.fixtures import StartServer
from tests.polling import aeventually
from tests.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SOURCE = """\
import os
from sys import path

class One:
    async def method(self):
        def inner():
            return os

        return inner

def two(): pass
"""
COUNTS: dict[str, object] = {
    "lines": 11,
    "functions": 3,
    "classes": 1,
    "imports": 2,
    "longest": {"name": "method", "line": 5, "lines": 5},
    "mistakes": [],
}


@pytest.fixture
def valkey(start_server: StartServer) -> Server:
    """Return an empty server."""
    server = start_server("valkey9")
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the directory whose files the worker may read."""
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "secret.py").write_text("secret = 1\n", encoding="utf-8")
    return folder


@pytest.fixture
def running_worker(worker: Environment, valkey: Server, root: Path) -> Iterator[None]:
    """Run the worker in its own environment and process."""
    settings = {"INDEXER_REDIS_URL": valkey.url, "INDEXER_ROOT": str(root)}
    process = subprocess.Popen([worker.python, "-m", "indexer_worker"], env=os.environ | settings)
    try:
        yield
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def client(valkey: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client of the API."""
    app = create_app(valkey.url)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        yield http


async def _ended(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    """Get a job until it has ended."""

    async def look() -> dict[str, Any] | None:
        job: dict[str, Any] = (await client.get(location)).json()
        return job if job["state"] in ("completed", "failed", "cancelled") else None

    return await aeventually(look, deadline=60) or {}


async def _post(client: httpx.AsyncClient, **body: str) -> dict[str, Any]:
    accepted = await client.post("/index", json=body)
    assert accepted.status_code == 202
    assert accepted.headers["Location"] == f"/jobs/{accepted.json()['id']}"
    return await _ended(client, accepted.headers["Location"])


@pytest.mark.usefixtures("running_worker")
async def test_sources_and_files_are_indexed_and_failures_are_shown(client: httpx.AsyncClient, root: Path) -> None:
    (root / "package").mkdir()
    (root / "package" / "module.py").write_text(SOURCE, encoding="utf-8")

    by_source = await _post(client, source=SOURCE)
    assert (by_source["state"], by_source["result"], by_source["error"]) == ("completed", COUNTS, None)
    by_path = await _post(client, path="package/module.py")
    assert by_path["result"] == COUNTS

    mistaken = (await _post(client, source="def f(:\n    pass\n\ndef g(): pass\n"))["result"]
    assert [mistake["line"] for mistake in mistaken["mistakes"]] == [1]
    assert mistaken["longest"]["name"] == "g"

    missing = await _post(client, path="not_there.py")
    assert (missing["state"], missing["result"]) == ("failed", None)
    assert "No such file" in missing["error"]
    outside = await _post(client, path="../secret.py")
    assert outside["error"] == "../secret.py is not below the root directory"


async def test_a_job_waits_while_no_worker_runs(client: httpx.AsyncClient) -> None:
    accepted = await client.post("/index", json={"source": ""})
    job = (await client.get(accepted.headers["Location"])).json()
    assert job == {"id": accepted.json()["id"], "state": "waiting", "result": None, "error": None}


@pytest.mark.parametrize("body", [{}, {"source": "", "path": "a.py"}, {"source": 1}, {"path": None}])
async def test_a_request_that_makes_no_sense_is_refused(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await client.post("/index", json=body)).status_code == 422


async def test_jobs_that_are_not_there_are_404_and_impossible_ids_422(client: httpx.AsyncClient) -> None:
    assert (await client.get("/jobs/nope")).status_code == 404
    assert (await client.get("/jobs/a%20b")).status_code == 422


async def test_a_server_that_is_gone_is_503() -> None:
    app = create_app("redis://127.0.0.1:1")
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        assert (await http.post("/index", json={"source": ""})).status_code == 503
