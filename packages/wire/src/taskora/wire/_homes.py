"""Which module has which name of this package; see `taskora.contracts.loading`."""

from typing import Final

HOMES: Final = {
    "._abilities": "PipelinedBackend WaitObserver run_together waiting_for",
    "._backend": "Backend Cancellation Clock EventFeed SyncBackend",
    "._commands": "FINAL_STATES",
    "._events": "StreamEvent decode_event",
    "._flows": "Flow Pause Together ask ask_together count_versions drive drive_async may_pass read_jobs",
    "._handshake": "handshake",
    "._ids": "random_id random_ids",
    "._job": "JobRecord JobStatus LogEntry LogLevel ParkedReason decode_log dump_json encode_log",
    "._keys": "Keyspace TaskKeys",
    "._operations": (
        "KEEP_ABANDONED_MS KEEP_COMPLETED_MS KEEP_STOPPED_MS LISTED_WORKFLOWS MOST_DUE NEWEST NO_PACE "
        "WORKER_LIFETIME_MS AbandonWorkflow Admission Advanced AdvanceWorkflow AlikeJobs AnnounceWorker Batch "
        "Cancel CancelReply CancelSteps Claim ClaimDue ClaimedDue Collected Collecting Control "
        "ControlledJob CountJobs CountVersions CreateWorkflow DescribeWorkflow Dispatched "
        "DispatchOccurrences DueTimes DueWorkflows EndedStep Enqueue EnqueueControlled EnqueueSteps "
        "Exchange Exchanged Expected ExtendLeases FileWorkflow FinalState ForgetUntold Handshake "
        "JobCounts JobPage LastEvent Lead Lease LeaseState ListJobs ListWorkflows NewJob Occurrence "
        "OnExpire Operation Outcome OutcomeKind Pace PostponeUntold Prune Pruned PushCollect ReadCollect "
        "ReadDue ReadJob ReadLinks ReadLogs ReadMigrationLock ReadSchedules ReadStatuses ReadUntold "
        "ReadWorkers ReadWorkflow Recovered RecoverStalled RememberWorkflow RemoveFinished Report "
        "ReportEntry ReserveStart RetryDead ReviseWorkflow Revived ScanSchedules ScanTasks SchedulePage "
        "SetDue Settlement StepDown StepJob StepLink StepResult Stopped StoppedState StopWorkflow "
        "TaskPage TellWorkflowEnd Verdict VersionCounts WithdrawClaim WorkerRecord WorkflowFields "
        "WorkflowsDue WorkflowState WorkflowSummary WriteSchedule"
    ),
    "._pauses": "pause_after",
    "._schedule_record": "ScheduleRecord ScheduleRecordError decode_schedule encode_schedule occurrence_id",
    "._serializer": (
        "JsonSerializer LabelledSerializer Serializer WrongSerializerError labelled writer_of wrong_serializer"
    ),
    "._version": "MIN_COMPAT OURS WIRE_VERSION Meta StoredMeta check_meta",
    "._workflow_creation": "create_workflow_once",
    "._workflow_flows": (
        "FIRST_LOOK_MS NotTold cancel_workflow create_workflow ends_by_workflow has_to_tell "
        "postpone_telling settle_steps settle_workflow time_out"
    ),
    "._workflow_graph": "DamagedWorkflowError WorkflowGraph WorkflowStep decode_graph put_together",
    "._workflow_record": "WorkflowRecord WorkflowStatus read_workflow read_workflow_status",
    "._workflow_repair": (
        "DUE_AT_ONCE UNTOLD_AGE_MS UNTOLD_AT_ONCE Unrepaired look_at_workflow repair_workflow "
        "sweep_untold sweep_workflows"
    ),
    "._workflow_revision": "Letter Spawn reopen_workflow retry_letters spawn_steps",
}
