"""How a connection is encrypted. Imported where one is."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from taskora.wire.backends._redis_errors import ConnectionError as BrokenConnectionError
from taskora.wire.backends._redis_errors import TlsError

_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_AUTHORITIES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data")  # the order in which Python takes them
# In alerts of the other side.
_REJECTIONS: Final = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_NO_CERTIFICATE", "ALERT_UNKNOWN_CA")
_REQUIREMENTS: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """What the `ssl_` options of a URL ask for; certificates are read from their files now.

    Raises:
        TlsError: a file cannot be read, or does not hold what it should.
    """
    context = ssl.create_default_context()
    requirement = _REQUIREMENTS[options.get("ssl_cert_reqs", "required")]
    context.check_hostname = requirement != ssl.CERT_NONE and options.get("ssl_check_hostname", True)
    context.verify_mode = requirement
    for flag in options.get("ssl_include_verify_flags", ()):
        context.verify_flags |= flag
    for flag in options.get("ssl_exclude_verify_flags", ()):
        context.verify_flags &= ~flag
    _load(context, options)
    if options.get("ssl_min_version") is not None:
        context.minimum_version = ssl.TLSVersion(options["ssl_min_version"])
    if options.get("ssl_ciphers"):
        _choose(context, options["ssl_ciphers"])
    return context


def _choose(context: ssl.SSLContext, ciphers: str) -> None:
    try:
        context.set_ciphers(ciphers)
    except OSError as error:
        raise _broken("ssl_ciphers", ciphers, "a list of ciphers that OpenSSL has", error) from error


def check_files(options: Mapping[str, Any]) -> None:
    """Raises an error if certificates cannot be read from their files."""
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), options)


def _load(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    for name in _FILES:
        _check_file(name, options.get(name))
    key = options.get("ssl_keyfile")
    certificate = options.get("ssl_certfile", key)  # one file may hold both
    if certificate:
        try:
            # Without a password OpenSSL would ask for one, at the terminal.
            context.load_cert_chain(certificate, key, options.get("ssl_password") or "")
        except OSError as error:
            raise _broken("ssl_certfile", certificate, f"a file with a certificate that fits {key!r}", error) from error
    authorities = {name: options[name] for name in _AUTHORITIES if options.get(name)}
    if authorities:
        try:
            context.load_verify_locations(*map(authorities.get, _AUTHORITIES))
        except (OSError, TypeError, ValueError) as error:
            name, value = next(iter(authorities.items()))
            what = "certificates" if name == "ssl_ca_data" else "a file with certificates"
            raise _broken(name, value, f"{what} of authorities", error) from error


def _check_file(name: str, path: str | None) -> None:
    """What the library of Python says about a missing file does not name it."""
    if path is None:
        return
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise _broken(name, path, "a file that can be read", error) from error


def _broken(name: str, value: object, rule: str, error: Exception) -> TlsError:
    reason = getattr(error, "strerror", None) or error
    return TlsError(f"option {name} must be {rule}, got {value!r} ({reason})")


def refusal(error: BaseException, options: Mapping[str, Any], where: str) -> TlsError | None:
    """What to say where one side has rejected the other's certificate; None where something else has failed."""
    reason = str(getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        authorities = options.get("ssl_ca_certs") or options.get("ssl_ca_path")
        return TlsError(
            f"{where} shows a certificate that was rejected ({error}): option ssl_ca_certs must be a file with the "
            f"authority that signed it, got {authorities!r}; and it must be made for this host"
        )
    if any(word in reason for word in _REJECTIONS):
        return TlsError(
            f"{where} rejected our certificate ({error}): option ssl_certfile must be a file with a certificate that "
            f"the server trusts, got {options.get('ssl_certfile')!r}"
        )
    return None


def cut_off(error: BrokenConnectionError, options: Mapping[str, Any]) -> BrokenConnectionError:
    """What to say where a connection broke before the server had let us in.

    With TLS 1.3 our side is done before the server has looked at our certificate. One that hangs up then may be done
    with the connection before its reason has arrived.
    """
    return BrokenConnectionError(
        f"{error} That was at the end of the TLS handshake: the server may want a certificate that it trusts in option "
        f"ssl_certfile, got {options.get('ssl_certfile')!r}"
    )
