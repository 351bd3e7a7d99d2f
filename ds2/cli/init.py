"""`ds2 init`: a folder to start from with a pool of one's own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from ds2.base.drafts import replacing
from ds2.base.errors import UserError
from ds2.base.paths import shown
from ds2.cli import console

STARTER = Path(__file__).parent / "starter"
"""What is written; `.txt` is cut off names that would be code of DS2's own otherwise."""
POOL = "mine.jsonl"
_ROWS = 60
_WORDS = (
    "stock", "onion", "simmer", "soil", "prune", "compost", "list", "function", "loop", "ticket", "border",
    "platform", "sleep", "stretch", "posture", "budget", "interest", "loan", "savings", "shade", "butter",
    "index", "import", "luggage", "breathing", "muscle", "invoice", "tax", "fund", "rice",
)  # fmt: skip


def run(words: Sequence[str]) -> int:
    """ds2 init [FOLDER]: write the starter folder; a `mine.jsonl` that is there stays. The exit code.

    Raises:
        UserError: a file that would be written is there already; nothing is written then.
    """
    if len(words) > 1 or any(word.startswith("-") or "=" in word for word in words):
        raise UserError("ds2 init takes one folder: ds2 init my_pool; without one, it writes here")
    folder = Path(words[0]).expanduser() if words else Path()
    files = dict(_starter())
    there = sorted(name for name in files if (folder / name).exists())
    if there:
        raise UserError(
            f"{folder / there[0]} is there already, and ds2 init overwrites nothing: name another folder"
        )
    pool = folder / POOL
    if not pool.exists():
        files[POOL] = _rows()
    try:
        with ExitStack() as all_or_none:
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                draft = all_or_none.enter_context(replacing(folder / name))
                draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"ds2 init cannot write to {folder}: {error.strerror or error}") from error
    _say(folder, files)
    return 0


def _say(folder: Path, files: dict[str, str]) -> None:
    for name in files:
        made_up = f"  ({_ROWS} made-up rows: put your own in their place)" if name == POOL else ""
        console.line(f"wrote {shown(folder / name)}{made_up}")
    if POOL not in files:
        console.line(f"kept  {shown(folder / POOL)}")
    console.line("next:")
    if folder != Path():
        console.line(f"  cd {shlex.quote(str(folder))}")
    console.line(f"  ds2 look {POOL}")
    console.line("  ds2 'plugins=[my_ds2]' experiment=mine")


def _starter() -> Iterator[tuple[str, str]]:
    """Name below the folder -> text."""
    for file in sorted(path for path in STARTER.rglob("*") if path.is_file()):
        name = str(file.relative_to(STARTER)).removesuffix(".txt")
        yield name, file.read_text(encoding="utf-8")


def _rows() -> str:
    """Questions with answers of 5 to 100 words, so that a rating by length has something to tell apart."""
    lines = []
    for n in range(_ROWS):
        first, second = _WORDS[n % len(_WORDS)], _WORDS[(7 * n + 3) % len(_WORDS)]
        length = 5 + (37 * n) % 96
        answer = " ".join(
            _WORDS[(n + k * (1 + n % 11)) % len(_WORDS)] + (f" {k}" if k % 3 else "") for k in range(length)
        )
        row = {"instruction": f"What has {first} to do with {second}?", "output": f"{answer}."}
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)
