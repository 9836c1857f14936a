"""Producers: where dispatching starts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast, overload

from taskora.contracts import UNSET, Duration, Signature, TaskContract, UsageError, is_contract
from taskora.producer._async.task import AsyncBoundTask
from taskora.producer._async_session import AsyncSession, AsyncTarget
from taskora.producer._dispatching import DEFAULT_MAX_PAYLOAD, DispatchRules
from taskora.producer._payload import Payloads
from taskora.wire import Serializer

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from taskora.producer._async.events import AsyncEventStream
    from taskora.producer._async.inspector import AsyncDeadLetters, AsyncInspector
    from taskora.producer._async.schedules import AsyncSchedules
    from taskora.producer._async.workflow import AsyncWorkflowHandle

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output


class AsyncProducer:
    """Dispatches jobs and follows them. Imports no handler, and runs none.

    Connects on first use. Use it as a context manager, or call `close`.

    Args:
        target: A URL (`redis://`, `rediss://`, `unix://`, `redis+cluster://`, `memory://`, `embedded://`), a redis-py
            client, whose settings are used and which stays open, or a backend.
        prefix: Separates applications that share a server.
        serializer: How payloads become bytes; JSON by default. Workers must use the same.
        validate_on_dispatch: Whether payloads are checked before they are sent.
        max_payload: The largest encoded payload, in bytes.
    """

    def __init__(
        self,
        target: AsyncTarget,
        *,
        prefix: str | None = None,
        serializer: Serializer | None = None,
        validate_on_dispatch: bool = True,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
    ) -> None:
        self._session: Final = AsyncSession(target, prefix=prefix, serializer=serializer)
        self._rules: Final = DispatchRules(validate=validate_on_dispatch, max_payload=max_payload)
        self._tasks: Final[dict[str, AsyncBoundTask[Any, Any]]] = {}

    @cached_property
    def inspector(self) -> AsyncInspector:
        """Looks at jobs."""
        from taskora.producer._async.inspector import AsyncInspector

        return AsyncInspector(self._session)

    @cached_property
    def dead_letters(self) -> AsyncDeadLetters:
        """The jobs that failed for good."""
        from taskora.producer._async.inspector import AsyncDeadLetters

        return AsyncDeadLetters(self._session)

    @cached_property
    def schedules(self) -> AsyncSchedules:
        """What runs by itself."""
        from taskora.producer._async.schedules import AsyncSchedules

        return AsyncSchedules(self._session, self._rules)

    def register(self, contract: TaskContract[I, O]) -> AsyncBoundTask[I, O]:
        """Binds a contract; the same one again gives the same object.

        Raises:
            UsageError: another contract of that name is registered, or this is no contract.
            ContractError: its types cannot be validated.
        """
        if not is_contract(contract):
            raise UsageError.for_field("contract", contract, "a TaskContract, made by define_task or static_contract")
        bound = self._tasks.get(contract.name)
        if bound is None:
            made = AsyncBoundTask(self._session, contract, self._rules)
            bound = self._tasks.setdefault(contract.name, made)  # another thread may have been faster
        if bound.contract != contract:
            raise UsageError(
                f"task {contract.name!r} is registered with another contract: give each task one definition"
            )
        return cast("AsyncBoundTask[I, O]", bound)

    async def dispatch(
        self,
        signature: Signature[object, O],
        *,
        ttl: Duration | None = None,
        name: str | None = None,
        workflow_id: str | None = None,
    ) -> AsyncWorkflowHandle[O]:
        """Runs a workflow: a step, or what chain, group and chord made of steps.

        Every payload is checked before anything is sent. Calling this again runs another workflow, unless both calls
        name the same `workflow_id`.

        Args:
            signature: What shall run; its first steps have data.
            ttl: How long the whole may take; what has not ended then is cancelled.
            name: For people; by default it tells the tasks.
            workflow_id: Id of the workflow; by default a random one. Under an id that exists, as it does until the
                record of its workflow ends, nothing is created: the handle is that of the workflow which is there,
                whatever its state, with its name and its `ttl`. So a dispatch that failed can be repeated.

        Raises:
            ValidationError: a payload does not fit its contract.
            UsageError: a first step has no data, or a task cannot be part of a workflow; or `workflow_id` is that of
                another workflow, or cannot be an id.
            BackendError: the server cannot be reached, or refuses; the workflow may run.
        """
        from taskora.producer._async.workflow import dispatch_workflow
        from taskora.producer._workflow_building import plan_workflow

        plan = plan_workflow(signature, self._payloads_of, self._rules, name=name)
        return await dispatch_workflow(self._session, plan, ttl, workflow_id)

    @overload
    async def workflow(self, workflow_id: str) -> AsyncWorkflowHandle[object]: ...
    @overload
    async def workflow(self, workflow_id: str, *, output: TypeForm[O]) -> AsyncWorkflowHandle[O]: ...
    async def workflow(self, workflow_id: str, *, output: object = UNSET) -> AsyncWorkflowHandle[Any]:
        """A handle to a workflow that was dispatched earlier, or elsewhere.

        Args:
            workflow_id: The `id` of its handle, or of what `inspector.workflows` lists.
            output: The type of its result, which is validated against it; without it, the result is plain values.

        Raises:
            UnknownJobError: there is no such workflow, or its record has been pruned.
            UsageError: this cannot be the id of one.
            ContractError: the type cannot be validated.
            BackendError: the server cannot be reached, or the record cannot be read.
        """
        from taskora.producer._async.workflow import find_workflow

        return await find_workflow(self._session, workflow_id, output)

    def _payloads_of(self, contract: TaskContract[Any, Any]) -> Payloads[Any, Any]:
        return self.register(contract).payloads

    def events(self, contract: TaskContract[I, O]) -> AsyncEventStream[O]:
        """The events of a task's jobs, for as long as the loop over them goes on.

        They begin when the loop does; `open` on what is returned makes them begin earlier.

        Raises:
            UsageError: another contract of that name is registered, or this is no contract.
        """
        return self.register(contract).events()

    async def close(self) -> None:
        """Closes what this producer opened; a client or backend it was given stays open.

        Waits that are under way raise `UsageError`, loops over events end. Closing twice is the same as once.
        """
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
