"""What a person types or writes into YAML may hold a password or a key: told, and masked in whatever is
written of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"
_NAME = (
    r"(?<!\w)(?:(?:\w+_)?(?:api_?key|access_?key|private_?key|secret(?:_key)?|token|password|passwd|passphrase"
    r"|credentials?|authorization)|(?-i:[A-Z][A-Z0-9_]*_(?:KEY|PAT|PASS)))"
)
_NAMED = re.compile(_NAME, re.IGNORECASE)
_OPTION = re.compile(rf"^([+~]*(?:[\w@/-]+\.)*{_NAME})=(?=.)", re.IGNORECASE)
_VALUE = r"(?:'[^']+'|\"[^\"]+\"|[^\s'\",;|)}\]]+)"
_ENTRY = re.compile(rf"([{{,]\s*(?:['\"]?{_NAME}['\"]?)\s*:\s*)(?!null\b){_VALUE}", re.IGNORECASE)
"""Of a mapping: `{HF_TOKEN: x}`."""
_ASSIGNED = re.compile(rf"({_NAME}=)(?!\\?['\"]?[$`]){_VALUE}", re.IGNORECASE)
"""`export HF_TOKEN=x`, `?token=x`; not what a shell looks up, `HF_TOKEN=$MINE`."""
_PASSWORD = re.compile(
    r"((?<=\w)(?<!file)://)[^/\s:@\[,'\"]*:(?!:|\d+(?:[/,;)\]}\s'\"?#]|$))[^\s'\"]{0,500}@", re.IGNORECASE
)
"""`scheme://user:password@`; a port with a path, a chain of file systems (`zip://a.zip::s3://b`) are none."""
_USER = re.compile(r"(\b(?:https?|ftps?|wss?)://)[^/@\s,'\"]+@", re.IGNORECASE)
"""Of servers, where a key may stand for the user; `abfs://container@account` has no secret."""
_QUERY = re.compile(
    r"(\bhttps?://[^\s?'\"]{0,500}\?(?=[^\s'\"]{0,9}\w)"
    r"|(?<=\w)://[^\s?'\"]{0,500}\?(?=[\w.%~-]{1,99}=))[^\s'\"]+",
    re.IGNORECASE,
)
"""What follows `?` in an address: a signature, a key, or nothing that an option needs."""
_LOOKED_UP = re.compile(rf"oc\.env\s*:\s*{_NAME}(?!\w)", re.IGNORECASE)
"""A variable of the environment whose value would become an option's."""


def secret_option(override: str) -> str | None:
    """The key of `key=value` where that names a secret (`rater.api_key`)."""
    found = _OPTION.match(override)
    return found[1].lstrip("+~") if found else None


def holds_secret(text: str) -> bool:
    """Whether the text has an address with a password or a query, gives a secret by its name, or takes one
    from the environment.
    """
    return any(kind.search(text) for kind in (_PASSWORD, _USER, _QUERY, _ENTRY, _ASSIGNED, _LOOKED_UP))


def secrets_in(values: Any, where: str = "") -> Iterator[str]:
    """Dotted keys of nested mappings and lists whose name or text is a secret's."""
    if isinstance(values, str):
        if holds_secret(values):
            yield where
    elif isinstance(values, Mapping):
        for name, value in values.items():
            key = f"{where}.{name}" if where else str(name)
            if isinstance(value, str) and value and _NAMED.fullmatch(str(name)):
                yield key
            else:
                yield from secrets_in(value, key)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from secrets_in(value, where)


def masked(text: str) -> str:
    """The text, an option or a message, without the secrets that it may hold."""
    option = _OPTION.match(text)
    if option:
        return f"{option[1]}={MASK}"
    for pattern, end in ((_PASSWORD, "@"), (_USER, "@"), (_QUERY, ""), (_ENTRY, ""), (_ASSIGNED, "")):
        text = pattern.sub(rf"\1{MASK}{end}", text)
    return text
