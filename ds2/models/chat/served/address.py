"""The address of a server: checked once, and its name in messages and folders."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ds2.base.errors import UserError
from ds2.base.secrets import masked, value_holds_secret

_VARIABLE = "OPENAI_BASE_URL"


def server_name(base_url: str | None) -> str:
    """Where the official client would go: the address given, the environment's, or OpenAI's own."""
    return base_url or os.environ.get(_VARIABLE) or "OpenAI"


_CALLS = ("/chat/completions", "/completions", "/embeddings", "/models")


def root_of(base_url: str) -> str:
    """The root of a server, where the address of one of its calls was given."""
    root = base_url.rstrip("/")
    call = next((name for name in _CALLS if root.endswith(name)), "")
    return root.removesuffix(call).rstrip("/")


def check_address(base_url: str | None, group: str) -> None:
    """Refuse an address that cannot be one, or that holds a secret. Raises UserError."""
    given = (
        (f"{group}.base_url", base_url),
        (_VARIABLE, os.environ.get(_VARIABLE) if base_url is None else None),
    )
    for option, text in given:
        if text is None or (option == _VARIABLE and not text):
            continue
        try:
            address = urlsplit(text)
            usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError:  # a bad port, or half an IPv6 address
            raise UserError(f"{option} is no address of a server: give http://host:port/v1") from None
        if address.username or address.password or address.query or value_holds_secret(option, text):
            raise UserError(
                f"{option} must hold no user name, password or query: it is written into records; a key "
                "belongs into the environment"
            )
        if not usable:
            raise UserError(
                f"{masked(f'{option}={text}')} is no address of a server: give http://host:port/v1"
            )
