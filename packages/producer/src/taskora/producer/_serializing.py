"""Serializers of the user's: what goes wrong in one says whose it was."""

from typing import Final

from taskora.wire import LabelledSerializer, Serializer

NOTHING: Final = b"null"


def dump(serializer: Serializer, plain: object) -> bytes:
    try:
        return serializer.dumps(plain)
    except Exception as error:
        raise ValueError(f"{_title(serializer)}.dumps: {type(error).__name__}: {error}") from error


def load(serializer: Serializer, raw: bytes) -> object:
    if raw == NOTHING:
        return None
    try:
        return serializer.loads(raw)
    except Exception as error:
        raise ValueError(f"{_title(serializer)}.loads: {type(error).__name__}: {error}") from error


def _title(serializer: Serializer) -> str:
    return serializer.name if isinstance(serializer, LabelledSerializer) else type(serializer).__name__
