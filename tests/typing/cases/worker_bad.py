"""What workers must refuse."""

from dataclasses import dataclass

from taskora.contracts import Retry, define_task
from taskora.producer import CompletedEvent, FailedEvent
from taskora.worker import CallNext, Context, Worker, WorkerEvent


@dataclass
class Order:
    item: str


@dataclass
class Receipt:
    total: int


contract = define_task("orders", input=Order, output=Receipt)
worker = Worker("redis://localhost")


# Handlers whose types do not fit
async def wrong_input(data: Receipt) -> Receipt: ...  # type: ignore[empty-body]
async def wrong_output(data: Order) -> Order: ...  # type: ignore[empty-body]
async def no_output(data: Order) -> None: ...
async def maybe_output(data: Order) -> Receipt | None: ...
async def wrong_context(data: Order, ctx: str) -> Receipt: ...  # type: ignore[empty-body]
async def wrong_input_with_context(data: int, ctx: Context) -> Receipt: ...  # type: ignore[empty-body]
async def too_many(data: Order, ctx: Context, more: int) -> Receipt: ...  # type: ignore[empty-body]
async def too_few() -> Receipt: ...  # type: ignore[empty-body]
def wrong_input_in_thread(data: Receipt) -> Receipt: ...  # type: ignore[empty-body]
def wrong_output_in_thread(data: Order, ctx: Context) -> int: ...  # type: ignore[empty-body]
async def fits(data: Order) -> Receipt: ...  # type: ignore[empty-body]


worker.implement(contract, wrong_input)  # E: mypy,pyright
worker.implement(contract, wrong_output)  # E: mypy,pyright
worker.implement(contract, no_output)  # E: mypy,pyright
worker.implement(contract, maybe_output)  # E: mypy,pyright
worker.implement(contract, wrong_context)  # E: mypy,pyright
worker.implement(contract, wrong_input_with_context)  # E: mypy,pyright
worker.implement(contract, too_many)  # E: mypy,pyright
worker.implement(contract, too_few)  # E: mypy,pyright
worker.implement(contract, wrong_input_in_thread)  # E: mypy,pyright
worker.implement(contract, wrong_output_in_thread)  # E: mypy,pyright
worker.implement(contract, 3)  # E: mypy,pyright

worker.implement(contract)(wrong_input)  # E: mypy,pyright
worker.implement(contract)(wrong_output)  # E: mypy,pyright
worker.implement(contract)(no_output)  # E: mypy,pyright
worker.implement(contract)(maybe_output)  # E: mypy,pyright
worker.implement(contract)(wrong_context)  # E: mypy,pyright
worker.implement(contract)(wrong_input_with_context)  # E: mypy,pyright
worker.implement(contract)(too_many)  # E: mypy,pyright
worker.implement(contract)(too_few)  # E: mypy,pyright
worker.implement(contract)(wrong_input_in_thread)  # E: mypy,pyright
worker.implement(contract)(wrong_output_in_thread)  # E: mypy,pyright


# Hooks
def hook_of_another(data: Receipt, ctx: Context) -> None: ...
def hook_without_context(data: Order) -> None: ...


worker.implement(contract, fits, on_cancel=hook_of_another)  # E: mypy,pyright
worker.implement(contract, fits, on_cancel=hook_without_context)  # E: mypy,pyright
worker.implement(contract, on_cancel=hook_of_another)  # E: mypy,pyright

# Options
worker.implement(contract, fits, concurrency="3")  # E: mypy,pyright
worker.implement(contract, fits, retry=3)  # E: mypy,pyright
worker.implement(contract, fits, executor="gpu")  # E: mypy,pyright
worker.implement(contract, fits, colour="red")  # E: mypy,pyright
worker.implement("orders", fits)  # E: mypy,pyright
worker.task("greet", retry=3)  # E: mypy,pyright
worker.task(3)  # E: mypy,pyright
worker.task("greet")(too_many)  # E: mypy,pyright
worker.task("greet")(too_few)  # E: mypy,pyright
Worker(3)  # E: mypy,pyright
Worker("redis://localhost", lease=b"30s")  # E: mypy,pyright
Worker("redis://localhost", defaults=Retry())  # E: mypy,pyright


# Middleware
def not_async(ctx: Context, call_next: CallNext) -> None: ...
async def without_next(ctx: Context) -> None: ...


worker.use(not_async)  # E: mypy,pyright
worker.use(without_next)  # E: mypy,pyright


# What is dispatched
@worker.task("count")
async def count(data: int) -> str:
    return str(data)


async def use() -> None:
    await count.dispatch("three")  # E: mypy,pyright
    await worker.register(contract).dispatch(Receipt(1))  # E: mypy,pyright
    total: int = await (await count.dispatch(3)).result()  # E: mypy,pyright
    print(total)


# Listeners
def hears_failures(event: FailedEvent) -> None: ...
def hears_orders(event: CompletedEvent[Order]) -> None: ...
def hears_worker(event: WorkerEvent) -> None: ...


worker.on("task:completed")(hears_failures)  # E: mypy,pyright
worker.on("task:completed")(hears_worker)  # E: mypy,pyright
worker.on("worker:ready")(hears_failures)  # E: mypy,pyright
worker.on("task:done")  # E: mypy,pyright
worker.register(contract).on("task:completed")  # E: mypy,pyright
worker.register(contract).on("completed")(hears_orders)  # E: mypy,pyright


def change(ctx: Context) -> None:
    ctx.attempt = 3  # E: mypy,pyright
    ctx.cancelled = True  # E: mypy,pyright
    ctx.log.debug("no such level")  # E: mypy,pyright
