import functools
from collections.abc import Callable
from typing import Any

import pytest

from packages.worker.tests import process_handlers as handlers
from packages.worker.tests.process_pools import implementation
from taskora.contracts import UsageError
from taskora.worker._process_handle import ProcessHandle
from taskora.worker._process_messages import reference_to
from taskora.worker._processes import ProcessPool, in_process
from taskora.worker._threads import ThreadPool


def nested() -> Callable[[int], int]:
    def handler(data: int) -> int:
        return data

    return handler


unnamed: Callable[[int], int] = lambda data: data  # noqa: E731 - what is tested


@pytest.mark.parametrize(
    "handler",
    [unnamed, nested(), functools.partial(handlers.double), handlers.Outer().method],
    ids=["lambda", "nested", "partial", "method"],
)
def test_what_cannot_be_imported_is_refused_when_it_is_implemented(handler: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="handler of task 'task-1' must be a function at the top level of a module"):
        implementation(handler)


def test_a_coroutine_function_is_refused() -> None:
    async def handler(data: int) -> int:
        return data

    with pytest.raises(UsageError, match=r"must be a plain `def` function to run with executor='process'"):
        implementation(handler)


def test_a_decorator_comes_before_the_module_holds_the_name_so_the_start_looks_again() -> None:
    handler = nested()
    handler.__qualname__ = "not_there_yet"
    declared = implementation(handler)
    with pytest.raises(UsageError, match=r"not_there_yet cannot be imported"):
        in_process(declared, ProcessPool(ThreadPool()))


def test_a_name_that_means_something_else_by_now_is_refused() -> None:
    handler = nested()
    handler.__module__, handler.__qualname__ = handlers.double.__module__, "double"
    with pytest.raises(UsageError, match=r"process_handlers\.double cannot be imported"):
        in_process(implementation(handler), ProcessPool(ThreadPool()))


def test_a_static_method_is_found() -> None:
    assert reference_to(handlers.Outer.double, task="task-1").load() is handlers.Outer.double


def test_a_handler_is_found_under_the_decorators_above_it() -> None:
    (inner,) = handlers.registered
    assert reference_to(inner, task="task-1").load() is inner
    assert reference_to(handlers.decorated_after, task="task-1").load() is handlers.decorated_after


def test_the_handler_of_an_inline_task_is_found_under_the_task() -> None:
    handler = handlers.worker.implementations["inline"].handler
    assert handlers.inline.__wrapped__ is handler
    assert reference_to(handler, task="inline").load() is handler


def test_a_process_that_is_killed_before_it_starts_does_not_start() -> None:
    handle = ProcessHandle(reference_to(handlers.pid, task="task-1"))
    handle.kill()
    with pytest.raises(RuntimeError, match="was ended before it started"):
        handle.start()
    assert not handle.is_alive()
    handle.end()
