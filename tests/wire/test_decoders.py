"""Whatever is stored, reading it raises nothing that a reader does not expect."""

import contextlib
import json
import math
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskora.contracts import WireVersionError
from taskora.wire import (
    Exchange,
    JsonSerializer,
    Keyspace,
    LogEntry,
    LogLevel,
    RecoverStalled,
    StoredMeta,
    check_meta,
    decode_event,
    decode_log,
    encode_log,
)
from taskora.wire._commands import command_for
from taskora.wire._handshake import concerns_us
from taskora.wire._job import STATUS_FIELDS, decode_record, decode_status

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
HOSTILE = st.sampled_from(
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b"-0",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b"",
        b" ",
    ]
)
NUMBERS = st.integers().map(lambda number: str(number).encode())
STATES = st.sampled_from([b"waiting", b"active", b"completed", b"stalled", b"", b"\xff"])
RAW = st.binary() | HOSTILE | NUMBERS | STATES | JSON.map(lambda value: json.dumps(value).encode())
NAMES = (
    st.sampled_from([*STATUS_FIELDS, "data", "_v", "maxAttempts", "priority", "ts", "delay", "expireAt"]) | st.text()
)


@given(st.lists(st.none() | RAW, min_size=len(STATUS_FIELDS), max_size=len(STATUS_FIELDS)))
def test_a_status_is_read_from_anything(values: list[bytes | None]) -> None:
    status = decode_status(values)
    assert status is None or isinstance(status.attempt, int)


@given(st.dictionaries(NAMES, RAW), st.lists(RAW, max_size=3))
def test_a_record_is_read_from_anything(fields: dict[str, bytes], logs: list[bytes]) -> None:
    record = decode_record("j1", {**fields, "state": b"waiting"}, logs)
    assert record is not None
    assert len(record.logs) == len(logs)


@given(st.lists(st.tuples(RAW, RAW, RAW, RAW, RAW), max_size=4))
def test_claims_are_read_from_anything(rows: list[tuple[bytes, ...]]) -> None:
    operation = Exchange(task="t", token="T", lease_ms=1, slots=9)
    claims = command_for(operation, Keyspace(), None).decode([1, -1, b"", b"", *chain(*rows)]).claims
    assert [claim.data for claim in claims] == [row[1] for row in rows]
    assert all(isinstance(claim.version + claim.attempt + claim.timestamp_ms, int) for claim in claims)


@given(RAW, RAW)
def test_steps_of_workflows_are_read_from_anything(workflow_id: bytes, step: bytes) -> None:
    operation = Exchange(task="t", token="T", lease_ms=1, slots=1)
    reply = [1, -1, b"", [0, workflow_id, step], b"j", b"1", b"1", b"1", b"1"]
    (claim,) = command_for(operation, Keyspace(), None).decode(reply).claims
    assert claim.link is None or isinstance(claim.link.step, int)


@given(st.lists(st.lists(RAW), min_size=4, max_size=4))
def test_what_a_stall_sweep_found_is_read_from_anything(ids: list[list[bytes]]) -> None:
    reply = command_for(RecoverStalled(task="t", max_count=1), Keyspace(), None).decode(ids)
    assert [len(reply.recovered), len(reply.failed), len(reply.cancelled)] == [len(found) for found in ids[:3]]


LOG_FIELDS = {
    "level": JSON | st.sampled_from(["info", "warn", "error", "debug"]),
    "message": JSON,
    "meta": JSON,
    "timestamp": JSON | st.sampled_from([math.inf, -math.inf, math.nan, 10**400]),
}


