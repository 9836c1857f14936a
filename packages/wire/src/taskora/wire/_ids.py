"""Names that nobody else has."""

import os
from typing import Final

# The two bits that say which kind of UUID it is, by the digit that they are a part of.
_VARIANTS: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def random_id() -> str:
    """A random UUID (version 4) as text; what `str(uuid.uuid4())` gives, without the object in between."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"
