"""Operations by which workers say that they are there, and how that is stored."""

import json
from collections.abc import Mapping
from typing import Final, cast

from taskora.contracts.records import record
from taskora.wire._job import dump_json, integer_of, text_of
from taskora.wire._operation import Operation

# Who has not been heard of for so long is not there. The value is that of `lua/fragments/workers.lua`.
WORKER_LIFETIME_MS: Final = 30_000


@record
class WorkerRecord:
    """A worker, as far as one of its tasks is concerned. Times are epoch milliseconds.

    `worker_id` is the same for all tasks of one worker. `version` is the newest payload version that it understands.
    `beat_ms` is when it was last heard of, by the storage's clock; `started_ms` is by the worker's own.
    """

    worker_id: str
    task: str
    host: str
    pid: int
    version: int
    concurrency: int
    started_ms: int
    beat_ms: int = 0


@record
class AnnounceWorker(Operation[int]):
    """Says that a worker is there, or `leaves`; the reply is how many workers its task has. Repeat it before 30 s."""

    worker: WorkerRecord
    leaves: bool = False

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.worker.task


@record
class ReadWorkers(Operation[tuple[WorkerRecord, ...]]):
    """The workers of a task that are there, by when they were last heard of."""

    task: str


def encode_worker(worker: WorkerRecord) -> bytes:
    """What is stored of a worker beside its id and its beats."""
    return dump_json(
        {
            "host": worker.host,
            "pid": worker.pid,
            "version": worker.version,
            "concurrency": worker.concurrency,
            "started": worker.started_ms,
        }
    )


def decode_worker(task: str, worker_id: bytes, beat_ms: bytes, about: bytes) -> WorkerRecord:
    """What `encode_worker` made; what is damaged, or missing, counts as nothing."""
    try:
        body: object = json.loads(about)
    except (ValueError, RecursionError):
        body = None
    fields: Mapping[str, object] = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    host = fields.get("host")
    return WorkerRecord(
        worker_id=text_of(worker_id) or "",
        task=task,
        host=host if isinstance(host, str) else "",
        pid=_integer(fields, "pid"),
        version=_integer(fields, "version"),
        concurrency=_integer(fields, "concurrency"),
        started_ms=_integer(fields, "started"),
        beat_ms=integer_of(beat_ms) or 0,
    )


def _integer(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
