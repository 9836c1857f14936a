"""From stream entries to typed events."""

import random
from typing import Annotated, Any

import pydantic
import pytest

from packages.producer.tests.playing import Receipt
from taskora.contracts import JobState
from taskora.producer import (
    ActiveEvent,
    CancelledEvent,
    CollectEvent,
    CompletedEvent,
    DebouncedEvent,
    DelayedEvent,
    ExpiredEvent,
    FailedEvent,
    JobEvent,
    PayloadCodec,
    ProgressEvent,
    PromotedEvent,
    RetryingEvent,
    StalledEvent,
    WaitingEvent,
)
from taskora.producer._event_cursor import EventCursor
from taskora.producer._events import job_events, needs_status
from taskora.wire import JobStatus, StreamEvent, decode_event

CODEC = PayloadCodec[Receipt]("orders", "output", Receipt, None)
ABOUT: dict[str, Any] = {"task": "orders", "job_id": "j", "timestamp_ms": 1714564800000}


def entry(name: str, **fields: str) -> StreamEvent:
    flat = [b"event", name.encode(), b"jobId", b"j"]
    for field, value in fields.items():
        flat += [field.encode(), value.encode()]
    event = decode_event("orders", b"1714564800000-3", flat)
    assert event is not None
    return event


def status(**changes: Any) -> JobStatus:
    fields: dict[str, Any] = {
        "state": JobState.COMPLETED, "attempt": 2, "processed_on_ms": 1000, "finished_on_ms": 1250,
        "result": b'{"total":3}', "error": "late", "cancel_reason": None, "progress": None,
    }  # fmt: skip
    return JobStatus(**{**fields, **changes})


OURS: list[tuple[StreamEvent, list[Any]]] = [
    (entry("waiting"), [WaitingEvent(**ABOUT)]),
    (entry("delayed"), [DelayedEvent(**ABOUT)]),
    (entry("promoted"), [PromotedEvent(**ABOUT)]),
    (entry("expired"), [ExpiredEvent(**ABOUT)]),
    (entry("active", attempt="1"), [ActiveEvent(**ABOUT, attempt=1)]),
    (entry("progress", value="50"), [ProgressEvent(**ABOUT, value=50)]),
    (entry("progress", value='{"a":[1]}'), [ProgressEvent(**ABOUT, value={"a": [1]})]),
    (entry("progress", value="{half"), [ProgressEvent(**ABOUT, value="{half")]),
    (entry("progress"), [ProgressEvent(**ABOUT, value=None)]),
    (entry("failed", attempt="3", error="boom"), [FailedEvent(**ABOUT, attempt=3, error="boom", will_retry=False)]),
    (entry("failed", attempt="1", error=""), [FailedEvent(**ABOUT, attempt=1, error="", will_retry=False)]),
    (
        entry("retrying", attempt="2", nextAttemptAt="99", error="boom"),
        [
            FailedEvent(**ABOUT, attempt=1, error="boom", will_retry=True),
            RetryingEvent(**ABOUT, attempt=2, error="boom", next_attempt_ms=99),
        ],
    ),
    (entry("stalled", count="1", action="recovered"), [StalledEvent(**ABOUT, count=1, action="recovered")]),
    (entry("stalled", count="2", action="failed"), [StalledEvent(**ABOUT, count=2, action="failed")]),
    (entry("stalled", count="two"), [StalledEvent(**ABOUT, count=0, action="recovered")]),
    (entry("cancelled", reason="changed"), [CancelledEvent(**ABOUT, reason="changed")]),
    (entry("cancelled", reason=""), [CancelledEvent(**ABOUT, reason=None)]),
    (entry("cancelled"), [CancelledEvent(**ABOUT, reason=None)]),
    (entry("debounced", replacedBy="k"), [DebouncedEvent(**ABOUT, replaced_by="k")]),
    (entry("debounced"), [DebouncedEvent(**ABOUT, replaced_by="")]),
    (entry("collect", count="1", key="k"), [CollectEvent(**ABOUT, count=1, key="k")]),
    (entry("collect", count="many"), [CollectEvent(**ABOUT, count=0, key="")]),
    (entry("from-the-future", more="x"), []),
]


@pytest.mark.parametrize(("event", "expected"), OURS)
def test_our_entries_need_no_record(event: StreamEvent, expected: list[Any]) -> None:
    assert not needs_status(event)
    assert job_events(event, None, CODEC) == expected


@pytest.mark.parametrize(("event", "expected"), OURS)
def test_what_an_entry_says_is_not_overruled_by_a_later_record(event: StreamEvent, expected: list[Any]) -> None:
    assert job_events(event, status(), CODEC) == expected


