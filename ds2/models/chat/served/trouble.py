"""Why a server cannot be reached, or answers nothing, in words that say what to change."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import openai

from ds2.base.errors import UserError
from ds2.models.chat.served.format import Connection
from ds2.models.chat.served.policy import Fate, Fault

FAILURES = (openai.APIConnectionError, aiohttp.ClientError, httpx2.HTTPError, TimeoutError)
"""What a call raises where no response came, or none that can be read."""


def unreached(error: BaseException, connection: Connection, seconds: float) -> Fault:
    """The fault that an error of a call without a response is.

    Args:
        seconds: after which the call was given up.
    """
    causes = list(_causes(error))
    option, url = f"{connection.group}.base_url", connection.base_url or ""
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = getattr(cause, "verify_message", "") or "it cannot be verified"
            advice = f"{connection.group}.ca_file=FILE names a certificate to trust"
            return Fault(f"its certificate is not trusted ({why}): {advice}", hopeless=True)
    if any(_speaks_no_tls(cause) for cause in causes):
        plain = url.replace("https://", "http://", 1)
        return Fault(f"it does not speak https (try {option}={plain})", hopeless=True)
    if (variable := _proxy(url)) and any(isinstance(c, _PROXY_ERRORS) for c in causes):
        return Fault(
            f"the proxy that {variable} names does not answer: mend it, or put the server's host into "
            "NO_PROXY", hopeless=True,
        )  # fmt: skip
    if any(isinstance(cause, socket.gaierror | aiohttp.ClientConnectorDNSError) for cause in causes):
        return Fault(f"no such host: {urlsplit(url).hostname}")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return Fault(f"no whole answer within {connection.group}.runtime.timeout={seconds:g} s")
    cause = causes[-1]
    words = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    return Fault(connection.without_key(words)[:300])


_PROXY_ERRORS = (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError, httpx2.ProxyError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, the innermost last."""
    at: BaseException | None = error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        inner = getattr(at, "certificate_error", None) or getattr(at, "os_error", None)
        if isinstance(inner, BaseException) and id(inner) not in seen:
            yield inner
        at = at.__cause__ or at.__context__


def _speaks_no_tls(cause: BaseException) -> bool:
    words = str(cause).upper().replace(" ", "_")
    return isinstance(cause, ssl.SSLError) and any(
        sign in words for sign in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
    )


def _proxy(url: str) -> str | None:
    """The environment variable of the proxy through which an address is reached."""
    address = urlsplit(url)
    if not address.hostname or proxy_bypass(address.hostname):
        return None
    proxies = getproxies()
    scheme = next((name for name in (address.scheme, "all") if name in proxies), None)
    return None if scheme is None else f"{scheme.upper()}_PROXY"


def maybe_tls(error: BaseException, connection: Connection) -> bool:
    """Whether a server that broke off at once may be one that speaks https."""
    broke = (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
    plain = (connection.base_url or "").startswith("http://")
    return plain and any(isinstance(cause, (*broke, ConnectionResetError)) for cause in _causes(error))


def refusal(fault: Fault, connection: Connection, model: str, has: str = "") -> UserError:
    """What the user has to change where nothing can be asked.

    Args:
        has: which models the server lists instead, for the end of the line.
    """
    name, group, reason = connection.name, connection.group, fault.reason
    if fault.page:
        return UserError(f"what answers at {name} is {fault.words}, no API: check {group}.base_url")
    if fault.hopeless:
        return UserError(f"{name} cannot be used: {fault.words}")
    if fault.status == 402 or fault.code == "insufficient_quota":
        return UserError(f"{name} has no credit left for this key ({reason})")
    if fault.status == 429:
        return UserError(f"{name} answers no more for now ({reason})")
    if fault.status in (401, 403) or fault.fate(heard=False) is Fate.run:
        unset = ": none is set" if connection.key is None else ""
        return UserError(f"{name} refuses the key in {connection.variable} ({reason}){unset}")
    if fault.status == 404:
        elsewhere = "" if has else f"; or nothing answers there nor below /v1: check {group}.base_url"
        return UserError(f"{name} has no model {model} ({reason}){has or elsewhere}")
    return UserError(f"{name} refuses every question: {reason}{has}")


__all__ = ["FAILURES", "maybe_tls", "refusal", "unreached"]
