"""Names that nobody else has."""

import os
from typing import Final

_LENGTH: Final = 36
_DASHES: Final = (8, 13, 18, 23)
_VERSION: Final = 14
_VARIANT: Final = 19
# The two bits that say which kind of UUID it is, by the digit that they are a part of.
_VARIANTS: Final = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)

# The system is asked for the bytes of many ids at once: asking costs more than all the rest.
_AT_ONCE: Final = 128
_FEW: Final = 24  # below this, one by one is cheaper
# By process, since two must not give out the same ones. Python says when it forks, but not when a server forks that has
# Python inside, as uWSGI does; and a process may have the number of one that it descends from.
_unused: Final[dict[int, list[str]]] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unused.clear)


def random_id() -> str:
    """A random UUID (version 4) as text; what `str(uuid.uuid4())` gives, without the object in between."""
    process = os.getpid()
    try:
        return _unused[process].pop()
    except LookupError:  # none left, or none yet
        made, *others = _make(_AT_ONCE)
        _unused.setdefault(process, []).extend(others)
        return made


def random_ids(count: int) -> list[str]:
    """As many of them."""
    return [random_id() for _ in range(count)] if count < _FEW else _make(count)


def _make(count: int) -> list[str]:
    """Of digits that are all random, with the few that are not written over them, each for all ids in one go."""
    text = bytearray(os.urandom(_LENGTH // 2 * count).hex(), "ascii")
    dashes = b"-" * count
    for position in _DASHES:
        text[position::_LENGTH] = dashes
    text[_VERSION::_LENGTH] = b"4" * count
    text[_VARIANT::_LENGTH] = text[_VARIANT::_LENGTH].translate(_VARIANTS)
    ids = text.decode("ascii")
    return [ids[start : start + _LENGTH] for start in range(0, len(ids), _LENGTH)]
