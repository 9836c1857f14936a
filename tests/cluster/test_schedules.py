"""Schedules in a cluster, where the keys of schedules and those of tasks lie on different servers."""

from redis.crc import key_slot

from taskora.contracts import Schedule, define_task
from taskora.producer import Producer
from taskora.wire import Keyspace
from taskora.worker import SchedulerConfig, Worker
from tests.polling import aeventually
from tests.servers import Cluster

TASKS = [define_task(f"task-{number}", input=int) for number in range(6)]


async def test_schedules_of_many_tasks_fire_in_a_cluster(cluster: Cluster) -> None:
    keys = Keyspace()
    slots = {key_slot(key.encode()) for key in (keys.schedules_key, keys.schedules_next_key, keys.schedules_lock_key)}
    assert len(slots) == 3
    ran: dict[str, int] = {}
    worker = Worker(cluster.url, scheduler=SchedulerConfig(poll_interval="50ms"))
    for number, contract in enumerate(TASKS):

        async def handle(data: int, name: str = contract.name) -> None:
            ran[name] = data

        worker.implement(contract, handle, schedule=Schedule(every="100ms", data=number))
    async with worker:
        await aeventually(lambda: ran == {contract.name: number for number, contract in enumerate(TASKS)})
    with Producer(cluster.url) as producer:
        assert [info.problem for info in producer.schedules.list()] == [None] * len(TASKS)
        assert producer.schedules.pause("task-0")
        assert producer.schedules.remove("task-1")
        assert len(producer.schedules.list()) == len(TASKS) - 1
