"""YAML of strangers: what would hang or recurse is refused by file and line, what a person writes passes."""

from __future__ import annotations

import os
import re
import time

import pytest

from ds2.base.errors import UserError
from ds2.base.yaml_files import DEEPEST, MOST_BYTES, MOST_VALUES, check_yaml

BOMB = "a0: &a0 x\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(7))
CHAIN = "a0: &a0 x\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(DEEPEST + 1))
HOSTILE = {
    "a bomb of aliases": (BOMB, r"line 6: more than 20,000 values, those that aliases repeat"),
    "a bomb of merges": (BOMB.replace("&a0 x", "&a0 {k: x}") + "m: {<<: *a7}\n", r"line 5: more than 20,000"),
    "too many values": (f"a: [{'1,' * MOST_VALUES}1]", r"line 1: more than 20,000 values"),
    "a number of 5,000 digits": ("a: 1\nk: " + "9" * 5000, r"line 2: a number of more than 4,300 digits"),
    "a negative one": ("k: -" + "9_" * 5000 + "1", r"line 1: a number of more than 4,300 digits"),
    "deep": ("\n" + "[" * 100_000, rf"line 2: nested more than {DEEPEST} deep"),
    "deep blocks": (
        "".join(f"{' ' * n}k:\n" for n in range(DEEPEST + 2)),
        f"nested more than {DEEPEST} deep",
    ),
    "deep by aliases": (CHAIN, rf"line \d+: nested more than {DEEPEST} deep"),
    "an alias of itself": ("a: 1\nb: &b [1, *b]", r"line 2: \*b names nothing that stands before it"),
    "an alias of nothing": ("a: *b", r"line 1: \*b names nothing"),
    "no YAML": ("a: 1\nname: [a", r"line 2: no YAML"),
    "a control code": ("name: \0", r": no YAML"),
    "large": ("# " + "x" * MOST_BYTES, r"larger than 1,048,576 bytes"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_would_hang_or_recurse_is_refused_by_file_and_line(kind, tmp_path):
    text, message = HOSTILE[kind]
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    began = time.monotonic()
    with pytest.raises(UserError, match=rf"^{re.escape(str(path))}.*{message}") as refused:
        check_yaml(path)
    assert len(str(refused.value).splitlines()) == 1
    assert time.monotonic() - began < 5


def test_a_pipe_a_folder_and_nothing_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe", "folder", "nothing"):
        with pytest.raises(UserError, match=f"{name}.yaml"):
            check_yaml(tmp_path / f"{name}.yaml")
    with pytest.raises(UserError, match=r"^rater\.prompt=x cannot be read: No such file"):
        check_yaml(tmp_path / "nothing", "rater.prompt=x")


def test_what_a_person_writes_passes(tmp_path):
    path = tmp_path / "mine.yaml"
    for text in (
        "", "7", "- a", "a: &a {k: 1}\nb: {<<: *a, l: [*a, *a]}\n", f"k: '{'9' * 5000}'", "k: 1:30:00",
        "k: &a 1\nl: &a 2\nm: *a", "[" * DEEPEST + "]" * DEEPEST, f"a: [{'1,' * 5000}1]",
    ):  # fmt: skip
        path.write_text(text)
        check_yaml(path)
