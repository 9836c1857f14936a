"""Redis Sentinel: which server is the master now.

Without input or output: a flow says whom to ask, and connections for asyncio or for threads ask.
"""

from collections.abc import Sequence
from typing import Any, Final

from taskora.contracts.records import record
from taskora.wire._flows import Flow
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._address import Address
from taskora.wire.backends._requests import FAILURES, Request

# How long each sentinel may take, to connect and then to answer. A second one is asked when the first is silent.
SENTINEL_TIMEOUT: Final = 1.0


@record(kw_only=False)
class ToSentinel:
    """A request for one sentinel."""

    address: Address
    request: Request


class Sentinels:
    """Who knows the master of a service. Those that answered last are asked first."""

    def __init__(self, service: str, addresses: Sequence[Address]) -> None:
        self.service: Final = service
        self._addresses = tuple(dict.fromkeys(addresses))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Whom to ask, in this order."""
        return self._addresses

    def prefer(self, address: Address) -> None:
        """Asks this one first from now on. The order is replaced as a whole, so that any thread may look."""
        self._addresses = (address, *(other for other in self._addresses if other != address))


def master_address(sentinels: Sentinels) -> Flow[Address]:
    """Asks one sentinel after the other where the master is.

    Raises:
        AuthenticationError: one of them refused the credentials, and no other one answered.
        ConnectionError: none of them knows.
    """
    request = Request(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.service), timeout=SENTINEL_TIMEOUT)
    reasons: list[str] = []
    refusal: Exception | None = None
    for address in sentinels.addresses:
        try:
            reply: Any = yield ToSentinel(address, request)
        except FAILURES as error:
            reasons.append(f"{address}: {error}")
            refusal = _refusal(error, address) or refusal
            continue
        if reply is not None:
            sentinels.prefer(address)
            host, port = reply
            return Address(host.decode(), int(port))
        reasons.append(f"{address} knows no such service")
    raise refusal or redis_errors.ConnectionError(
        f"no sentinel names a master of {sentinels.service!r} ({'; '.join(reasons)})"
    )


def _refusal(error: Exception, address: Address) -> Exception | None:
    """What to raise where the credentials are wrong, which asking again would not change."""
    if isinstance(error, redis_errors.TlsError):
        return redis_errors.TlsError(f"sentinel {address}: {error}")
    is_refusal = isinstance(error, redis_errors.AuthenticationError) or "NOAUTH" in str(error)
    return redis_errors.AuthenticationError(f"sentinel {address}: {error}") if is_refusal else None


def check_role(address: Address, reply: Sequence[Any]) -> None:
    """Takes a reply to `ROLE`: sentinels may be late, and a server that was the master be a replica by now.

    Raises:
        ConnectionError: the server is no master.
    """
    role = reply[0].decode()
    if role != "master":
        raise redis_errors.ConnectionError(f"{address} is no master but a {role}: the sentinels are asked again")
