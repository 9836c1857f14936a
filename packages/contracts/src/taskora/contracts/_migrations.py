"""Steps that bring payloads of older versions up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, cast

from taskora.contracts._errors import UsageError
from taskora.contracts._options import is_integer
from taskora.contracts.records import record

T = TypeVar("T")


@record(kw_only=False)
class Migration(Generic[T]):
    """A step whose result is meant for `target`; made by `into`."""

    target: type[T]
    step: Callable[[Any], T | Mapping[str, object]]

    def __call__(self, payload: object) -> object:
        """The payload, one version newer."""
        return self.step(payload)


MigrationStep: TypeAlias = Callable[[Any], object]
"""Takes the plain JSON value of one version, and returns that of the next."""

Migrations: TypeAlias = Mapping[int, MigrationStep] | Sequence[MigrationStep]
"""By the version that a step starts from; or in order, the first one from the oldest version that is accepted."""


def into(target: type[T], step: Callable[[Any], T | Mapping[str, object]]) -> Migration[T]:
    """Type the last step of a list of migrations: what it returns must fit `target`."""
    return Migration(target, step)


def migration_steps(migrate: Migrations | None, *, version: int, since: int) -> tuple[int, dict[int, MigrationStep]]:
    """Return the version that the steps lead to, and the steps by the version they start from.

    A list says by its length how far it leads: one step for each version from `since` on. A mapping may leave gaps:
    versions between which defaults suffice.

    Raises:
        UsageError: a step is no function, or starts outside of `since` to `version`.
    """
    if migrate is None:
        return version, {}
    given = cast("object", migrate)
    if isinstance(given, Mapping):
        steps = dict(cast("Mapping[int, MigrationStep]", given))
    elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
        steps = {since + index: step for index, step in enumerate(cast("Sequence[MigrationStep]", given))}
        version = since + len(steps)
    else:
        raise UsageError.for_field("migrate", migrate, "a mapping of versions to functions, or a list of functions")
    for start, step in steps.items():
        if not is_integer(start) or not since <= start < version:
            raise UsageError.for_field("migrate", start, f"from a version from {since} to {version - 1}")
        if not callable(step):
            raise UsageError.for_field(f"migrate[{start}]", step, "a function")
    return version, steps
