"""Signatures and what they are put together to."""

import operator
import pickle
import unittest
from dataclasses import FrozenInstanceError
from typing import Any

from taskora.contracts import (
    MAX_STEPS,
    Chain,
    Chord,
    Group,
    Signature,
    Step,
    UsageError,
    chain,
    chord,
    define_task,
    group,
    is_signature,
)

add = define_task("add", input=int, output=int)
double = define_task("double", input=int, output=int)
total = define_task("total", input=list[int], output=int)


class Steps(unittest.TestCase):
    def test_a_step_with_data_is_bound(self) -> None:
        step = add.s(3)
        self.assertEqual((step.contract, step.data, step.is_bound), (add, 3, True))

    def test_a_step_without_data_is_not(self) -> None:
        step = add.s()
        self.assertEqual((step.contract, step.is_bound), (add, False))

    def test_none_is_data(self) -> None:
        self.assertTrue(define_task("t").s(None).is_bound)

    def test_steps_are_equal_by_what_they_run(self) -> None:
        self.assertEqual(add.s(3), add.s(3))
        self.assertNotEqual(add.s(3), add.s(4))
        self.assertNotEqual(add.s(3), add.s())

    def test_nothing_of_a_signature_can_be_changed(self) -> None:
        signature: Any = add.s(3) | double.s()
        for name in ("steps", "size"):
            with self.assertRaises(FrozenInstanceError):
                setattr(signature, name, ())

    def test_signatures_survive_pickling(self) -> None:
        signature = chord([add.s(1) | double.s(), add.s(2)], total.s())
        self.assertEqual(pickle.loads(pickle.dumps(signature)), signature)

    def test_what_is_a_signature_can_be_told(self) -> None:
        self.assertTrue(all(map(is_signature, (add.s(), chain(add.s()), group(add.s()), chord([add.s()], total.s())))))
        self.assertFalse(any(map(is_signature, (add, 3, None, [add.s()]))))


class Compositions(unittest.TestCase):
    def test_a_pipe_is_a_chain(self) -> None:
        self.assertEqual(add.s(1) | double.s() | double.s(), chain(add.s(1), double.s(), double.s()))

    def test_a_long_pipe_is_flat(self) -> None:
        long: Signature[object, int] = add.s(1)
        for _ in range(500):
            long = long | double.s()
        self.assertEqual((long.size, long.depth), (501, 1))

    def test_a_nested_chain_stays_one_step_of_its_chain(self) -> None:
        inner = chain(double.s(), double.s())
        self.assertEqual((add.s(1) | inner).steps, (add.s(1), inner))

    def test_members_one_by_one_make_a_tuple_and_an_iterable_makes_a_list(self) -> None:
        members = (add.s(1), add.s(2))
        self.assertEqual(group(*members), Group(members, is_tuple=True))
        self.assertEqual(group(step for step in members), Group(members, is_tuple=False))
        self.assertEqual(group(add.s(1)), Group((add.s(1),), is_tuple=True))

    def test_a_chord_takes_members_or_a_group(self) -> None:
        members = (add.s(1), add.s(2))
        self.assertEqual(chord(members, total.s()), Chord(Group(members), total.s()))
        self.assertEqual(chord(group(list(members)), total.s()), Chord(Group(members), total.s()))

    def test_sizes_add_up(self) -> None:
        nested = chain(add.s(1), group([double.s(), chain(double.s(), double.s())]), total.s())
        self.assertEqual((nested.size, nested.depth), (5, 3))


class Refusals(unittest.TestCase):
    def refused(self, expected: str, make: Any, *args: Any) -> None:
        with self.assertRaisesRegex(UsageError, expected):
            make(*args)

    def test_empty_compositions_are_refused(self) -> None:
        self.refused("a chain needs at least one step, got none", chain)
        self.refused("a group needs at least one member, got none", group)
        self.refused("a group needs at least one member, got none", group, [])
        self.refused("the header of a chord needs at least one member, got none", chord, [], total.s())

    def test_what_is_no_signature_is_refused(self) -> None:
        self.refused("step 2 of a chain must be a signature, made by", chain, add.s(1), 3)
        self.refused("member 1 of a group must be a signature", group, [add])
        self.refused("member 2 of a group must be a signature", group, add.s(1), [add.s(1)])
        self.refused("part 2 of a chord must be a signature", chord, [add.s(1)], None)
        self.refused("group must be signatures, or an iterable", group, 3)
        self.refused("header must be signatures, or an iterable", chord, add.s(1), total.s())

    def test_a_pipe_into_something_else_is_a_type_error(self) -> None:
        with self.assertRaises(TypeError):
            operator.or_(add.s(1), 3)

    def test_too_many_steps_are_refused(self) -> None:
        self.assertEqual(group([add.s(1)] * MAX_STEPS).size, MAX_STEPS)
        self.refused(f"at most {MAX_STEPS} steps, got {MAX_STEPS + 1}", group, [add.s(1)] * (MAX_STEPS + 1))

    def test_too_deep_a_nesting_is_refused(self) -> None:
        deep: Chain[Any, Any] | Step[Any, Any] = add.s(1)
        for _ in range(100):
            deep = chain(deep)
        self.refused("nested at most 100 deep", chain, deep)
