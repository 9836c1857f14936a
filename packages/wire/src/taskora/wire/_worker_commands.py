"""How operations by which workers say that they are there are carried out by Redis."""

from taskora.wire import _operations as op
from taskora.wire import _transitions as lua
from taskora.wire._command import Command, builds
from taskora.wire._keys import Keyspace


@builds(op.AnnounceWorker)
def _announce_worker(operation: op.AnnounceWorker, keyspace: Keyspace, now_ms: int | None) -> Command[int]:
    worker = operation.worker
    call = lua.announce_worker(
        keys=keyspace.task(worker.task),
        now_ms=now_ms,
        worker_id=worker.worker_id,
        about=op.encode_worker(worker),
        leaves=operation.leaves,
    )
    return Command(call, int)


@builds(op.ReadWorkers)
def _read_workers(
    operation: op.ReadWorkers, keyspace: Keyspace, now_ms: int | None
) -> Command[tuple[op.WorkerRecord, ...]]:
    call = lua.read_workers(keys=keyspace.task(operation.task), now_ms=now_ms)
    return Command(call, lambda reply: tuple(op.decode_worker(operation.task, *row) for row in reply))
