"""Names that nobody else has."""

import os
from typing import Final

_LENGTH: Final = 36
# Where the random digits of a UUID stand: in its text, and among the 32 of 16 bytes.
_RANDOM: Final = tuple(
    (position, digit)
    for position, digit in zip((n for n in range(_LENGTH) if n not in (8, 13, 18, 23)), range(32), strict=True)
    if digit != 12  # the version, which is 4
)
_EMPTY: Final = b"00000000-0000-4000-0000-000000000000"
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
    """Position by position, each for all ids in one go."""
    digits = bytearray(os.urandom(16 * count).hex(), "ascii")
    text = bytearray(_EMPTY * count)
    for position, digit in _RANDOM:
        text[position::_LENGTH] = digits[digit::32]
    text[_VARIANT::_LENGTH] = text[_VARIANT::_LENGTH].translate(_VARIANTS)
    ids = text.decode("ascii")
    return [ids[start : start + _LENGTH] for start in range(0, len(ids), _LENGTH)]
