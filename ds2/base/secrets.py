"""What a person types or writes into YAML may hold a password or a key: told, and masked in whatever is
written of it.
"""

from __future__ import annotations

import os
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
_STARTS = r"(?:^|(?<=[=\s'\"\[,(]))"
_SCHEME = r"(?<=\w\w)(?<!file):[\\/]{2,4}"
"""Two letters or more, for `C:\\` is a drive; `http:\\` is a slip."""
_INSIDE = r"(?:[^\s'\"]|['\"](?=[^\s,;)\]}'\"]))"
"""Of a password; a quote is one of its characters where nothing ends there."""
_HOST = (
    r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]|[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[a-z]{2,}"
    r"|[\w.-]{1,253}(?=:\d))(?![\w.-])"
)
_FILE = r"(?![^\s/]*\.(?:jsonl?|csv|tsv|parquet|arrow|gz|zst|xz|bz2|zip|np[yz]|pt|ya?ml|txt)(?:['\"\],)]|$))"
_PORTS = r"\d+(?:[/,;)\]}\s'\"?#]|$)"
_PASSWORD = re.compile(
    rf"((?:{_SCHEME}|{_STARTS}[\\/]{{2}}))[^/\s:@\[,'\"]*:(?!:|{_PORTS}){_INSIDE}{{0,500}}@", re.IGNORECASE
)
"""`scheme://user:password@`; a port with a path, a chain of file systems (`zip://a.zip::s3://b`) are none."""
_LIKE_A_PORT = re.compile(
    rf"((?:{_SCHEME}|{_STARTS}(?:[\\/]{{2}})?))(?:"
    rf"(?!localhost:)[^/\s:@\[,'\".]{{0,99}}:\d+[/?#][^\s,'\"]{{0,500}}@(?={_HOST}|[\w.-]{{1,253}}/)"
    rf"|[^/\s:@\[,'\"]{{0,99}}:\d+[/?#][^\s,'\"]{{0,500}}@(?=[\w.-]{{1,253}}:\d))",
    re.IGNORECASE,
)
"""`scheme://user:99/word@host/`, a password that begins as a port does; not `http://host:8000/model@2`."""
_NO_SCHEME = re.compile(
    rf"({_STARTS})(?!mailto:|[a-z]:[\\/])[^\s/:@\[,'\"=]{{1,99}}:(?![\\/]{{2}}|{_PORTS})"
    rf"{_INSIDE}{{1,200}}@(?={_HOST}){_FILE}",
    re.IGNORECASE,
)
"""`user:password@host`, the scheme forgotten; not `model:8b@revision`."""
_USER = re.compile(rf"(\b(?:https?|ftps?|wss?):[\\/]{{2,4}})(?:(?![/\\@,]){_INSIDE})+@", re.IGNORECASE)
"""Of servers, where a key may stand for the user; `abfs://container@account` has no secret."""
_SERVER = re.compile(r"((?:url|address)=['\"]?)(?!['\"]?\w\w+://)\S{0,500}@", re.IGNORECASE)
"""Whatever stands before an `@` where a server's address without a scheme was given."""
_WHOLE = re.compile(
    r"^()\s*(?:\w\w+(?<!file):[\\/]{2,4}[^/?#]*:(?!\d+$)[^/?#]*|(?:https?|ftps?|wss?):[\\/]{2,4}[^/?#]*)@",
    re.IGNORECASE,
)
"""A value that is one address as a whole: a password in it may hold anything, blanks and quotes too."""
_PAIR = r"(?=[\w.%~-]{1,99}=)"
_QUERY = re.compile(
    r"(\bhttps?:[\\/]{2,4}[^\s?'\"]{0,500}\?(?=[^\s'\"]{0,9}\w)"
    rf"|(?<=\w):[\\/]{{2,4}}[^\s?'\"]{{0,500}}\?{_PAIR}"
    rf"|(?<=\w):[\\/]{{2,4}}[^\s#'\"]{{0,500}}#{_PAIR}"
    rf"|{_STARTS}(?:[\\/]{{2}})?{_HOST}(?::\d+)?(?:/[^\s?#'\"]{{0,500}})?[?#]{_PAIR})[^\s'\"]+",
    re.IGNORECASE,
)
"""What follows `?` in an address: a signature, a key, or nothing that an option needs; so is `#key=`."""
_LOOKED_UP = re.compile(rf"oc\.env\s*:(?:[\s\\'\"]|\$\{{\s*[\w.]+\s*:){{0,20}}{_NAME}(?!\w)", re.IGNORECASE)
"""A variable of the environment whose value would become an option's; its name may be quoted, or decoded."""
_IN_TEXT = (
    (_PASSWORD, "@"), (_LIKE_A_PORT, "@"), (_NO_SCHEME, "@"), (_USER, "@"), (_SERVER, "@"), (_QUERY, ""),
    (_ENTRY, ""), (_ASSIGNED, ""),
)  # fmt: skip
"""What is masked, and what stays behind the mask."""
_LEAST = 8
"""Characters of a value of the environment that is known again: shorter ones stand in words by chance."""


def secret_option(override: str) -> str | None:
    """The key of `key=value` where that names a secret (`rater.api_key`)."""
    found = _OPTION.match(override)
    return found[1].lstrip("+~") if found else None


def holds_secret(text: str) -> bool:
    """Whether the text has an address with a password or a query, gives a secret by its name, or takes one
    from the environment.
    """
    return any(kind.search(text) for kind in (*(kind for kind, _ in _IN_TEXT), _LOOKED_UP))


def value_holds_secret(key: str, value: str) -> bool:
    """`holds_secret` of one value, which may be an address as a whole."""
    whole = _WHOLE.search(value) or _SERVER.match(f"{key.rpartition('.')[2]}={value}")
    return whole is not None or holds_secret(value)


def environment_secrets() -> dict[str, str]:
    """Value -> the variable of the environment that holds it, of those whose name is a secret's. The place of
    a file (GOOGLE_APPLICATION_CREDENTIALS) is none.
    """
    named = {value.strip(): name for name, value in os.environ.items() if _NAMED.fullmatch(name)}
    return {value: name for value, name in named.items() if len(value) >= _LEAST and not _is_place(value)}


def _is_place(value: str) -> bool:
    return value.startswith("/") and os.path.lexists(value)


def variables_in(values: Any) -> Iterator[tuple[str, str]]:
    """Dotted keys of nested mappings and lists whose text holds the value of a secret of the environment, and
    that variable.
    """
    known = environment_secrets()
    for key, text in _texts(values) if known else ():
        yield from ((key, name) for value, name in known.items() if value in text)


def _texts(values: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, str):
        yield where, values
    elif isinstance(values, Mapping):
        for name, value in values.items():
            key = f"{where}.{name}" if where else str(name)
            yield key, str(name)
            yield from _texts(value, key)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _texts(value, where)


def secrets_in(values: Any, where: str = "") -> Iterator[str]:
    """Dotted keys of nested mappings and lists whose name or text is a secret's."""
    if isinstance(values, str):
        if value_holds_secret(where, values):
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
    """The text, an option or a message, without the secrets that it may hold, the environment's too."""
    for value in sorted(environment_secrets(), key=len, reverse=True):
        text = text.replace(value, MASK)
    option = _OPTION.match(text)
    if option:
        return f"{option[1]}={MASK}"
    for pattern, end in _IN_TEXT:
        text = pattern.sub(rf"\1{MASK}{end}", text)
    return text
