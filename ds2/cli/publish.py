"""`ds2 publish`: a finished subset as a data set with its card, in a folder or on the Hugging Face hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ds2.artifacts.store import open_store
from ds2.base.errors import UserError
from ds2.base.paths import resolved, shown
from ds2.base.words import size
from ds2.cli import console
from ds2.cli.export import Arguments, filling, find_subset, new_folder
from ds2.config.command_line import as_they_stand
from ds2.config.compose import artifacts_root
from ds2.export.publish import CARD, FILES, write_publication

_USAGE = "ds2 publish SUBSET --to DIR|hf://ORG/NAME --licence ID [--yes]"
_HUB = "hf://"


def run(arguments: Sequence[str]) -> int:
    """ds2 publish SUBSET --to DIR|hf://ORG/NAME --licence ID [--yes] [paths.artifacts=DIR]; its exit code.

    Without `--yes` nothing is written: it says what would be.

    Raises:
        UserError: no such subset, no licence, a folder that holds something, or a hub that refuses.
    """
    overrides = [a for a in arguments if a.startswith("paths.artifacts=")]
    parser = Arguments(prog="ds2 publish", usage=_USAGE, add_help=False)
    parser.add_argument("subset")
    parser.add_argument("--to", required=True)
    parser.add_argument("--licence", "--license")
    parser.add_argument("--yes", action="store_true")
    given = parser.parse_args([a for a in arguments if a not in overrides])
    licence = _licence(given.licence)
    online = given.to.startswith(_HUB)
    name = given.to.removeprefix(_HUB) if online else Path(resolved(given.to)).name
    if online and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"--to {given.to}: the hub's names are hf://ORG/NAME")
    target = None if online else new_folder(given.to, "--to")
    subset, _ = find_subset(open_store(artifacts_root(as_they_stand(overrides))), given.subset)
    with tempfile.TemporaryDirectory() as temporary:
        folder = target if target is not None and given.yes else Path(temporary)
        with filling(folder):
            write_publication(subset, folder, licence=licence, url=name, name=name.rpartition("/")[2])
        where = given.to if target is None else shown(target)
        console.line(f"{'' if given.yes else 'would be '}written to {where}:")
        for file in FILES:
            console.line(f"  {file:<15} {size((folder / file).stat().st_size)}")
        if not given.yes:
            console.line(f"\n{CARD}:\n")
            console.line((folder / CARD).read_text(encoding="utf-8"))
            console.line("nothing is written yet: --yes writes it")
        elif online:
            _upload(folder, name)
    return 0


def _licence(text: str | None) -> str:
    if text is None or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", text):
        given = "" if text is None else f" (not {text!r})"
        raise UserError(
            f"--licence ID is needed{given}: that of the source, as its owner states it, by its short name "
            "(apache-2.0, cc-by-4.0, odc-by; `other` where it has none); DS2 does not guess it"
        )
    return text


def _upload(folder: Path, name: str) -> None:
    """A private data set of the hub. Raises UserError with the hub's words."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi()
    try:
        api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        done = api.upload_folder(repo_id=name, folder_path=folder, repo_type="dataset")
    except (OSError, HFValidationError) as error:  # errors of HTTP and of the hub derive from OSError
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"hf://{name}: {reason}; log in with `hf auth login` where that is asked for"
        ) from error
    console.line(f"private, until you make it public: {done}")
