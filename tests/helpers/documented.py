"""What the documentation tells people to type: its fenced blocks, the commands in them, its inline code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ds2.base.paths import project_root

ROOT = project_root()
_FENCE = re.compile(
    r"^(?:<!-- (run|run: slow) -->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.M | re.S,
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    """Its path from the root."""
    line: int
    language: str
    code: str
    mark: str
    """`run`, `run: slow`, or nothing."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """The pages that people read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        yield Block(str(page.relative_to(ROOT)), line, match["language"], match["code"], match.group(1) or "")


def commands(code: str) -> Iterator[list[str]]:
    """The simple commands of a block of shell, as words; what a here-document holds is none."""
    code = re.sub(r"<<'?(\w+)'?(.*?)\n.*?^\1$", r"\2", code, flags=re.M | re.S)
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&()")  # `|` may be an alternative: a|b
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in (";", "&&", "||", "&", "|"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def inline(page: Path) -> Iterator[str]:
    """The inline code of a page, outside its fenced blocks."""
    for match in _INLINE.finditer(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield match[1]
