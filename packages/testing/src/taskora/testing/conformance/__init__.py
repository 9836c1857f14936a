"""What every storage of jobs must do, as tests for its author to run.

Derive from `BackendConformance` in a test module of yours, and say how to open an empty storage. Needs pytest, and no
plugin of it.
"""

import pytest

pytest.register_assert_rewrite("taskora.testing.conformance._cases", "taskora.testing.conformance._subject")

from taskora.testing.conformance._clock import MINUTE_MS, START_MS, StorageClock  # noqa: E402 - rewritten from here on
from taskora.testing.conformance._storage import FlowFacts, OpenStorage, Storage, Tricks  # noqa: E402
from taskora.testing.conformance._suite import BackendConformance, SyncBackendConformance  # noqa: E402

__all__ = [
    "MINUTE_MS",
    "START_MS",
    "BackendConformance",
    "FlowFacts",
    "OpenStorage",
    "Storage",
    "StorageClock",
    "SyncBackendConformance",
    "Tricks",
]
