"""Records are dataclasses to all who look."""

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import unittest
from typing import Any, ClassVar, Generic, TypeVar

from taskora.contracts.records import field, field_names, record, replace

T = TypeVar("T")


@record
class Parcel:
    """What is sent."""

    kind: ClassVar[str] = "parcel"
    name: str
    grams: int = 10
    notes: list[str] = field(default_factory=list[str], compare=False)
    label: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"to {self.name}")


@record
class Express(Parcel):
    hours: int


@record(kw_only=False, guarded=False)
class Pair(Generic[T]):
    left: T
    right: T | None = None


@record(kw_only=False, slots=False)
class Open:
    x: int
    size: int = field(default=7, init=False)


@record(frozen=False)
class Counter:
    count: int = 0


@record
class Empty:
    pass


@record
class Selfish:
    self: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled(Parcel):
    colour: str = "white"


class RecordTests(unittest.TestCase):
    def test_instances_hold_what_they_were_given(self) -> None:
        parcel = Parcel(name="a")
        assert (parcel.name, parcel.grams, parcel.notes, parcel.label, parcel.kind) == ("a", 10, [], "to a", "parcel")
        assert Parcel(name="b").notes is not parcel.notes
        assert Selfish(self=3).self == 3
        assert Open(1).size == 7
        assert repr(parcel) == "Parcel(name='a', grams=10, notes=[])"
        assert repr(Empty()) == "Empty()"

    def test_arguments_are_checked_and_named(self) -> None:
        make: Any = Parcel
        for given, said in (
            ({}, r"Parcel.__init__\(\) missing 1 required keyword-only argument: 'name'"),
            ({"name": "a", "colour": 1}, r"Parcel.__init__\(\) got an unexpected keyword argument 'colour'"),
            ({"name": "a", "label": 1}, r"Parcel.__init__\(\) got an unexpected keyword argument 'label'"),
        ):
            with self.subTest(given), self.assertRaisesRegex(TypeError, said):
                make(**given)
        with self.assertRaisesRegex(TypeError, "takes 1 positional argument but 2 were given"):
            make("a")

    def test_a_guarded_record_refuses_changes(self) -> None:
        parcel: Any = Parcel(name="a")
        for name in ("name", "label", "unheard_of"):
            with (
                self.subTest(name),
                self.assertRaisesRegex(dataclasses.FrozenInstanceError, f"cannot assign to field '{name}'"),
            ):
                setattr(parcel, name, 1)
        with self.assertRaisesRegex(dataclasses.FrozenInstanceError, "cannot delete field 'name'"):
            del parcel.name

    def test_an_unguarded_record_has_slots_and_a_hash(self) -> None:
        assert not hasattr(Pair(1), "__dict__")
        assert hash(Pair(1, 2)) == hash(Pair(1, 2))
        with self.assertRaises(AttributeError):
            Pair(1).middle = 2  # type: ignore[attr-defined]  # that is the test

    def test_a_record_that_changes_has_no_hash(self) -> None:
        counter = Counter()
        counter.count += 1
        assert counter == Counter(count=1)
        with self.assertRaises(TypeError):
            hash(counter)

    def test_fields_are_inherited(self) -> None:
        express = Express(name="a", hours=3)
        assert field_names(Express) == ("name", "grams", "notes", "label", "hours")
        assert express.label == "to a"
        assert express != Parcel(name="a")
        assert not hasattr(express, "__dict__")

    def test_records_match_by_position_where_they_have_positions(self) -> None:
        match Pair(1, 2):
            case Pair(left, right):
                assert (left, right) == (1, 2)
        assert Parcel.__match_args__ == ()

    def test_records_are_copied_and_pickled_whole(self) -> None:
        for original in (Express(name="a", hours=1, notes=["x"]), Pair([1], [2]), Open(3), Counter(count=2), Empty()):
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                if protocol >= 2 or not isinstance(original, Counter):
                    assert pickle.loads(pickle.dumps(original, protocol)) == original
            assert copy.copy(original) == original
            assert copy.deepcopy(original) == original

    def test_replace_makes_a_changed_copy(self) -> None:
        parcel = Parcel(name="a", grams=5)
        for changed in (replace(parcel, name="b"), dataclasses.replace(parcel, name="b")):
            assert changed == Parcel(name="b", grams=5)
            assert changed.label == "to b"
        with self.assertRaises(TypeError):
            replace(parcel, colour=1)

    def test_dataclasses_and_inspect_know_them(self) -> None:
        assert dataclasses.is_dataclass(Parcel)
        assert [found.name for found in dataclasses.fields(Express)] == list(field_names(Express))
        assert dataclasses.asdict(Pair(Pair(1), Pair(2)))["left"] == {"left": 1, "right": None}
        assert str(inspect.signature(Express)) == (
            "(*, name: str, grams: int = 10, notes: list[str] = <factory>, hours: int) -> None"
        )
        assert Parcel.__doc__ == "What is sent."

    def test_dataclasses_inherit_from_records(self) -> None:
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Crate(Parcel):
            handles: int = 2

        assert Crate(name="a").handles == 2
        assert dataclasses.fields(Crate)[-1].name == "handles"

    def test_dataclasses_that_inherit_from_records_are_copied_whole(self) -> None:
        original = Labelled(name="a", colour="red")
        assert copy.copy(original) == copy.deepcopy(original) == original
        assert pickle.loads(pickle.dumps(original)) == original
        assert replace(original, grams=3) == Labelled(name="a", colour="red", grams=3)

    def test_nothing_imports_dataclasses_before_it_is_asked_for(self) -> None:
        program = "import sys, taskora.contracts as c; c.Retry(); print('dataclasses' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"
