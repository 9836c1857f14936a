"""Which keyspaces this code can share, and the verdict on the one it meets."""

from typing import Final

from taskora.contracts import WireVersionError, WireVersions
from taskora.contracts.records import record

WIRE_VERSION: Final = 6
MIN_COMPAT: Final = 6

_MOST_DIGITS: Final = 15


@record
class Meta:
    """What a program speaks: its wire version, and the oldest version that can still read what it writes."""

    wire_version: int
    min_compat: int
    written_by: str


@record
class StoredMeta:
    """The meta record as it is stored; fields that are missing are empty."""

    wire_version: str
    min_compat: str
    written_by: str
    written_at: str


OURS: Final = Meta(wire_version=WIRE_VERSION, min_compat=MIN_COMPAT, written_by=f"taskora-wire-{WIRE_VERSION}")


def check_meta(stored: StoredMeta, ours: Meta = OURS) -> None:
    """Accepts a keyspace, or says why not.

    Raises:
        WireVersionError: the record is damaged, or the two windows of versions do not touch.
    """
    wire_version, min_compat = _version_of(stored.wire_version), _version_of(stored.min_compat)
    we, they = _describe(ours), _shown(stored)
    if wire_version is None or min_compat is None or min_compat > wire_version:
        raise WireVersionError(code="invalid_meta", ours=we, theirs=they)
    if wire_version < ours.min_compat:
        raise WireVersionError(code="theirs_too_old", ours=we, theirs=they)
    if ours.wire_version < min_compat:
        raise WireVersionError(code="theirs_too_new", ours=we, theirs=they)


def _version_of(text: str) -> int | None:
    # Python refuses to read numbers of thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    return int(text) or None


def _describe(meta: Meta) -> WireVersions:
    return WireVersions(version=meta.wire_version, min_compat=meta.min_compat, written_by=meta.written_by)


def _shown(stored: StoredMeta) -> WireVersions:
    return WireVersions(version=stored.wire_version, min_compat=stored.min_compat, written_by=stored.written_by)
