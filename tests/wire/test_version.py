"""The verdict on a keyspace: do two windows of versions touch?"""

import pytest

from taskora.contracts import WireVersionError
from taskora.wire import MIN_COMPAT, OURS, WIRE_VERSION, Meta, StoredMeta, check_meta

WE = Meta(wire_version=6, min_compat=4, written_by="us")


def stored(wire_version: str, min_compat: str) -> StoredMeta:
    return StoredMeta(wire_version=wire_version, min_compat=min_compat, written_by="them", written_at="1")


def test_what_we_present() -> None:
    assert (WIRE_VERSION, MIN_COMPAT) == (6, 6)
    assert Meta(wire_version=6, min_compat=6, written_by="taskora-wire-6") == OURS


@pytest.mark.parametrize(
    ("wire_version", "min_compat"),
    [
        pytest.param("6", "4", id="equal"),
        pytest.param("5", "2", id="older, inside our window"),
        pytest.param("4", "1", id="windows touch at our oldest"),
        pytest.param("9", "5", id="newer, still supports us"),
        pytest.param("9", "6", id="windows touch at our newest"),
        pytest.param("6", "6", id="its window is one version"),
    ],
)
def test_a_keyspace_that_can_be_shared(wire_version: str, min_compat: str) -> None:
    check_meta(stored(wire_version, min_compat), WE)


@pytest.mark.parametrize(
    ("wire_version", "min_compat", "code"),
    [
        pytest.param("7", "7", "theirs_too_new", id="newer by one"),
        pytest.param("99", "99", "theirs_too_new", id="much newer"),
        pytest.param("3", "1", "theirs_too_old", id="older by one"),
        pytest.param("1", "1", "theirs_too_old", id="the first"),
        pytest.param("0", "0", "invalid_meta", id="zero"),
        pytest.param("6", "0", "invalid_meta", id="minCompat of zero"),
        pytest.param("6", "7", "invalid_meta", id="minCompat above the version"),
        pytest.param("6.5", "6", "invalid_meta", id="a fraction"),
        pytest.param("6", "5.5", "invalid_meta", id="minCompat a fraction"),
        pytest.param("-6", "6", "invalid_meta", id="negative"),
        pytest.param("", "", "invalid_meta", id="empty"),
        pytest.param("", "6", "invalid_meta", id="without a version"),
        pytest.param("6", "", "invalid_meta", id="without minCompat"),
        pytest.param("six", "6", "invalid_meta", id="a word"),
        pytest.param(" 6", "6", "invalid_meta", id="a space"),
        pytest.param("٦", "٦", "invalid_meta", id="digits of another script"),
        pytest.param("9" * 5000, "6", "invalid_meta", id="more digits than Python reads"),
    ],
)
def test_a_keyspace_that_cannot_be_shared(wire_version: str, min_compat: str, code: str) -> None:
    with pytest.raises(WireVersionError) as caught:
        check_meta(stored(wire_version, min_compat), WE)
    error = caught.value
    assert error.code == code
    assert (error.theirs.version, error.theirs.min_compat) == (wire_version, min_compat)
    assert (error.ours.version, error.ours.min_compat, error.theirs.written_by) == (6, 4, "them")


@pytest.mark.parametrize(("wire_version", "min_compat"), [("99", "99"), ("1", "1")])
def test_a_refusal_names_versions_and_writer(wire_version: str, min_compat: str) -> None:
    with pytest.raises(WireVersionError, match=f"version {wire_version} .*written by them") as caught:
        check_meta(stored(wire_version, min_compat), WE)
    assert "version 6" in str(caught.value)
