"""From a `redis+sentinel://` URL, or from a client of redis-py that asks sentinels, to settings of connections."""

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import unquote

import redis
from redis.asyncio import connection as async_connections
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.sentinel import SentinelConnectionPool as SyncSentinelPool

from taskora.contracts import UsageError
from taskora.wire.backends._address import Address
from taskora.wire.backends._connection_factory import async_factory, sync_factory
from taskora.wire.backends._sentinel import SENTINEL_TIMEOUT, Sentinels
from taskora.wire.backends._sentinel_connections import AsyncMaster, AsyncMasterOverTls
from taskora.wire.backends._url import read_hosts, unreadable

_DEFAULT_PORT: Final = 26379
_EXAMPLE: Final = "redis+sentinel://one:26379,two:26379/service/0"
_CREDENTIALS: Final = {"sentinel_username": "username", "sentinel_password": "password"}
# What is said about servers, and does not hold for sentinels.
_OF_SERVERS: Final = frozenset({"username", "password", "db", "client_name", "protocol", "transport"})
# What is said of one address, or of one kind of client.
_OF_ONE: Final = frozenset({"host", "port", "connection_pool"})


def options_of_url(url: str) -> dict[str, Any]:
    """Settings of connections to the master of the service that a URL names.

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
    return _options(options, Sentinels(unquote(service), addresses), shared | credentials)


def options_of_pool(pool: AsyncSentinelPool | SyncSentinelPool) -> dict[str, Any]:
    """Settings of connections to the master that the pool of a client leads to.

    Raises:
        UsageError: the pool leads to replicas.
    """
    untyped: Any = pool
    about = untyped.connection_kwargs["connection_pool"]
    if not about.is_master:
        raise UsageError("the client reads from replicas: give one of the master, from Sentinel.master_for(...)")
    pools: list[Any] = [sentinel.connection_pool for sentinel in about.sentinel_manager.sentinels]
    addresses = [Address(each.connection_kwargs["host"], int(each.connection_kwargs["port"])) for each in pools]
    of_sentinels = _settings_of(pools[0])
    of_sentinels.pop("protocol", None)
    return _options(_settings_of(untyped), Sentinels(about.service_name, addresses), of_sentinels)


def _settings_of(pool: Any) -> dict[str, Any]:
    over_tls = issubclass(pool.connection_class, async_connections.SSLConnection | redis.SSLConnection)
    plain = async_connections.SSLConnection if over_tls else async_connections.Connection
    return dict(cast("Mapping[str, Any]", pool.connection_kwargs)) | {"connection_class": plain}


def _options(options: dict[str, Any], sentinels: Sentinels, of_sentinels: dict[str, Any]) -> dict[str, Any]:
    """Settings of the connection classes that ask sentinels."""
    settings = _without_address(of_sentinels) | {"socket_connect_timeout": SENTINEL_TIMEOUT}
    over_tls = options.get("connection_class") is async_connections.SSLConnection

    def make_async(address: Address) -> Any:
        return async_factory(_at(settings, address))()

    def make_sync(address: Address) -> Any:
        return sync_factory(_at(settings, address), reply_timeout=SENTINEL_TIMEOUT)()

    return _without_address(options) | {
        "connection_class": AsyncMasterOverTls if over_tls else AsyncMaster,
        "sentinels": sentinels,
        "make_async": make_async,
        "make_sync": make_sync,
    }


def _without_address(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _OF_ONE}


def _at(settings: dict[str, Any], address: Address) -> dict[str, Any]:
    return settings | {"host": address.host, "port": address.port}
