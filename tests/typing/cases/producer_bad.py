"""What does not fit its contract is refused."""

from dataclasses import dataclass

from taskora.contracts import define_task
from taskora.producer import AsyncProducer, CompletedEvent, Producer


@dataclass
class Order:
    item: str


@dataclass
class Receipt:
    total: int


orders = define_task("orders", input=Order, output=Receipt)
tick = define_task("tick")


async def asynchronous(producer: AsyncProducer) -> None:
    task = producer.register(orders)
    await task.dispatch("a")  # E: mypy,pyright
    await task.dispatch(Receipt(1))  # E: mypy,pyright
    await task.dispatch()  # E: mypy,pyright
    await task.dispatch(None)  # E: mypy,pyright
    await task.dispatch(Order("a"), delay=b"5s")  # E: mypy,pyright
    await task.dispatch(Order("a"), priority="high")  # E: mypy,pyright
    await task.dispatch(Order("a"), delya="5s")  # E: mypy,pyright
    await task.dispatch(Order("a"), "x")  # E: mypy,pyright
    await task.dispatch_many(["a"])  # E: mypy,pyright
    await task.dispatch_many([Order("a"), Receipt(1)])  # E: mypy,pyright
    await task.dispatch_many(Order("a"))  # E: mypy,pyright
    task.item(Receipt(1))  # E: mypy,pyright
    task.item(Order("a"), colour="red")  # E: mypy,pyright
    await producer.register(tick).dispatch(Order("a"))  # E: mypy,pyright
    text: str = await task.job("x").result()  # E: mypy,pyright
    await task.job("x").result("5s", "6s")  # E: mypy,pyright
    await task.job("x").result(timeout=b"5s")  # E: mypy,pyright
    task.job(5)  # E: mypy,pyright
    producer.register("orders")  # E: mypy,pyright
    producer.events("orders")  # E: mypy,pyright
    await producer.inspector.find(orders)  # E: mypy,pyright
    await producer.dead_letters.retry(orders)  # E: mypy,pyright
    await producer.inspector.waiting(limit="all")  # E: mypy,pyright
    handle = await task.dispatch(Order("a"))
    handle.id = "y"  # E: mypy,pyright
    async for event in producer.events(orders):
        if isinstance(event, CompletedEvent):
            total: str = event.result  # E: mypy,pyright
            print(total)
    print(text)


def synchronous(producer: Producer, other: AsyncProducer) -> None:
    task = producer.register(orders)
    task.dispatch("a")  # E: mypy,pyright
    task.dispatch_many(["a"])  # E: mypy,pyright
    task.item(Receipt(1))  # E: mypy,pyright
    text: str = task.dispatch(Order("a")).result()  # E: mypy,pyright
    producer.dead_letters.discard(orders)  # E: mypy,pyright
    Producer(other)  # E: mypy,pyright
    Producer(6379)  # E: mypy,pyright
    Producer("redis://localhost", serializer="json")  # E: mypy,pyright
    print(text)
