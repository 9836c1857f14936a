"""What is compared, in two tables: how fast, and at what cost."""

from typing import Final

from taskora.bench._rows import Row

SPEED: Final = (
    Row(name="enqueue", title="enqueue one by one", unit="ops/s"),
    Row(name="enqueue_bulk", title="enqueue bulk (50)", unit="ops/s"),
    Row(name="process_1", title="process c=1", unit="ops/s"),
    Row(name="process_100", title="process c=100", unit="ops/s"),
    Row(name="latency_p50", title="latency p50", unit="ms"),
    Row(name="latency_p95", title="latency p95", unit="ms"),
    Row(name="latency_p99", title="latency p99", unit="ms"),
)
COST: Final = (
    Row(name="bytes_per_job", title="server memory per waiting job", unit="bytes"),
    Row(name="server_us_enqueue", title="server CPU per job, one by one", unit="us"),
    Row(name="server_us_bulk", title="server CPU per job, bulk", unit="us"),
    Row(name="server_us_process", title="server CPU per job, c=100", unit="us"),
    Row(name="client_us_enqueue", title="producer CPU per job, one by one", unit="us"),
    Row(name="client_us_process", title="worker CPU per job, c=100", unit="us"),
    Row(name="rss_mb", title="process memory (RSS)", unit="MB"),
)
COMPARED: Final = SPEED + COST
# Which scenario yields which figures.
SCENARIOS: Final = {
    "enqueue": ("enqueue", "bytes_per_job", "server_us_enqueue", "client_us_enqueue"),
    "enqueue_bulk": ("enqueue_bulk", "server_us_bulk"),
    "process_1": ("process_1",),
    "process_100": ("process_100", "server_us_process", "client_us_process"),
    "latency": ("latency_p50", "latency_p95", "latency_p99", "rss_mb"),
}
