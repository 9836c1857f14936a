"""From a `redis+sentinel://` URL, or from a client of redis-py that asks sentinels, to connections to the master."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

from taskora.contracts import UsageError
from taskora.contracts.records import field, record
from taskora.wire.backends._address import Address
from taskora.wire.backends._connection import AsyncConnection, SyncConnection
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._requests import CONNECT_TIMEOUT
from taskora.wire.backends._sentinel import SENTINEL_TIMEOUT, Sentinels
from taskora.wire.backends._sentinel_connections import AsyncMaster, SyncMaster
from taskora.wire.backends._url import read_hosts, unreadable

if TYPE_CHECKING:
    from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
    from redis.sentinel import SentinelConnectionPool as SyncSentinelPool

_DEFAULT_PORT: Final = 26379
_EXAMPLE: Final = "redis+sentinel://one:26379,two:26379/service/0"
_CREDENTIALS: Final = {"sentinel_username": "username", "sentinel_password": "password"}
# What is said about servers, and does not hold for sentinels.
_OF_SERVERS: Final = frozenset({"username", "password", "db", "client_name", "protocol", "transport"})
# What is said of one address, or of one kind of client.
_OF_ONE: Final = frozenset({"host", "port", "connection_pool"})


@record
class Service:
    """Who knows the master, and the settings of connections: to the servers, and to those who know."""

    sentinels: Sentinels
    options: dict[str, Any] = field(repr=False)
    of_sentinels: dict[str, Any] = field(repr=False)

    def async_factory(self, *, redis_py: bool) -> Callable[[], AsyncConnection]:
        """Makes connections for asyncio to the master.

        Raises:
            UsageError: no connection takes these options.
        """
        settings = self._to_sentinels()

        def make_sentinel(address: Address) -> AsyncConnection:
            return async_factory(_at(settings, address), redis_py=redis_py)()

        def make_server(address: Address) -> AsyncConnection:
            return async_factory(_at(self.options, address), redis_py=redis_py)()

        make_server(self.sentinels.addresses[0])  # refuses options that no connection takes
        seconds: float = self.options.get("socket_connect_timeout") or CONNECT_TIMEOUT
        return lambda: AsyncMaster(self.sentinels, make_sentinel, make_server, seconds)

    def sync_factory(self, *, redis_py: bool) -> Callable[[], SyncConnection]:
        """Makes connections for threads; see `async_factory`."""
        settings = self._to_sentinels()

        def make_sentinel(address: Address) -> SyncConnection:
            return sync_factory(_at(settings, address), redis_py=redis_py, reply_timeout=SENTINEL_TIMEOUT)()

        def make_server(address: Address) -> SyncConnection:
            return sync_factory(_at(self.options, address), redis_py=redis_py)()

        return lambda: SyncMaster(self.sentinels, make_sentinel, make_server)

    def _to_sentinels(self) -> dict[str, Any]:
        return self.of_sentinels | {"socket_connect_timeout": SENTINEL_TIMEOUT}


def service_of_url(url: str) -> Service:
    """The service that a URL names.

    Raises:
        UsageError: the URL cannot be read, or names no host or no service.
    """
    location, mark, query = url.partition("?")
    scheme, _, rest = location.partition("://")
    hosts, _, path = rest.partition("/")
    service, slash, database = path.partition("/")
    if "@" in path:
        raise unreadable()  # a password with a slash in it; nothing of it may be taken for a name
    if not service:
        raise UsageError(f"url names no service, as in {_EXAMPLE}")
    options, addresses = read_hosts(
        f"{scheme}://{hosts}{slash}{database}{mark}{query}",
        port=_DEFAULT_PORT,
        example=_EXAMPLE,
        more=frozenset(_CREDENTIALS),
    )
    credentials = {name: options.pop(option) for option, name in _CREDENTIALS.items() if option in options}
    shared = {name: value for name, value in options.items() if name not in _OF_SERVERS}
    return Service(
        sentinels=Sentinels(unquote(service), addresses),
        options=_without_address(options),
        of_sentinels=_without_address(shared | credentials),
    )


def service_of_pool(pool: "AsyncSentinelPool | SyncSentinelPool") -> Service:
    """The service to whose master the pool of a client leads.

    Raises:
        UsageError: the pool leads to replicas.
    """
    untyped: Any = pool
    about = untyped.connection_kwargs["connection_pool"]
    if not about.is_master:
        raise UsageError("the client reads from replicas: give one of the master, from Sentinel.master_for(...)")
    pools: list[Any] = [sentinel.connection_pool for sentinel in about.sentinel_manager.sentinels]
    addresses = [Address(each.connection_kwargs["host"], int(each.connection_kwargs["port"])) for each in pools]
    options, of_sentinels = _settings_of(untyped), _settings_of(pools[0])
    for settings in (options, of_sentinels):
        settings.pop("protocol", None)  # of the client's replies; ours are our business
    return Service(
        sentinels=Sentinels(about.service_name, addresses),
        options=_without_address(options),
        of_sentinels=_without_address(of_sentinels),
    )


def _settings_of(pool: Any) -> dict[str, Any]:
    import redis
    from redis.asyncio import connection as async_connections

    over_tls = issubclass(pool.connection_class, async_connections.SSLConnection | redis.SSLConnection)
    plain = async_connections.SSLConnection if over_tls else async_connections.Connection
    return dict(cast("Mapping[str, Any]", pool.connection_kwargs)) | {"connection_class": plain}


def _without_address(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _OF_ONE}


def _at(settings: dict[str, Any], address: Address) -> dict[str, Any]:
    return settings | {"host": address.host, "port": address.port}
