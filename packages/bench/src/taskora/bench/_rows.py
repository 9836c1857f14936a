"""What is measured: the rows of every result, in the order in which they are printed."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Unit: TypeAlias = Literal["ops/s", "ms", "bytes", "us", "calls", "MB", "cores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `higher_is_better` says which way ratios are read."""

    name: str
    title: str
    unit: Unit

    @property
    def higher_is_better(self) -> bool:
        """Rates are better when they are higher; times and sizes when they are lower."""
        return self.unit == "ops/s"


ROWS: Final = (
    Row(name="enqueue", title="enqueue one by one", unit="ops/s"),
    Row(name="enqueue_bulk", title="enqueue bulk (50)", unit="ops/s"),
    Row(name="process_1", title="process c=1", unit="ops/s"),
    Row(name="process_100", title="process c=100", unit="ops/s"),
    Row(name="latency_p50", title="latency p50", unit="ms"),
    Row(name="latency_p95", title="latency p95", unit="ms"),
    Row(name="latency_p99", title="latency p99", unit="ms"),
    Row(name="bytes_per_job", title="server memory per waiting job", unit="bytes"),
    Row(name="server_us_enqueue", title="server time per job enqueued in bulk", unit="us"),
    Row(name="server_us_process", title="server time per job settled, c=100", unit="us"),
    Row(name="commands_1", title="server commands per job settled, c=1", unit="calls"),
    Row(name="commands_100", title="server commands per job settled, c=100", unit="calls"),
    Row(name="client_us_process", title="worker CPU per job settled, c=100", unit="us"),
    Row(name="rss_mb", title="memory of a process with producer and worker (RSS)", unit="MB"),
)
