"""The raw keyspace of the transition tests serves here, too."""

from tests.transitions.conftest import task

__all__ = ["task"]
