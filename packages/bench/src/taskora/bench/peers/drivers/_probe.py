"""What a run costs: the server's counters and those of this process."""

import contextlib
import os
import resource
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Counters at one instant. `server_us` and `client_us` are CPU time of all threads."""

    count: int
    seconds: float
    memory_bytes: int
    server_us: float
    client_us: float

    def __sub__(self, earlier: Self) -> "Sample":
        return Sample(
            count=self.count - earlier.count,
            seconds=self.seconds - earlier.seconds,
            memory_bytes=self.memory_bytes - earlier.memory_bytes,
            server_us=self.server_us - earlier.server_us,
            client_us=self.client_us - earlier.client_us,
        )


class Probe:
    """Asks the server over a connection of its own, without a client library: each peer has another one."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 0))
        self._replies = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._replies.close()
        self._socket.close()

    def sample(self, count: int) -> Sample:
        """The counters now, beside the number of jobs so far."""
        seconds, client_us = time.perf_counter(), time.process_time() * 1e6
        info = self.info()
        server_seconds = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        return Sample(
            count=count,
            seconds=seconds,
            memory_bytes=int(info["used_memory"]),
            server_us=server_seconds * 1e6,
            client_us=client_us,
        )

    def info(self) -> dict[str, str]:
        """What the server says about itself."""
        self._socket.sendall(b"INFO\r\n")
        length = int(self._replies.readline()[1:])
        text = self._replies.read(length + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def resident_bytes() -> int:
    """The memory of this process that is in RAM; where the system does not tell, the most it ever was."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
