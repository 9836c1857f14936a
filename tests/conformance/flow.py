"""The words of the suite."""

from taskora.testing.conformance._flow import (
    UNFINISHED,
    admissions,
    admitting,
    collected,
    created,
    debounced,
    deduplicated,
    deduplicated_for,
    dispatch,
    keyed,
    latest,
    lifo,
    pushing,
    throttled,
)

__all__ = [
    "UNFINISHED",
    "admissions",
    "admitting",
    "collected",
    "created",
    "debounced",
    "deduplicated",
    "deduplicated_for",
    "dispatch",
    "keyed",
    "latest",
    "lifo",
    "pushing",
    "throttled",
]
