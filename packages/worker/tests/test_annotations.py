"""Handlers whose annotations name what only type checkers know."""

import sys
from typing import Any

import pytest

from packages.worker.tests.workbench import double
from taskora.contracts import Collect, UsageError, define_task
from taskora.worker import Worker

gathering = define_task("gathering", input=int, output=int, collect=Collect(key="all", delay="1s"))

# Since Python 3.14 annotations are evaluated when somebody asks, and need no quotes.
UNKNOWN = "Unknown" if sys.version_info >= (3, 14) else "'Unknown'"
made: dict[str, Any] = {}
exec(f"async def annotated(data: {UNKNOWN}, ctx: {UNKNOWN}) -> {UNKNOWN}: return data + ctx.attempt", made)
exec(f"def keyword(data: {UNKNOWN}, *, other: {UNKNOWN}): pass", made)


async def test_a_handler_may_have_them(url: str) -> None:
    worker = Worker(url)
    worker.implement(double, made["annotated"])
    worker.implement(gathering, made["annotated"])
    async with worker:
        assert await (await worker.register(double).dispatch(3)).result("5s") == 4


async def test_a_handler_that_is_refused_is_shown_with_them(memory: str) -> None:
    rule = r"must take \(data\) or \(data, ctx\), got \(data: .*Unknown.*, \*, other: .*Unknown.*\)"
    with pytest.raises(UsageError, match=rule):
        Worker(memory).implement(double, made["keyword"])
