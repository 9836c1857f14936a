"""Fixtures for tests of the example deployments."""

import pytest

from tests.apps.environments import Environment, install


@pytest.fixture(scope="session")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with indexer-contracts alone."""
    return install("indexer-contracts", tmp_path_factory.mktemp("contracts"))


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with indexer-api alone."""
    return install("indexer-api", tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with indexer-worker alone."""
    return install("indexer-worker", tmp_path_factory.mktemp("worker"))
