"""The handler, bound to its contract."""

import os
from typing import Final

from indexer_contracts import INDEX_SOURCE
from indexer_worker._handler import index_source
from taskora.worker import Worker

DEFAULT_URL: Final = "redis://localhost:6379"


def create_worker(url: str | None = None) -> Worker:
    """The worker.

    Args:
        url: Where the server is; INDEXER_REDIS_URL by default.
    """
    worker = Worker(url or os.environ.get("INDEXER_REDIS_URL", DEFAULT_URL))
    # Parsing is nothing but computing: it gets processes of its own, which are killed when a job is out of time.
    worker.implement(INDEX_SOURCE, index_source, executor="process", concurrency=2)
    return worker
