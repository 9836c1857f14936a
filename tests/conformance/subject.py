"""The words of the suite."""

from taskora.testing.conformance._subject import (
    LEASE_MS,
    TASK,
    Subject,
    View,
    cancelled,
    completed,
    enqueueing,
    exchanging,
    failed,
    ids,
    job,
    opened,
    released,
    retrying,
    shown,
)

__all__ = [
    "LEASE_MS",
    "TASK",
    "Subject",
    "View",
    "cancelled",
    "completed",
    "enqueueing",
    "exchanging",
    "failed",
    "ids",
    "job",
    "opened",
    "released",
    "retrying",
    "shown",
]
