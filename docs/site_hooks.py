"""What the site adds to the pages under docs/: the start page from README.md, reference pages from the code,
links to files that are no pages as their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

import ds2
from ds2.cli.usage import usage
from ds2.config.describe import ChoiceDescription, FieldDescription, describe_choices, describe_fields, groups

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from elsewhere."""
    pages = {
        "index.md": _from_root((ROOT / "README.md").read_text(encoding="utf-8")),
        "changelog.md": _from_root((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")),
        "reference/commands.md": f"# Commands\n\n```text\n{usage()}\n```\n",
        "reference/configuration.md": "\n".join(_configuration()),
        "reference/library.md": "\n".join(_library()),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files outside docs/ become the files' names: the site opens from a disk without them."""

    def plain(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        outside = not image and "://" not in target and target.startswith("../")
        if not outside or page.file.src_uri.startswith("reference/"):
            return match.group(0)
        if text.strip("`") == Path(target).name:
            return f"`{Path(target).name}`"
        return f"{text} (`{target.removeprefix('../')}`)"

    return _LINK.sub(plain, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Searching pages opened from a disk needs a script that the theme takes from the web: ours instead."""
    ours = get_relative_url("assets/file_worker.js", page.url)
    return output.replace("https://unpkg.com/iframe-worker/shim", ours)


def _from_root(markdown: str) -> str:
    """A page of the root as one of docs/: its links to docs/ lose the folder, the others step up."""

    def moved(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        if "://" in target or target.startswith("#"):
            return match.group(0)
        inside = target.startswith("docs/")
        return f"{image}[{text}]({target.removeprefix('docs/') if inside else '../' + target})"

    return _LINK.sub(moved, markdown).replace('src="docs/', 'src="')


def _configuration() -> Iterator[str]:
    yield "# Configuration\n"
    yield "Made from the dataclasses and the YAML under `conf/`; `ds2 help GROUP` prints the same.\n"
    for group in groups():
        choices = describe_choices(group)
        yield f"## {group}\n"
        yield from _table(("choice", "what it is", "example"), (_choice_row(choice) for choice in choices))
        schemas = {choice.schema: choice for choice in choices if choice.schema is not None}
        for schema in schemas:
            of = ", ".join(f"`{choice.name}`" for choice in choices if choice.schema is schema)
            yield f"\n### {group}: fields of {of}\n" if len(schemas) > 1 else f"\n### {group}: fields\n"
            rows = (_field_row(group, field) for field in describe_fields(schema))
            yield from _table(("field", "type", "default", "meaning"), rows)
        yield ""


def _choice_row(choice: ChoiceDescription) -> tuple[str, ...]:
    return f"`{choice.name}`", choice.text, f"`{choice.command}`"


def _field_row(group: str, field: FieldDescription) -> tuple[str, ...]:
    return f"`{group}.{field.name}`", f"`{field.kind}`", f"`{field.default}`", field.text


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, tuple("---" for _ in head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _library() -> Iterator[str]:
    yield "# Library\n"
    names = [name for name in ds2.__all__ if not name.startswith("_")]
    for name in sorted(names, key=lambda name: (name[0].isupper(), name)):  # functions, then what they return
        yield f"::: ds2.{name}\n"
