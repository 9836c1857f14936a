"""Serializers, and the labels by which they are told apart."""

import json
from typing import Any

import pytest

from taskora.contracts import UsageError
from taskora.wire import (
    JsonSerializer,
    LabelledSerializer,
    Serializer,
    WrongSerializerError,
    labelled,
    writer_of,
    wrong_serializer,
)


class Digits:
    """Integers, as their decimal digits: every one of its payloads is JSON too."""

    def dumps(self, value: object) -> bytes:
        return str(value).encode()

    def loads(self, raw: bytes) -> object:
        return int(raw, 16)


class Named(Digits):
    name = "digits-v2"


class Texts(Digits):
    def dumps(self, value: object) -> Any:
        return str(value)


class MyJson(JsonSerializer):
    pass


def test_json_needs_no_label() -> None:
    for serializer in (None, JsonSerializer(), MyJson()):
        assert labelled(serializer) is serializer


def test_a_label_is_put_on_once() -> None:
    made = labelled(Digits())
    assert isinstance(made, LabelledSerializer)
    assert labelled(made) is made


@pytest.mark.parametrize(
    ("serializer", "name"), [(Digits(), "Digits"), (Named(), "digits-v2"), (json, "json"), (Digits, "Digits")]
)
def test_the_label_is_the_name_of_the_serializer(serializer: Any, name: str) -> None:
    made = LabelledSerializer(serializer)
    assert made.name == name
    assert writer_of(made.label + b"x") == name


@pytest.mark.parametrize("name", ["", 5, "a" * 65, "a\0b", "a\nb", None])
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    serializer = Named()
    serializer.name = name
    with pytest.raises(UsageError, match=r"serializer\.name must be 1 to 64 printable characters"):
        labelled(serializer)


def test_a_serializer_reads_what_it_wrote() -> None:
    made = LabelledSerializer(Digits())
    assert made.dumps(10) == b"\0Digits\x0010"
    assert made.loads(b"\0Digits\x0010") == 16


def test_what_is_not_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="it must return bytes, not str"):
        LabelledSerializer(Texts()).dumps(1)


MISREADINGS: list[tuple[bytes, Serializer, str]] = [
    (b"10", Digits(), "written with serializer JSON, but read with 'Digits'"),
    (b"\0Digits\x0010", Named(), "written with serializer 'Digits', but read with 'digits-v2'"),
    (b"\0Digits\x0010", JsonSerializer(), "written with serializer 'Digits', but read with JSON"),
    (b"\xff\xfe", Digits(), r"written with serializer unknown \(it left no name"),
    (b"\0Digits", Digits(), r"written with serializer unknown \(it left no name"),
    (b"[" * 100_000, Digits(), r"written with serializer unknown \(it left no name"),
]


@pytest.mark.parametrize(("raw", "reader", "message"), MISREADINGS, ids=range(len(MISREADINGS)))
def test_payloads_of_others_are_told_apart_even_where_they_could_be_read(
    raw: bytes, reader: Serializer, message: str
) -> None:
    made = labelled(reader)
    assert made is not None
    error = wrong_serializer(raw, made)
    assert error is not None
    with pytest.raises(WrongSerializerError, match=message + ".*give all producers and workers"):
        raise error
    if isinstance(made, LabelledSerializer):
        with pytest.raises(WrongSerializerError, match=message):
            made.loads(raw)


@pytest.mark.parametrize("raw", [b"", b"10", b"{"])
def test_json_takes_whatever_has_no_label(raw: bytes) -> None:
    assert wrong_serializer(raw, JsonSerializer()) is None
    assert writer_of(raw) is None
