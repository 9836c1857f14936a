"""What a contract holds and refuses."""

import pickle
import subprocess
import sys
import unittest
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

from taskora.contracts import (
    UNSET,
    ContractError,
    Retry,
    Stall,
    TaskContract,
    Ttl,
    define_task,
    is_contract,
    static_contract,
)

T = TypeVar("T")


@dataclass(frozen=True)
class SendEmail:
    to: str


class EmailSent(TypedDict):
    message_id: str


def defined(arguments: dict[str, Any]) -> TaskContract[Any, Any]:
    define: Any = define_task
    contract: TaskContract[Any, Any] = define(**{"name": "t", **arguments})
    return contract


def untyped(name: str) -> TaskContract[Any, Any]:
    return static_contract(name)


def broken(field: str, rule: str, *values: Any) -> list[tuple[dict[str, Any], str]]:
    """Return a case for each value: what to pass, and the rule that it breaks."""
    return [({field: value}, rule) for value in values]


class Defining(unittest.TestCase):
    def test_a_contract_holds_what_it_was_given(self) -> None:
        contract = define_task(
            "send-email",
            input=SendEmail,
            output=EmailSent,
            retry=Retry(attempts=5),
            timeout="30s",
            stall=Stall(max_count=2),
            ttl=Ttl(max="1d"),
            version=3,
        )
        self.assertEqual(contract.name, "send-email")
        self.assertIs(contract.input, SendEmail)
        self.assertIs(contract.output, EmailSent)
        self.assertEqual(contract.retry, Retry(attempts=5))
        self.assertEqual(contract.timeout_ms, 30_000)
        self.assertEqual(contract.stall, Stall(max_count=2))
        self.assertEqual(contract.ttl, Ttl(max="1d"))
        self.assertEqual(contract.version, 3)
        self.assertTrue(contract.validates_input)

    def test_what_is_left_out_is_left_to_the_worker(self) -> None:
        contract = define_task("cleanup")
        self.assertEqual((contract.retry, contract.timeout_ms, contract.stall, contract.ttl), (None,) * 4)
        self.assertEqual(contract.version, 1)

    def test_a_task_without_input_takes_none_and_without_output_gives_anything(self) -> None:
        self.assertIsNone(define_task("cleanup").input)
        self.assertIs(define_task("cleanup").output, UNSET)
        self.assertIsNone(define_task("cleanup", output=None).output)

    def test_any_annotation_will_do(self) -> None:
        annotations: list[Any] = [
            int, list[int], dict[str, list[int]], int | None, Literal["a"], Annotated[int, "positive"],
            tuple[int, ...], EmailSent, Any, None, object,
        ]  # fmt: skip
        for annotation in annotations:
            with self.subTest(annotation=annotation):
                contract = define_task("t", input=annotation, output=annotation)
                self.assertEqual((contract.input, contract.output), (annotation, annotation))

    def test_a_value_that_breaks_its_rule_is_refused_with_field_value_and_rule(self) -> None:
        name = "1 to 128 characters out of A-Z a-z 0-9 . _ -"
        annotation = "a type or another annotation, not a value or a name"
        cases = [
            *broken("name", name, "send email", None),
            *broken("input", annotation, "SendEmail", b"x", 3, True, 1.5, [int], (int,), {}, {int}),
            *broken("output", annotation, "EmailSent", 0, []),
            *broken("version", "an integer, 1 or more", 0, -1, True, 1.0, "1", None),
            *broken("timeout", "a positive duration", 0, "0s", -1),
            *broken("retry", "Retry(...) or None", 3, Retry),
            *broken("stall", "Stall(...) or None", "30s"),
            *broken("ttl", "Ttl(...) or None", "1h"),
        ]
        for arguments, rule in cases:
            with self.subTest(arguments=arguments), self.assertRaises(ContractError) as caught:
                defined(arguments)
            ((field, value),) = arguments.items()
            self.assertEqual(str(caught.exception), f"{field} must be {rule}, got {value!r}")