ODD_NUMBERS = ["--5", "-", "5-", "\u00b2", "1e3", "", "9" * 5000, "-" + "9" * 5000, "\x00", "nan"]


@pytest.mark.parametrize("text", ODD_NUMBERS)
def test_a_number_that_is_none_counts_as_nothing(text: str) -> None:
    (event,) = job_events(entry("stalled", count=text), None, CODEC)
    assert isinstance(event, StalledEvent)
    assert event.count == 0


def test_whatever_is_written_gives_events_or_none() -> None:
    chance = random.Random(7)
    names = [event.name for event, _ in OURS]
    for _ in range(3000):
        fields = {
            field: "".join(chance.choices('-+.019 _eE{}[]"\u00b2\u0663\ud7ff\x00', k=chance.randrange(12)))
            for field in chance.sample(["attempt", "error", "count", "action", "value", "reason", "nextAttemptAt"], 4)
        }
        event = entry(chance.choice(names), **fields)
        for record in (None, status(result=fields.get("value", "").encode())):
            assert all(isinstance(one, JobEvent) for one in job_events(event, record, CODEC))


def test_an_entry_that_breaks_everything_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    class Explosive(dict[str, str]):
        def get(self, *_: Any) -> Any:
            raise RuntimeError("bug")

    bad = StreamEvent(task="orders", position="1-0", name="progress", job_id="j", fields=Explosive())
    cursor = EventCursor({"orders": CODEC}, {"orders": "0-0"})
    flow = cursor.read()
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send([bad, entry("waiting")])
    assert [event.kind for event in done.value.value] == ["waiting"]
    assert [record.message for record in caplog.records] == ["event_passed_over"]


THEIRS: list[tuple[StreamEvent, list[Any]]] = [
    (entry("active"), [ActiveEvent(**ABOUT, attempt=2)]),
    (entry("failed"), [FailedEvent(**ABOUT, attempt=2, error="late", will_retry=False)]),
    (
        entry("retrying", attempt="2", nextAttemptAt="99"),
        [
            FailedEvent(**ABOUT, attempt=1, error="late", will_retry=True),
            RetryingEvent(**ABOUT, attempt=2, error="late", next_attempt_ms=99),
        ],
    ),
    (entry("completed"), [CompletedEvent(**ABOUT, attempt=2, result=Receipt(3), duration_ms=250)]),
]


@pytest.mark.parametrize(("event", "expected"), THEIRS)
def test_entries_of_the_original_layout_are_completed_from_the_record(event: StreamEvent, expected: list[Any]) -> None:
    assert needs_status(event)
    assert job_events(event, status(), CODEC) == expected


@pytest.mark.parametrize(("event", "expected"), THEIRS)
def test_entries_of_the_original_layout_survive_a_record_that_is_gone(event: StreamEvent, expected: list[Any]) -> None:
    kinds: list[str] = [one.kind for one in expected]
    assert [one.kind for one in job_events(event, None, CODEC)] == kinds


@pytest.mark.parametrize("raw", [b"{", b'{"total":"many"}', b"\xff", b"", None])
def test_a_result_that_cannot_be_decoded_is_none(raw: bytes | None) -> None:
    (event,) = job_events(entry("completed", attempt="1"), status(result=raw), CODEC)
    assert event == CompletedEvent(**ABOUT, attempt=1, result=None, duration_ms=250)


def test_a_bug_in_a_validator_does_not_end_the_stream() -> None:
    def explode(value: object) -> object:
        raise KeyError("bug")

    codec = PayloadCodec[Any]("orders", "output", Annotated[int, pydantic.BeforeValidator(explode)], None)
    (event,) = job_events(entry("completed", attempt="1"), status(result=b"1"), codec)
    assert isinstance(event, CompletedEvent)
    assert event.result is None


@pytest.mark.parametrize(
    ("processed", "finished", "duration"), [(None, 5, None), (5, None, None), (10, 5, 0), (5, 10, 5)]
)
def test_a_duration_is_never_negative(processed: int | None, finished: int | None, duration: int | None) -> None:
    about = status(processed_on_ms=processed, finished_on_ms=finished)
    (event,) = job_events(entry("completed", attempt="1"), about, CODEC)
    assert isinstance(event, CompletedEvent)
    assert event.duration_ms == duration


def test_kinds_are_the_words_of_the_stream() -> None:
    for event, expected in OURS:
        assert {one.kind for one in expected} <= {event.name, "failed"}
