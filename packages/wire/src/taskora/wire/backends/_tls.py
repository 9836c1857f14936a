"""How a connection is encrypted. Imported where one is."""

import ssl
from collections.abc import Mapping
from typing import Any, Final

_REQUIREMENTS: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """What the `ssl_` options of a URL ask for; certificates are read from their files now.

    Raises:
        OSError: a file cannot be read, or does not hold what it should.
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
        context.set_ciphers(options["ssl_ciphers"])
    return context


def _load(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    key = options.get("ssl_keyfile")
    certificate = options.get("ssl_certfile", key)  # one file may hold both
    if certificate:
        context.load_cert_chain(certificate, key, options.get("ssl_password"))
    authorities = [options.get(f"ssl_ca_{what}") for what in ("certs", "path", "data")]
    if any(authorities):
        context.load_verify_locations(*authorities)
