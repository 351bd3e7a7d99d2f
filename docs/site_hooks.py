"""What the site adds to the pages under docs/: the start page from README.md, reference pages from the code,
notebooks with their stored outputs, links to files that are no pages as their names.
"""

from __future__ import annotations

import ast
import html
import json
import posixpath
import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

import ds2
import ds2.report.tracking
from ds2.cli.usage import usage
from ds2.config.describe import ChoiceDescription, FieldDescription, describe_choices, describe_fields, groups

ROOT = Path(__file__).resolve().parent.parent
FORMATS = (
    "record", "samples", "sifted", "ratings", "embeddings", "graph", "curation", "values", "subset",
    "subset_report", "written_samples", "base_model", "adapter", "training", "evaluation", "page", "draws",
)  # fmt: skip
"""Modules of ds2.artifacts whose nouns lie on disk, in the order of the chain."""
IN_MEMORY = {"RaterErrors", "Chosen", "Overlap", "Layout"}
"""Classes of these modules whose instances are not stored as they are."""
_PIPED = re.compile(r"`([^`]*\|[^`]*)`")
_FILE = re.compile(r"\w[\w.]*\.(parquet|jsonl?|npy|safetensors|html|md)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from elsewhere."""
    pages = {
        "index.md": _from_root((ROOT / "README.md").read_text(encoding="utf-8")),
        "changelog.md": _from_root((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")),
        "reference/commands.md": f"# Commands\n\n```text\n{usage()}\n```\n",
        "reference/configuration.md": "\n".join(_configuration()),
        "reference/artifacts.md": "\n".join(_artifacts()),
        "reference/metrics.md": f"# Metrics and their names\n\n{_worded(ds2.report.tracking.__doc__ or '')}",
        "reference/library.md": "\n".join(_library()),
        "benchmarks.md": "\n".join(_benchmarks()),
    }
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        pages[f"notebooks/{notebook.stem}.md"] = "\n\n".join(_notebook(notebook))
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files outside docs/ become the files' names: the site opens from a disk without them. Links to
    notebooks lead to their pages.
    """

    def plain(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target))
        if path.startswith("notebooks/") and not page.file.src_uri.startswith("notebooks/"):
            return f"[{text}]({target.replace('.ipynb', '.md')})"
        if image or "://" in target or not path.startswith("../"):
            return match.group(0)
        if text.strip("`") == Path(path).name:
            return f"`{Path(path).name}`"
        return f"{text} (`{path.removeprefix('../')}`)"

    return _LINK.sub(plain, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Searching pages opened from a disk needs a script that the theme takes from the web: ours instead. The
    search is a dialog, which wants a name.
    """
    ours = get_relative_url("assets/file_worker.js", page.url)
    dialog = 'data-md-component="search" role="dialog"'
    named = output.replace(dialog, f'{dialog} aria-label="Search"')
    return named.replace("https://unpkg.com/iframe-worker/shim", ours)


def _from_root(markdown: str) -> str:
    """A page of the root as one of docs/: its links to docs/ lose the folder, the others step up."""

    def moved(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        if "://" in target or target.startswith("#"):
            return match.group(0)
        inside = target.startswith("docs/")
        return f"{image}[{text}]({target.removeprefix('docs/') if inside else '../' + target})"

    return _LINK.sub(moved, markdown).replace('src="docs/', 'src="')


def _notebook(path: Path) -> Iterator[str]:
    """The cells of a notebook, and what they showed when `make notebooks` ran it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for position, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield f"```python\n{source}\n```"
            yield from map(_output, cell["outputs"])
        else:
            yield source
        if position == 0:
            yield f"[The notebook]({path.name}){{download}}"


def _output(output: dict[str, Any]) -> str:
    """HTML where there is some, else text without a terminal's colours."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "text/html" in data:
        shown = "".join(data["text/html"])
    else:
        shown = f"<pre>{html.escape(_COLOUR.sub('', ''.join(data['text/plain'])).rstrip())}</pre>"
    return f'<div class="cell-output">\n{shown}\n</div>'


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
        yield "| " + " | ".join(map(_cell, row)) + " |"


def _cell(text: str) -> str:
    """Text for a table, where a bar would end the cell, in code too."""
    coded = _PIPED.sub(lambda match: f"<code>{html.escape(match[1])}</code>", text)
    return coded.replace("|", "&#124;")


def _artifacts() -> Iterator[str]:
    yield "# Artifacts, file by file\n"
    yield "Made from the modules of `ds2/artifacts`, which alone spell these names. An artifact is a folder,"
    yield "`artifacts/STAGE/SLUG-FINGERPRINT/` ([why](../understand/artifacts.md)).\n"
    for name in FORMATS:
        module = ast.parse((ROOT / "ds2" / "artifacts" / f"{name}.py").read_text(encoding="utf-8"))
        texts = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant)]
        files = [text for text in texts if isinstance(text, str) and _FILE.fullmatch(text)]
        yield f"## {name}\n"
        if files:
            yield f"Files: {', '.join(f'`{file}`' for file in dict.fromkeys(files))}\n"
        yield _worded(ast.get_docstring(module) or "")
        for node in module.body:
            if isinstance(node, ast.ClassDef) and node.name not in IN_MEMORY:
                yield from _keys(node)


def _keys(schema: ast.ClassDef) -> Iterator[str]:
    """The fields of a class whose instances are stored, with the words beneath them."""
    rows = [
        (f"`{field.target.id}`", f"`{ast.unparse(field.annotation)}`", _words(after))
        for field, after in pairwise([*schema.body, ast.Pass()])
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    ]
    if rows:
        yield f"### {schema.name.strip('_')}\n"
        yield f"{ast.get_docstring(schema) or ''}\n"
        yield from _table(("key", "type", "meaning"), iter(rows))
        yield ""


def _words(node: ast.stmt) -> str:
    """The text of a string that stands by itself."""
    text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else ""
    return " ".join(str(text).split())


def _worded(docstring: str) -> str:
    """A docstring as Markdown: paragraphs that are set in stay as they are typed."""
    parts = textwrap.dedent(docstring).strip().split("\n\n")
    shown = [f"```text\n{textwrap.dedent(part)}\n```" if part.startswith("  ") else part for part in parts]
    return "\n\n".join(shown) + "\n"


def _benchmarks() -> Iterator[str]:
    """Each program of benchmarks/ that a person starts: its own words, and the files of its numbers."""
    yield "# Benchmarks\n"
    yield "Numbers on these pages come from programs in the clone's `benchmarks/`, with machine, versions"
    yield "and date beside them in `benchmarks/results/`. What each says of itself:\n"
    folder = ROOT / "benchmarks"
    names = sorted(path.stem for path in folder.glob("*.py"))
    for name in names:
        text = ast.get_docstring(ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))) or ""
        if f"python benchmarks/{name}.py" not in text:
            continue  # a part of another one
        yield f"## {name}\n"
        yield _worded(text)
        longer = tuple(other for other in names if other != name and other.startswith(name))
        results = (path.name for path in (folder / "results").glob("*.md"))
        own = sorted(file for file in results if _is_of(file, name) and not _is_of(file, *longer))
        if own:
            yield f"Results: {', '.join(f'`{file}`' for file in own)}\n"


def _is_of(file: str, *names: str) -> bool:
    """Whether a file of results is one of these programs': `curation-speed.md`, `rating-local-tiny.md`."""
    return file.startswith(
        tuple(f"{name.replace('_', mark)}{end}" for name in names for mark in "_-" for end in ".-")
    )


def _library() -> Iterator[str]:
    yield "# Library\n"
    names = [name for name in ds2.__all__ if not name.startswith("_")]
    for name in sorted(names, key=lambda name: (name[0].isupper(), name)):  # functions, then what they return
        yield f"::: ds2.{name}\n"
