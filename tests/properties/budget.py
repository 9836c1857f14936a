"""How many histories are tried, and which.

Normally a fixed number of fixed ones, other ones for each kind of server, so that a run tells about the code and not
about luck. `HYPOTHESIS_PROFILE=long` (`make test-long`) tries many more, longer ones, and new ones every time;
`HYPOTHESIS_EXAMPLES` says how many, and pytest's `--hypothesis-seed` which.
"""

import os
import zlib
from typing import Final, TypeVar

from hypothesis import HealthCheck, seed, settings

M = TypeVar("M")

_EXAMPLES: Final = 80
_LONG_EXAMPLES: Final = 2000
_COMMON: Final = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def budget() -> settings:
    """The settings that the environment asks for.

    Raises:
        ValueError: `HYPOTHESIS_PROFILE` is neither `default` nor `long`.
    """
    if not _is_long():
        return _COMMON
    examples = int(os.environ.get("HYPOTHESIS_EXAMPLES", _LONG_EXAMPLES))
    return settings(_COMMON, max_examples=examples, stateful_step_count=80)


def chosen(machine: type[M], name: str) -> type[M]:
    """The machine, with histories that depend on nothing but a name, unless new ones are wanted."""
    return machine if _is_long() else seed(zlib.crc32(name.encode()))(machine)


def _is_long() -> bool:
    profile = os.environ.get("HYPOTHESIS_PROFILE", "default")
    if profile not in {"default", "long"}:
        raise ValueError(f"HYPOTHESIS_PROFILE is {profile!r}: unset it, or set it to 'long'")
    return profile == "long"