class Identity(unittest.TestCase):
    def test_contracts_are_equal_when_everything_is(self) -> None:
        def contract(**options: Any) -> TaskContract[Any, Any]:
            return defined({"input": int, "output": str, "timeout": "1m", **options})

        self.assertEqual(contract(), contract(timeout=60))
        changes: list[dict[str, Any]] = [
            {"name": "u"}, {"input": str}, {"output": int}, {"timeout": "2m"}, {"version": 2},
            {"retry": Retry()}, {"stall": Stall()}, {"ttl": Ttl()},
        ]  # fmt: skip
        for change in changes:
            with self.subTest(change=change):
                self.assertNotEqual(contract(), contract(**change))
        self.assertNotEqual(define_task("t", input=int, output=str), static_contract[int, str]("t"))

    def test_a_contract_is_hashed_by_name(self) -> None:
        self.assertEqual(hash(define_task("t", input=int)), hash(define_task("t", output=str, version=2)))
        self.assertEqual({define_task("t"): 1}[define_task("t")], 1)
        self.assertEqual(hash(static_contract[int, str]("t")), hash(untyped("t")))

    def test_a_contract_cannot_be_changed(self) -> None:
        contracts: list[TaskContract[Any, Any]] = [
            define_task("t"),
            static_contract[int, str]("t"),
            static_contract("t"),
        ]
        for contract in contracts:
            for name in ("name", "input", "output", "validates_input", "unheard_of"):
                with self.subTest(contract=contract, name=name), self.assertRaises(AttributeError):
                    setattr(contract, name, "changed")
                with self.subTest(contract=contract, name=name), self.assertRaises(AttributeError):
                    delattr(contract, name)

    def test_a_contract_crosses_a_process_boundary(self) -> None:
        contracts: list[TaskContract[Any, Any]] = [
            define_task("t", input=SendEmail, retry=Retry(delay="2s"), timeout=1, ttl=Ttl()),
            static_contract[SendEmail, int]("t", stall=Stall()),
        ]
        for contract in contracts:
            with self.subTest(contract=contract):
                clone: TaskContract[Any, Any] = pickle.loads(pickle.dumps(contract))
                self.assertEqual(clone, contract)
                self.assertIs(type(clone), type(contract))
        self.assertIs(pickle.loads(pickle.dumps(define_task("t"))).output, UNSET)


class Static(unittest.TestCase):
    def test_the_types_in_brackets_are_kept_for_decoding(self) -> None:
        contract = static_contract[SendEmail, int | None]("ping")
        self.assertEqual((contract.input, contract.output), (SendEmail, int | None))
        self.assertEqual(static_contract[None, list[int]]("ping").output, list[int])

    def test_brackets_can_be_used_again_and_do_not_leak_into_other_contracts(self) -> None:
        ping = static_contract[int, str]
        self.assertEqual((ping("a").input, ping("b").output), (int, str))
        self.assertEqual(static_contract[str, int]("c").input, str)
        self.assertIs(untyped("d").input, UNSET)

    def test_the_types_are_learned_once(self) -> None:
        contract = static_contract[int, str]("ping")
        with self.assertRaises(AttributeError):
            setattr(contract, "__orig_class__", static_contract[bytes, bytes])  # noqa: B010
        self.assertEqual((contract.input, contract.output), (int, str))

    def test_without_brackets_no_type_is_declared(self) -> None:
        contract = untyped("ping")
        self.assertEqual((contract.input, contract.output), (UNSET, UNSET))

    def test_a_type_variable_declares_no_type(self) -> None:
        class Pair(Generic[T]):
            def contract(self) -> TaskContract[T, int]:
                return static_contract[T, int]("pair")

        contract = Pair[str]().contract()
        self.assertEqual((contract.input, contract.output), (UNSET, int))

    def test_a_producer_validates_nothing(self) -> None:
        self.assertFalse(static_contract[int, str]("ping").validates_input)

    def test_options_are_those_of_any_other_contract(self) -> None:
        contract = static_contract[int, str]("ping", retry=Retry(), timeout="1m", stall=Stall(), ttl=Ttl(), version=2)
        self.assertEqual(
            (contract.retry, contract.timeout_ms, contract.stall, contract.ttl, contract.version),
            (Retry(), 60_000, Stall(), Ttl(), 2),
        )
        with self.assertRaisesRegex(ContractError, "^name must be .*, got 'a b'$"):
            static_contract[int, str]("a b")
        with self.assertRaisesRegex(ContractError, "^timeout must be a positive duration, got 0$"):
            static_contract[int, str]("ping", timeout=0)

    def test_the_class_behind_both_can_be_subscripted_too(self) -> None:
        self.assertEqual(TaskContract[int, str](name="t"), TaskContract[Any, Any](name="t"))


class Recognising(unittest.TestCase):
    def test_contracts_are_told_from_everything_else(self) -> None:
        for value in (define_task("t"), static_contract[int, str]("t")):
            with self.subTest(value=value):
                self.assertTrue(is_contract(value))
        for other in (None, "t", {"name": "t"}, TaskContract, static_contract, SendEmail(to="a")):
            with self.subTest(other=other):
                self.assertFalse(is_contract(other))


class Importing(unittest.TestCase):
    def test_a_contract_costs_no_heavy_import(self) -> None:
        program = "import sys, taskora.contracts; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"],
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(done.stdout.split())
        self.assertIn("taskora.contracts", loaded)
        heavy = {
            "asyncio",
            "concurrent",
            "json",
            "logging",
            "multiprocessing",
            "redis",
            "pydantic",
            "typing_extensions",
        }
        self.assertEqual(loaded & heavy, set())


if __name__ == "__main__":
    unittest.main()
