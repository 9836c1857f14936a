"""Names that nobody else has."""

import os
from typing import Final

# The two bits that say which kind of UUID it is, by the digit that they are a part of.
_VARIANTS: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


# The system is asked for the bytes of many ids at once: asking costs more than all the rest.
_AT_ONCE: Final = 64
_unused: Final[list[str]] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unused.clear)  # two processes must not give out the same ones


def random_id() -> str:
    """A random UUID (version 4) as text; what `str(uuid.uuid4())` gives, without the object in between."""
    try:
        digits = _unused.pop()
    except IndexError:
        many = os.urandom(16 * _AT_ONCE).hex()
        _unused.extend([many[start : start + 32] for start in range(32, len(many), 32)])
        digits = many[:32]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"
