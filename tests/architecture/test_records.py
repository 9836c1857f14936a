"""What `dataclass` would refuse where a record is declared is refused here: a program does not pay for that."""

import dataclasses
import importlib
import inspect
import pkgutil
from typing import Any

import pytest

import taskora.contracts
import taskora.producer
import taskora.wire
import taskora.worker

PARTS = (taskora.contracts, taskora.wire, taskora.producer, taskora.worker)


def every_record() -> list[type[Any]]:
    found: dict[type[Any], None] = {}
    for part in PARTS:
        for module in pkgutil.walk_packages(part.__path__, f"{part.__name__}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {each: None for each in members if isinstance(each, type) and "__taskora_record__" in vars(each)}
    return list(found)


RECORDS = every_record()


def test_the_parts_are_made_of_records() -> None:
    assert len(RECORDS) > 150


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
def test_a_record_is_a_sound_dataclass(cls: type[Any]) -> None:
    accepted = [found for found in dataclasses.fields(cls) if found.init]
    in_order = sorted(accepted, key=lambda found: found.kw_only is True)
    assert list(inspect.signature(cls).parameters) == [found.name for found in in_order]
