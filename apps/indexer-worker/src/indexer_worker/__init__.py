"""The worker of the indexer: the only service that needs a parser."""

from indexer_worker._handler import OutsideRootError, index_source
from indexer_worker._worker import create_worker

__all__ = ["OutsideRootError", "create_worker", "index_source"]
