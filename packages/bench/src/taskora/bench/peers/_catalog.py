"""Who is compared, in which version.

What these need in turn is pinned in `locks/`, written from here by `python -m taskora.bench.peers --lock`.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["python", "node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One library. `name` is that of its lock and on the command line; `driver` a file in `drivers/`.

    `requirements` are what is installed for it, pinned; nothing for ourselves, who are there already.
    """

    name: str
    title: str
    driver: str
    requirements: tuple[str, ...]
    language: Language = "python"


OURS: Final = Peer(name="taskora", title="taskora", driver="ours", requirements=())
_UVLOOP: Final = "uvloop==0.23.0"
_HIREDIS: Final = "hiredis==3.5.0"

PEERS: Final = (
    Peer(
        name="saq",
        title="SAQ",
        driver="saq",
        # It imports typing_extensions without asking for it.
        requirements=("saq[redis,hiredis]==0.26.4", "typing-extensions==4.16.0", _HIREDIS, _UVLOOP),
    ),
    Peer(name="arq", title="arq", driver="arq", requirements=("arq==0.28.0", _HIREDIS, _UVLOOP)),
    Peer(
        name="taskiq",
        title="taskiq (stream)",
        driver="taskiq",
        requirements=("taskiq==0.13.0", "taskiq-redis==1.2.4", _HIREDIS, _UVLOOP),
    ),
    Peer(name="streaq", title="streaq", driver="streaq", requirements=("streaq==7.2.0", _UVLOOP)),
    Peer(name="docket", title="docket", driver="docket", requirements=("pydocket==0.27.0", _HIREDIS, _UVLOOP)),
    Peer(
        name="dramatiq",
        title="dramatiq (threads)",
        driver="dramatiq",
        requirements=("dramatiq[redis]==2.2.1", _HIREDIS),
    ),
    Peer(name="rq", title="RQ (SimpleWorker)", driver="rq", requirements=("rq==3.0.0", _HIREDIS)),
    Peer(name="celery", title="Celery (threads)", driver="celery", requirements=("celery[redis]==5.7.0", _HIREDIS)),
    Peer(
        name="bullmq-python",
        title="BullMQ for Python",
        driver="bullmq_python",
        requirements=("bullmq==3.4.4", _HIREDIS, _UVLOOP),
    ),
    Peer(
        name="bullmq-node",
        title="BullMQ (Node)",
        driver="bullmq_node",
        requirements=("bullmq@6.7.0", "ioredis@5.11.1"),
        language="node",
    ),
)
