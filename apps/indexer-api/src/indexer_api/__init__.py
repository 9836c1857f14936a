"""The HTTP service of the indexer. It knows the contracts, and neither the handler nor its parser."""

from indexer_api._app import create_app

__all__ = ["create_app"]
