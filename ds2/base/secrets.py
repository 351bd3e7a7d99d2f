"""What a person types may hold a password or a key: told, and masked in whatever is written of it."""

from __future__ import annotations

import re

MASK = "***"
_NAME = r"(?:\w+_)?(?:api_?key|access_?key|secret(?:_key)?|token|password|passwd|credentials?|authorization)"
_OPTION = re.compile(rf"^([+~]*(?:[\w@/-]+\.)*{_NAME})=(?=.)", re.IGNORECASE)
_USER = re.compile(r"((?:https?|ftp)://)[^/@\s]+@", re.IGNORECASE)
_QUERY = re.compile(rf"([?&]{_NAME.replace('api_?key', '(?:api_?)?key')}=)[^&\s'\"]+", re.IGNORECASE)


def secret_option(override: str) -> str | None:
    """The key of `key=value` where that names a secret (`rater.api_key`)."""
    found = _OPTION.match(override)
    return found[1].lstrip("+~") if found else None


def holds_password(text: str) -> bool:
    """Whether an address in the text has a user name, a password or a key in its query."""
    return bool(_USER.search(text) or _QUERY.search(text))


def masked(text: str) -> str:
    """The text, an option or a message, without the secrets that it may hold."""
    option = _OPTION.match(text)
    if option:
        return f"{option[1]}={MASK}"
    return _QUERY.sub(rf"\1{MASK}", _USER.sub(rf"\1{MASK}@", text))
