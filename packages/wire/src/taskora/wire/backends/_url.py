"""From the URL of a server, or of several, to the settings of connections."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from taskora.contracts import UsageError
from taskora.wire.backends._address import Address

# What a URL may say: how commands travel, and what a connection can be told in words.
_SETTINGS: Final = frozenset(
    {
        "username", "password", "db", "client_name", "transport", "protocol",
        "socket_connect_timeout", "socket_keepalive", "socket_read_size",
    }
)  # fmt: skip
_TLS_SETTINGS: Final = frozenset(
    {
        "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
        "ssl_ciphers", "ssl_exclude_verify_flags", "ssl_include_verify_flags", "ssl_keyfile", "ssl_min_version",
        "ssl_password",
    }
)  # fmt: skip
# Options of a client. They stay without effect, so that programs of both kinds can share a URL.
_OF_CLIENTS: Final = frozenset(
    {
        "decode_responses", "encoding", "encoding_errors", "health_check_interval", "legacy_responses",
        "max_connections", "retry_on_timeout", "socket_timeout", "timeout",
    }
)  # fmt: skip
_ADDRESS: Final = frozenset({"scheme", "host", "port", "path"})


def read_url(url: str, *, more: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What the URL of one server says, with `more` options than most have.

    Raises:
        UsageError: it cannot be read. Nobody knows then which part is the password, so nothing is quoted.
    """
    parts = _split(url)
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdigit():
        raise UsageError("url path must be a database number, as in redis://localhost:6379/0")
    if parts.scheme == "unix" and not parts.path:
        raise UsageError("url names no socket, as in unix:///run/redis.sock")
    try:
        options = _options_of(parts)
    except ValueError:
        raise UsageError("url cannot be read: an option after the ? has a value of the wrong type, or two") from None
    known = _SETTINGS | _TLS_SETTINGS | more
    if "@" in parts.query and not options.keys() <= known | _OF_CLIENTS | _ADDRESS:
        raise unreadable()  # a password with a ? in it; nothing of it may be taken for a name
    return _checked(options, parts.scheme, known)


def _options_of(parts: SplitResult) -> dict[str, Any]:
    """As redis-py reads a URL, so that programs of both kinds can share one."""
    options: dict[str, Any] = {"scheme": parts.scheme}
    for name, (value, *others) in parse_qs(parts.query, keep_blank_values=True).items():
        if others:
            raise ValueError(name)  # which of them is meant?
        options[name] = _PARSERS.get(name, str)(value)
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if parts.scheme == "unix":
        options["path"] = unquote(parts.path)
        return options
    if parts.hostname:
        options["host"] = unquote(parts.hostname)
    if parts.port:
        options["port"] = parts.port
    if parts.path.strip("/"):
        options.setdefault("db", int(parts.path.strip("/")))
    return options


def _truth(word: str) -> bool:
    if not word:
        raise ValueError(word)
    return word.upper() not in ("0", "F", "FALSE", "N", "NO")


def _natural(word: str) -> int:
    if not word.isdigit():
        raise ValueError(word)
    return int(word)


def _positive(word: str) -> int:
    number = _natural(word)
    if not number:
        raise ValueError(word)
    return number


def _seconds(word: str) -> float:
    seconds = float(word)
    if not 0 <= seconds < inf:
        raise ValueError(word)
    return seconds


def _requirement(word: str) -> str:
    if word not in ("none", "optional", "required"):
        raise ValueError(word)
    return word


def _verify_flags(words: str) -> list[Any]:
    import ssl

    names = words.strip("[]").replace(" ", "").split(",")
    if not set(names) <= set(ssl.VerifyFlags.__members__):
        raise ValueError(words)
    return [ssl.VerifyFlags[name] for name in names]


def _tls_version(word: str) -> Any:
    import ssl

    return ssl.TLSVersion(int(word))


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "db": _natural,
    "protocol": int,
    "socket_connect_timeout": _seconds,
    "socket_keepalive": _truth,
    "socket_read_size": _positive,
    "ssl_cert_reqs": _requirement,
    "ssl_check_hostname": _truth,
    "ssl_exclude_verify_flags": _verify_flags,
    "ssl_include_verify_flags": _verify_flags,
    "ssl_min_version": _tls_version,
}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port != 0
    except ValueError:
        raise unreadable() from None
    if parts.fragment:
        raise unreadable()  # a password with a # in it, or else nothing that a server is asked for
    if not port_is_valid:
        raise UsageError.for_field("url port", 0, "from 1 to 65535")
    return parts


def unreadable() -> UsageError:
    """The error for what is no URL. It quotes nothing of it."""
    return UsageError(
        "url cannot be read: host and port must be as in redis://localhost:6379/0; "
        "escape special characters in the password, as %40 for @ and %2F for /"
    )


def _checked(options: dict[str, Any], scheme: str, known: frozenset[str]) -> dict[str, Any]:
    for name in options.keys() - _ADDRESS:
        if name in _OF_CLIENTS:
            del options[name]
        elif name not in known:
            raise UsageError.for_field("url option", name, "one of " + ", ".join(sorted(known)))
        elif options[name] == "":
            raise UsageError(f"url option {name} has no value: give it one, or leave it out")
        elif name in _TLS_SETTINGS and scheme != "rediss":
            raise UsageError(f"url option {name} is about TLS: begin the URL with rediss instead of {scheme}")
    protocol = options.get("protocol", 2)
    if protocol not in (2, 3):
        raise UsageError.for_field("url option protocol", protocol, "2 or 3")
    return options


def read_hosts(
    url: str, *, port: int, example: str, more: frozenset[str] = frozenset()
) -> tuple[dict[str, Any], list[Address]]:
    """What a URL that names several servers says, without what is after its `+`; `port` is where none is named.

    Raises:
        UsageError: it cannot be read, or names no host; `example` is how it should look like.
    """
    scheme, _, rest = url.partition("://")
    location, mark, query = rest.partition("?")
    netloc, slash, path = location.partition("/")
    credentials, at, hosts = netloc.rpartition("@")
    plain = scheme.partition("+")[0]
    options: dict[str, Any] = {}
    addresses: list[Address] = []
    for host in hosts.split(","):
        one = f"{plain}://{credentials}{at}{host}{slash}{path}{mark}{query}"
        options = read_url(one, more=more)
        parts = urlsplit(one)
        if not parts.hostname:
            raise UsageError(f"url names no host, as in {example}")
        addresses.append(Address(parts.hostname, parts.port or port))
    return options, addresses
