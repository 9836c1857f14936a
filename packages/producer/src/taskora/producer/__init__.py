"""Dispatching jobs and following them, without importing any handler."""

from typing import TYPE_CHECKING

from taskora.contracts.loading import lazily

if TYPE_CHECKING:
    from taskora.producer._async.events import AsyncEventStream
    from taskora.producer._async.handle import AsyncJobHandle
    from taskora.producer._async.inspector import AsyncDeadLetters, AsyncInspector
    from taskora.producer._async.producer import AsyncProducer
    from taskora.producer._async.schedules import AsyncSchedules
    from taskora.producer._async.task import AsyncBoundTask
    from taskora.producer._async.workflow import AsyncWorkflowHandle
    from taskora.producer._async_session import AsyncSession, AsyncTarget
    from taskora.producer._collecting import CollectInfo
    from taskora.producer._dispatching import (
        DEFAULT_MAX_PAYLOAD,
        HIGHEST_PRIORITY,
        DispatchItem,
        DispatchOptions,
        DispatchRules,
    )
    from taskora.producer._due import due_after, due_until, next_runs
    from taskora.producer._event_reader import EventReader
    from taskora.producer._events import (
        ActiveEvent,
        AnyJobEvent,
        CancelledEvent,
        CollectEvent,
        CompletedEvent,
        DebouncedEvent,
        DelayedEvent,
        ExpiredEvent,
        FailedEvent,
        JobEvent,
        ProgressEvent,
        PromotedEvent,
        RetryingEvent,
        StalledEvent,
        WaitingEvent,
        job_events,
    )
    from taskora.producer._inspection import JobInfo, MigrationInfo, TaskStats, TimelineEntry
    from taskora.producer._payload import PayloadCodec, Payloads
    from taskora.producer._schedule_info import ScheduleInfo
    from taskora.producer._schedules import check_schedule_name, schedule_record
    from taskora.producer._session import SyncTarget
    from taskora.producer._sync.events import EventStream
    from taskora.producer._sync.handle import JobHandle
    from taskora.producer._sync.inspector import DeadLetters, Inspector
    from taskora.producer._sync.producer import Producer
    from taskora.producer._sync.schedules import Schedules
    from taskora.producer._sync.task import BoundTask
    from taskora.producer._sync.workflow import WorkflowHandle
    from taskora.producer._workflow_building import MAX_LINKS, Plan, plan_workflow
    from taskora.producer._workflow_results import WorkflowInfo, WorkflowNode
    from taskora.wire import ParkedReason
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "._async.events": "AsyncEventStream",
            "._async.handle": "AsyncJobHandle",
            "._async.inspector": "AsyncDeadLetters AsyncInspector",
            "._async.producer": "AsyncProducer",
            "._async.schedules": "AsyncSchedules",
            "._async.task": "AsyncBoundTask",
            "._async.workflow": "AsyncWorkflowHandle",
            "._async_session": "AsyncSession AsyncTarget",
            "._collecting": "CollectInfo",
            "._dispatching": "DEFAULT_MAX_PAYLOAD HIGHEST_PRIORITY DispatchItem DispatchOptions DispatchRules",
            "._due": "due_after due_until next_runs",
            "._event_reader": "EventReader",
            "._events": (
                "ActiveEvent AnyJobEvent CancelledEvent CollectEvent CompletedEvent DebouncedEvent DelayedEvent "
                "ExpiredEvent FailedEvent JobEvent ProgressEvent PromotedEvent RetryingEvent StalledEvent "
                "WaitingEvent job_events"
            ),
            "._inspection": "JobInfo MigrationInfo TaskStats TimelineEntry",
            "._payload": "PayloadCodec Payloads",
            "._schedule_info": "ScheduleInfo",
            "._schedules": "check_schedule_name schedule_record",
            "._session": "SyncTarget",
            "._sync.events": "EventStream",
            "._sync.handle": "JobHandle",
            "._sync.inspector": "DeadLetters Inspector",
            "._sync.producer": "Producer",
            "._sync.schedules": "Schedules",
            "._sync.task": "BoundTask",
            "._sync.workflow": "WorkflowHandle",
            "._workflow_building": "MAX_LINKS Plan plan_workflow",
            "._workflow_results": "WorkflowInfo WorkflowNode",
            "taskora.wire": "ParkedReason",
        },
    )

__all__ = [
    "DEFAULT_MAX_PAYLOAD",
    "HIGHEST_PRIORITY",
    "MAX_LINKS",
    "ActiveEvent",
    "AnyJobEvent",
    "AsyncBoundTask",
    "AsyncDeadLetters",
    "AsyncEventStream",
    "AsyncInspector",
    "AsyncJobHandle",
    "AsyncProducer",
    "AsyncSchedules",
    "AsyncSession",
    "AsyncTarget",
    "AsyncWorkflowHandle",
    "BoundTask",
    "CancelledEvent",
    "CollectEvent",
    "CollectInfo",
    "CompletedEvent",
    "DeadLetters",
    "DebouncedEvent",
    "DelayedEvent",
    "DispatchItem",
    "DispatchOptions",
    "DispatchRules",
    "EventReader",
    "EventStream",
    "ExpiredEvent",
    "FailedEvent",
    "Inspector",
    "JobEvent",
    "JobHandle",
    "JobInfo",
    "MigrationInfo",
    "ParkedReason",
    "PayloadCodec",
    "Payloads",
    "Plan",
    "Producer",
    "ProgressEvent",
    "PromotedEvent",
    "RetryingEvent",
    "ScheduleInfo",
    "Schedules",
    "StalledEvent",
    "SyncTarget",
    "TaskStats",
    "TimelineEntry",
    "WaitingEvent",
    "WorkflowHandle",
    "WorkflowInfo",
    "WorkflowNode",
    "check_schedule_name",
    "due_after",
    "due_until",
    "job_events",
    "next_runs",
    "plan_workflow",
    "schedule_record",
]
