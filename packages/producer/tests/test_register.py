"""Binding contracts to a producer."""

from typing import Any, cast

import pytest

from packages.producer.tests.playing import Order, Receipt, Surface, orders
from taskora.contracts import ContractError, UsageError, define_task, static_contract


class Opaque:
    """Nothing that can be validated."""


@pytest.fixture
def idle(surface: Surface) -> Any:
    """A producer that never connects."""
    return surface.make("redis://127.0.0.1:1")


def test_registering_twice_gives_the_same_task(idle: Any) -> None:
    assert idle.register(orders) is idle.register(orders)


def test_an_equal_contract_from_elsewhere_gives_the_same_task(idle: Any) -> None:
    again = define_task("orders", input=Order, output=Receipt)
    assert idle.register(orders) is idle.register(again)


@pytest.mark.parametrize(
    "other",
    [
        define_task("orders", input=Order, output=Receipt, version=2),
        define_task("orders", input=int),
        static_contract[Order, Receipt]("orders"),
    ],
)
def test_another_contract_of_the_same_name_is_refused(idle: Any, other: Any) -> None:
    idle.register(orders)
    with pytest.raises(UsageError, match="'orders' is registered with another contract"):
        idle.register(other)
    with pytest.raises(UsageError, match="'orders' is registered with another contract"):
        idle.events(other)


@pytest.mark.parametrize("value", ["orders", None, Order, Order("x"), object()])
def test_what_is_no_contract_is_refused(idle: Any, value: Any) -> None:
    with pytest.raises(UsageError, match="contract must be a TaskContract"):
        idle.register(value)
    with pytest.raises(UsageError, match="contract must be a TaskContract"):
        idle.events(value)


@pytest.mark.parametrize("subject", ["input", "output"])
def test_a_type_that_nothing_can_validate_is_refused_by_name(idle: Any, subject: str) -> None:
    kinds: dict[str, Any] = {"input": object, "output": object, subject: Opaque}
    contract: Any = cast("Any", define_task)("opaque", **kinds)
    with pytest.raises(ContractError, match=f"{subject} of task 'opaque' must be a type .*Opaque"):
        idle.register(contract)


def test_a_bound_task_says_what_it_is(idle: Any) -> None:
    task = idle.register(orders)
    assert task.name == "orders"
    assert task.contract is orders
    assert repr(task) in {"<BoundTask orders>", "<AsyncBoundTask orders>"}


@pytest.mark.parametrize("options", [{"max_payload": 0}, {"max_payload": "1MB"}, {"max_payload": True}])
def test_a_bad_payload_limit_is_refused(surface: Surface, options: Any) -> None:
    with pytest.raises(UsageError, match="max_payload must be a number of bytes"):
        surface.make("redis://127.0.0.1:1", **options)


def test_a_serializer_that_is_none_is_refused(surface: Surface) -> None:
    with pytest.raises(UsageError, match="serializer must be an object with the methods dumps and loads"):
        surface.make("redis://127.0.0.1:1", serializer="json")


def test_a_bad_prefix_is_refused(surface: Surface) -> None:
    with pytest.raises(UsageError, match="prefix must be"):
        surface.make("redis://127.0.0.1:1", prefix="a:b")
