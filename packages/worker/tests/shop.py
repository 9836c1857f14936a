"""Two deployments that know different tasks, for workflows."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from packages.worker.tests.workbench import QUICK_SWEEPS
from taskora.contracts import chain, define_task, group
from taskora.producer import AsyncProducer
from taskora.wire import ListWorkflows, ReadUntold
from taskora.wire.backends import open_backend
from taskora.worker import Context, Worker
from tests.polling import aeventually

double = define_task("double", input=int, output=int)
total = define_task("total", input=list[int], output=int)
label = define_task("label", input=int, output=str)
pair = define_task("pair", input=tuple[int, str], output=str)
fail = define_task("fail", input=int, output=int)
block = define_task("block", input=int, output=int)
spread = define_task("spread", input=int, output=int)


class Shop:
    """Two deployments that know different tasks."""

    def __init__(self, url: str) -> None:
        self.left = Worker(url, defaults=QUICK_SWEEPS)
        self.right = Worker(url, defaults=QUICK_SWEEPS)
        self.blocked = asyncio.Event()
        self.running = 0
        self.cancelled: list[str] = []
        self.broken = True
        self.runs: list[str] = []
        self.left.implement(double, self._double, concurrency=10)
        self.left.implement(fail, self._fail)
        self.left.implement(spread, self._spread)
        self.right.implement(total, self._total)
        self.right.implement(label, self._label)
        self.right.implement(pair, self._pair)
        self.right.implement(block, self._block, concurrency=3)

    async def _double(self, data: int, ctx: Context) -> int:
        self.runs.append(ctx.id)
        return data * 2

    def _total(self, data: list[int]) -> int:
        return sum(data)

    async def _label(self, data: int) -> str:
        return f"<{data}>"

    async def _pair(self, data: tuple[int, str]) -> str:
        return f"{data[0]}{data[1]}"

    async def _fail(self, data: int) -> int:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return data + 1

    async def _block(self, data: int, ctx: Context) -> int:
        self.blocked.set()
        self.running += 1
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.append(ctx.id)
            raise
        return data

    async def _spread(self, data: int, ctx: Context) -> int:
        first = ctx.spawn(chain(double.s(), double.s()))
        rest = ctx.spawn(group([double.s(number) for number in range(data)]))
        assert (len(first.job_ids), len(rest.job_ids)) == (1, data)
        return data


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[tuple[Shop, AsyncProducer]]:
    shop = Shop(url)
    async with shop.left, shop.right, AsyncProducer(url) as producer:
        yield shop, producer


async def nothing_is_left_undone(url: str) -> None:
    backend = open_backend(url)

    async def is_quiet() -> bool:
        if await backend.run(ListWorkflows(ended=False, offset=0, limit=10)):
            return False
        tasks = ("double", "total", "label", "fail", "block")
        return not any([await backend.run(ReadUntold(task=task, min_age_ms=0, limit=1)) for task in tasks])

    await aeventually(is_quiet)
    await backend.close()
