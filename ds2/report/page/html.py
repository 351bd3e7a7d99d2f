"""One HTML file out of a template, styles, scripts and data, with nothing fetched from anywhere.

Big payloads (plotly.js, sample texts) are gzipped and base64-coded; the browser unpacks them with
DecompressionStream. A content security policy admits only the page's own script by its hash and forbids every
request, so text from a pool can neither run nor phone home even if an escape were forgotten.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from ds2.base import words

Chart = dict[str, Any]
"""What `charts.js` draws, with the id of the element it fills."""

SCRIPTS = ("core.js", "many.js", "charts.js", "samples.js")


def page(
    template: str,
    *,
    charts: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    embedded: Mapping[str, Any] | None = None,
    **context: Any,
) -> str:
    """The finished HTML.

    Args:
        template: file in `assets/`.
        charts: specifications for `charts.js`, each with the id of the element it fills.
        data: name -> JSON value, embedded compressed and read by the scripts when they need it.
        embedded: name -> JSON value that the scripts need at once.
        context: what the template itself shows.
    """
    script = _script()
    packed = {
        name: pack(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))
        for name, value in data.items()
    }
    if charts:
        packed["plotly"] = _plotly()
    html: str = _environment().get_template(template).render(
        **context,
        style=asset("style.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        page_json=script_safe_json({"charts": list(charts), **(embedded or {})}),
        packed=packed,
    )  # fmt: skip
    return html


def pack(text: str) -> str:
    """Gzipped and base64-coded; equal texts give equal bytes."""
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def script_safe_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def asset(name: str) -> str:
    """A file of `assets/`."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    return '"use strict";\n' + "\n".join(asset(name) for name in SCRIPTS)


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return pack(get_plotlyjs())


@cache
def _environment() -> Any:
    import jinja2

    def load(name: str) -> str | None:
        return asset(name)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "duration": words.duration,
        "size": words.size,
        "number": shown,
        "percent": words.percent,
        "breakable": breakable,
    }
    return environment


def shown(value: Any) -> str:
    """Any value of a record: numbers as `words.number` has them, lists in brackets, the rest as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: words.NOTHING}[value]
    if isinstance(value, int | float):
        return words.number(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)


def breakable(text: str) -> Any:
    """A name that may wrap after its underscores."""
    import markupsafe

    return markupsafe.escape(text).replace("_", markupsafe.Markup("_<wbr>"))
