"""The models that a server lists: advice, because lists lack names that the server answers for."""

from __future__ import annotations

from dataclasses import dataclass

import openai

from ds2.base.errors import UserError
from ds2.models.chat.served.format import Connection
from ds2.models.chat.served.loop import SteppedLoop
from ds2.models.chat.served.trouble import FAILURES, maybe_tls, unreached
from ds2.models.chat.served.words import mapping, text_of, value_of

TIMEOUT = 30.0
"""Seconds for the list, at most."""


@dataclass(frozen=True)
class Listing:
    """What became of asking for the list."""

    names: tuple[str, ...] = ()
    address: str | None = None
    """Where the server answers, where that is not the address that was given."""


async def list_models(
    client: openai.AsyncOpenAI, connection: Connection, loop: SteppedLoop, timeout: float
) -> Listing:
    """Ask which models there are, at the address given and, where that has no list, below /v1.

    Raises:
        UserError: no server is there, or none that can be used.
    """
    seconds = min(timeout, TIMEOUT)
    if connection.api_version is not None:
        return Listing()  # an Azure resource lists models, not deployments
    first = await _listed(client, connection, loop, seconds)
    address = str(client.base_url).rstrip("/")
    if first is not None and (first.names or connection.base_url is None or address.endswith("/v1")):
        return first
    client.base_url = f"{address}/v1"
    second = await _listed(client, connection, loop, seconds, other=True)
    if second is not None and second.names:
        return Listing(second.names, f"{address}/v1")
    client.base_url = address
    return first or Listing()


async def _listed(
    client: openai.AsyncOpenAI,
    connection: Connection,
    loop: SteppedLoop,
    timeout: float,
    *,
    other: bool = False,
) -> Listing | None:
    """None where there is a server but no such list; `other`: no server is no error."""
    try:
        async with loop.within(timeout):
            raw = await client.models.with_raw_response.list()
    except openai.APIStatusError as error:
        return None if error.status_code == 404 else Listing()
    except FAILURES as error:
        if other:
            return None
        raise _unusable(error, connection, timeout) from None
    text = text_of(raw.content)
    try:
        listed = mapping(value_of(text)).get("data")
    except (ValueError, RecursionError):
        return None
    entries = listed if isinstance(listed, list) else []
    ids = (mapping(entry)["id"] for entry in entries if "id" in mapping(entry))
    names = sorted(map(connection.without_key, ids))
    return Listing(tuple(names)) if names else None


def _unusable(error: BaseException, connection: Connection, timeout: float) -> UserError:
    fault, option = unreached(error, connection, timeout), f"{connection.group}.base_url"
    if fault.hopeless:
        return UserError(f"{connection.name} cannot be used: {fault.words}")
    if maybe_tls(error, connection):
        secure = str(connection.base_url).replace("http://", "https://", 1)
        return UserError(
            f"{connection.name} breaks off ({fault.words}): check {option}; if it speaks https, give "
            f"{option}={secure}"
        )
    return UserError(f"no server answers at {connection.name}: start it, or check {option} ({fault.words})")
