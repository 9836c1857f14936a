"""Records of schedules, ours and those of other programs."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskora.contracts import Schedule
from taskora.wire import ScheduleRecord, ScheduleRecordError, decode_schedule, encode_schedule

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
THEIRS = (
    b'{"task":"rep","overlap":false,"onMissed":"catch-up","data":{"kind":"x"},"every":1000,'
    b'"lastJobId":"dda961af","lastRun":1795299711676}'
)
CRON = b'{"task":"rep","overlap":true,"onMissed":"skip","cron":"0 9 * * MON-FRI","timezone":"America/New_York"}'


def test_a_record_of_another_program_is_read() -> None:
    record = decode_schedule(THEIRS)
    assert record == ScheduleRecord(
        task="rep",
        schedule=Schedule(every="1s", on_missed="catch-up", data={"kind": "x"}),
        last_job_id="dda961af",
        last_run_ms=1795299711676,
    )
    assert decode_schedule(CRON).schedule == Schedule(cron="0 9 * * MON-FRI", timezone="America/New_York", overlap=True)


def test_what_others_know_is_written_as_they_write_it() -> None:
    for raw in (THEIRS, CRON):
        theirs, ours = json.loads(raw), json.loads(encode_schedule(decode_schedule(raw)))
        assert [*ours.items()][: len(theirs)] == [*theirs.items()]
        assert set(ours) - set(theirs) == {"py:version", "py:maxAttempts"}


def test_a_record_of_ours_comes_back_whole() -> None:
    record = ScheduleRecord(
        task="t",
        schedule=Schedule(cron="@daily", timezone="UTC", data=[1, None], start=NOON, end=NOON, jitter="5s"),
        version=3,
        max_attempts=4,
        ttl_ms=500,
        declared=True,
        paused=True,
        last_job_id="x",
        last_run_ms=5,
        due_ms=7,
        others={"note": {"a": 1}},
    )
    assert decode_schedule(encode_schedule(record)) == record


@pytest.mark.parametrize(
    "change", [{"lastRun": 99}, {"every": 2000}, {"every": None, "cron": "@daily"}, {"lastRun": None}]
)
def test_our_due_time_counts_no_more_when_others_have_run_or_changed_it(change: dict[str, Any]) -> None:
    body = json.loads(encode_schedule(decode_schedule(THEIRS).ran("j", now_ms=50, due_ms=60)))
    assert decode_schedule(json.dumps(body).encode()).due_ms == 60
    changed = {name: value for name, value in (body | change).items() if value is not None}
    assert decode_schedule(json.dumps(changed).encode()).due_ms is None


def test_definitions_are_compared_and_histories_are_not() -> None:
    record = decode_schedule(THEIRS)
    assert record.is_defined_like(record.ran("j", now_ms=1, due_ms=2))
    for other in (THEIRS.replace(b"1000", b"2000"), THEIRS.replace(b'"x"', b'"y"'), THEIRS.replace(b"rep", b"pet")):
        assert not record.is_defined_like(decode_schedule(other))
    one, true = (decode_schedule(THEIRS.replace(b'"x"', value)) for value in (b"1", b"true"))
    assert not one.is_defined_like(true)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "must be JSON"),
        (b"\xff", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "task must be"),
        (b'{"task":"a}b","every":1000}', "task must be"),
        (b'{"task":"t"}', "either every or cron"),
        (b'{"task":"t","every":0}', "every must be a positive number"),
        (b'{"task":"t","every":"1s"}', "every must be a positive number"),
        (b'{"task":"t","every":1e400}', "every must be a positive number"),
        (b'{"task":"t","cron":"H * * * *"}', "schedule.cron must be"),
        (b'{"task":"t","cron":"* * * * *","timezone":"Nowhere"}', "schedule.timezone must be"),
        (b'{"task":"t","every":1000,"onMissed":"x"}', "schedule.on_missed must be"),
        (b'{"task":"t","every":1000,"py:version":"1"}', "py:version must be"),
        (b'{"task":"t","every":1000,"py:jitter":-1}', "py:jitter must be"),
    ],
)
def test_a_record_that_asks_for_nothing_that_can_be_done_says_so(raw: bytes, message: str) -> None:
    with pytest.raises(ScheduleRecordError, match=message):
        decode_schedule(raw)


KEYS = ["task", "every", "cron", "timezone", "onMissed", "overlap", "lastRun", "lastJobId"]
OURS = ["py:due", "py:start", "py:end", "py:jitter", "py:ttl"]
TEXTS = st.sampled_from(["", "t", "* * * * *", "UTC", "skip", "\x00"])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*KEYS, *OURS]), json_values | st.sampled_from(["t", 1000, "* * * * *"])))
def test_damage_is_named_and_nothing_else_is_raised(body: dict[str, Any]) -> None:
    try:
        record = decode_schedule(json.dumps(body).encode())
    except ScheduleRecordError:
        return
    again = decode_schedule(encode_schedule(record)).schedule
    if record.schedule.cron is not None and record.schedule.timezone is None:  # a zone that is not said is stored
        assert again.timezone == "UTC"
        again = replace(again, timezone=None)
    assert again == record.schedule
