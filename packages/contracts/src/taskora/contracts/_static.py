"""Contracts that only have types: nothing is validated by the producer."""

from __future__ import annotations

from typing import TypeVar, get_args

from taskora.contracts._contract import UNSET, I, O, TaskContract, timeout_milliseconds
from taskora.contracts._durations import Duration
from taskora.contracts._flow_control import Collect
from taskora.contracts._options import Stall, Ttl
from taskora.contracts._retry import Retry
from taskora.contracts.records import frozen_error


class static_contract(TaskContract[I, O]):  # noqa: N801 - reads as a function: static_contract[Ping, Pong]("ping")
    """A contract whose types serve the type checker; producers validate nothing.

    The types given in brackets are kept as `input` and `output`: workers and handles still decode into them.
    The brackets may be left out, and then the values are what JSON makes of them.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        stall: Stall | None = None,
        ttl: Ttl | None = None,
        collect: Collect | None = None,
        version: int = 1,
    ) -> None:
        super().__init__(
            name=name,
            retry=retry,
            timeout_ms=timeout_milliseconds(timeout),
            stall=stall,
            ttl=ttl,
            collect=collect,
            version=version,
            validates_input=False,
        )

    def __setattr__(self, name: str, value: object) -> None:
        # Calling a subscripted class makes the instance and then offers it the subscription by this name;
        # there is no earlier moment to learn the types. Whoever assigns afterwards meets a frozen instance.
        if name == "__orig_class__" and self.input is UNSET and self.output is UNSET:
            for field, annotation in zip(("input", "output"), get_args(value), strict=True):
                if not isinstance(annotation, TypeVar):  # of a generic function around us: says nothing
                    object.__setattr__(self, field, annotation)
            return
        raise frozen_error(name)
