"""Each service is deployed with what it needs, and cannot import what others need."""

import pytest

from tests.apps.environments import Environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_contracts_come_without_any_third_party_package(contracts: Environment) -> None:
    assert contracts.distributions() == {"indexer-contracts", "taskora-contracts"}
    assert contracts.run("from indexer_contracts import INDEX_SOURCE; print(INDEX_SOURCE.name)") == "index-source\n"


def test_the_api_knows_the_contracts_and_neither_worker_nor_parser(api: Environment) -> None:
    assert api.can_import("indexer_api")
    assert api.can_import("taskora.producer")
    for module in ("indexer_worker", "taskora.worker", "parso"):
        assert not api.can_import(module)


def test_the_worker_knows_the_contracts_and_no_web_framework(worker: Environment) -> None:
    assert worker.can_import("indexer_worker")
    assert worker.can_import("parso")
    for module in ("indexer_api", "fastapi", "uvicorn"):
        assert not worker.can_import(module)


def test_the_environments_hold_wheels_and_not_the_sources(api: Environment) -> None:
    for module in ("indexer_api", "indexer_contracts", "taskora.producer"):
        assert api.run(f"import {module}; print({module}.__file__)").startswith(str(api.folder))


def test_the_api_dispatches_without_importing_a_handler(api: Environment) -> None:
    script = """
import sys
import indexer_api
print(*(name for name in sys.modules if name.startswith(("taskora.worker", "indexer_worker", "parso", "croniter"))))
"""
    assert api.run(script) == "\n"