@given(RAW | st.fixed_dictionaries({}, optional=LOG_FIELDS).map(lambda body: json.dumps(body).encode()))
def test_a_log_entry_is_read_from_anything(raw: bytes) -> None:
    entry = decode_log(raw)
    assert entry.level in {"info", "warn", "error"}
    assert isinstance(entry.message, str)
    assert isinstance(entry.timestamp_ms, int)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"not JSON", LogEntry(level="info", message="not JSON", timestamp_ms=0)),
        (b'"text"', LogEntry(level="info", message='"text"', timestamp_ms=0)),
        (b"\xff", LogEntry(level="info", message="\\xff", timestamp_ms=0)),
        (b"{}", LogEntry(level="info", message="", timestamp_ms=0)),
        (b'{"level":"debug","message":5}', LogEntry(level="info", message="5", timestamp_ms=0)),
        (b'{"level":[],"timestamp":1e999}', LogEntry(level="info", message="", timestamp_ms=0)),
        (b'{"message":"m","timestamp":12.0,"meta":[1]}', LogEntry(level="info", message="m", timestamp_ms=12)),
    ],
)
def test_a_malformed_log_entry_is_shown_as_well_as_can_be(raw: bytes, expected: LogEntry) -> None:
    assert decode_log(raw) == expected


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(
    level=st.sampled_from(["info", "warn", "error"]),
    message=st.text(),
    timestamp_ms=st.integers(min_value=0),
    meta=st.none() | st.dictionaries(st.text(), PLAIN, min_size=1),
)
def test_a_log_entry_survives_being_written(
    level: LogLevel, message: str, timestamp_ms: int, meta: dict[str, object] | None
) -> None:
    entry = LogEntry(level=level, message=message, timestamp_ms=timestamp_ms, meta=meta)
    assert decode_log(encode_log(entry)) == entry


ODD = st.floats() | st.binary() | st.sets(st.integers()) | st.text(st.characters(categories=["Cs"])) | st.just(object)


@given(st.text() | st.text(st.characters(categories=["Cs", "Lu"])), st.dictionaries(st.text(), ODD | PLAIN))
def test_a_log_entry_is_always_valid_json(message: str, meta: dict[str, object]) -> None:
    raw = encode_log(LogEntry(level="info", message=message, timestamp_ms=1, meta=meta))
    body: Any = json.loads(raw, parse_constant=pytest.fail)
    assert list(body) == ["level", "message", *(["meta"] if meta else []), "timestamp"]


def test_a_log_entry_has_the_bytes_that_other_programs_write() -> None:
    entry = LogEntry(level="warn", message="Привет 😀/…", timestamp_ms=1795299651772, meta={"n": 1.5, "ok": True})
    expected = '{"level":"warn","message":"Привет 😀/…","meta":{"n":1.5,"ok":true},"timestamp":1795299651772}'
    assert encode_log(entry).decode() == expected


@given(st.binary(), st.lists(st.binary()))
def test_an_event_is_read_from_anything(position: bytes, flat: list[bytes]) -> None:
    event = decode_event("t", position, flat)
    assert event is None or (event.name and event.job_id)


def test_an_event_keeps_the_fields_nobody_here_knows() -> None:
    event = decode_event("t", b"5-0", [b"event", b"progress", b"jobId", b"j1", b"value", b"5", b"new", b"\xff"])
    assert event is not None
    assert (event.position, event.name, event.job_id) == ("5-0", "progress", "j1")
    assert event.fields == {"value": "5", "new": "\\xff"}


@given(RAW)
def test_a_migration_lock_is_read_from_anything(raw: bytes) -> None:
    assert concerns_us(raw) in {True, False}


TEXTS = st.text() | st.integers().map(str) | st.just("9" * 10_000)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_meta_record_is_read_from_anything(
    wire_version: str, min_compat: str, written_by: str, written_at: str
) -> None:
    stored = StoredMeta(wire_version=wire_version, min_compat=min_compat, written_by=written_by, written_at=written_at)
    with contextlib.suppress(WireVersionError):
        check_meta(stored)


@given(PLAIN)
def test_a_payload_survives_being_written(value: object) -> None:
    serializer = JsonSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


def test_an_empty_payload_is_nothing_and_nothing_is_null() -> None:
    serializer = JsonSerializer()
    assert serializer.loads(b"") is None
    assert serializer.dumps(None) == b"null"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_payload_never_holds_what_json_has_no_form_for(value: float) -> None:
    assert JsonSerializer().dumps({"x": [value]}) == b'{"x":[null]}'
