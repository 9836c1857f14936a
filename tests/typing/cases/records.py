"""Records are frozen, keyword-only dataclasses to type checkers."""

import dataclasses
from typing import Generic, TypeVar, assert_type

from taskora.contracts import Retry
from taskora.contracts.records import field, record, replace
from taskora.wire import Claim

T = TypeVar("T")


@record
class Parcel:
    name: str
    grams: int = 10
    notes: list[str] = field(default_factory=list[str])
    label: str = field(init=False, repr=False)


@record(kw_only=False, guarded=False)
class Box(Generic[T]):
    content: T
    lid: bool = False


@record(frozen=False)
class Counter:
    count: int = 0


parcel = Parcel(name="a")
assert_type(parcel, Parcel)
assert_type(parcel.notes, list[str])
assert_type(replace(parcel, name="b"), Parcel)
assert_type(dataclasses.replace(parcel, name="b"), Parcel)
dataclasses.asdict(parcel)
dataclasses.fields(Parcel)
parcel.name = "b"  # E: mypy,pyright
Parcel()  # E: mypy,pyright
Parcel("a")  # E: mypy,pyright
Parcel(name=1)  # E: mypy,pyright
Parcel(name="a", label="b")  # E: mypy,pyright
Parcel(name="a", colour="red")  # E: mypy,pyright

box = Box(1, lid=True)
assert_type(box, Box[int])
assert_type(box.content, int)
box.content = 2  # E: mypy,pyright
Box()  # E: mypy,pyright
match box:
    case Box(content, lid):
        assert_type(content, int)
        assert_type(lid, bool)

counter = Counter()
counter.count += 1
counter.count = "1"  # E: mypy,pyright

Retry(attempts=2).attempts = 3  # E: mypy,pyright
Claim(job_id="a")  # E: mypy,pyright


@record
class Misordered:
    first: int = 1
    second: int


@record(kw_only=False)
class MisorderedPositions:
    first: int = 1
    second: int  # E: mypy,pyright
