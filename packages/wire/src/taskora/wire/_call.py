"""What travels to Redis: a script with its keys and arguments, and nothing else."""

from typing import Any, Generic, TypeAlias, TypeVar

from taskora.contracts.records import record

Arg: TypeAlias = str | bytes | int | float

# now_ms, earliest due or -1, a digit per outcome, links of steps; and of each claim job_id, data, version, attempt, ts
ExchangeReply: TypeAlias = list[Any]
ScanPage: TypeAlias = tuple[bytes, list[bytes]]

R = TypeVar("R", covariant=True)


@record
class Script:
    """A transition as the server knows it."""

    name: str
    sha: str
    text: str


@record(guarded=False)
class Call(Generic[R]):
    """One atomic script call; `R` is the shape of the raw reply.

    All keys of one call share the hash tag of a task, so that the call has one slot in Redis Cluster.
    """

    script: Script
    keys: tuple[str, ...]
    args: tuple[Arg, ...]
