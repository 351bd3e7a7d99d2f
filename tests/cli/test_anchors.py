"""`ds2 anchors draw` and `judge`: from a draw over a person's answers to the run that uses them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from helpers.full_disk import no_file_beyond

from ds2.cli import main as cli


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A folder with a pool whose topic decides its true score, its rater's scores, and a draw of it."""
    from helpers.planted import planted_rows

    folder = tmp_path_factory.mktemp("walk")
    rows = planted_rows(200, 6)
    for i, row in enumerate(rows):
        row["score"] = 1 + (row["true_score"] if i % 3 else (i * 7) % 6)  # a third of the ratings is chance
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.run(["anchors", "draw", *OVERRIDES, "n=60", "criteria=Is it right & true?"]) == 0
    return folder


OVERRIDES = [
    "pool=jsonl", "pool.path=mine.jsonl", "rater=from_column", "rater.column=score", "rater.unit=ratings",
    "scale.low=1", "scale.high=6", "budget.samples=0.2", "runtime.progress=false",
]  # fmt: skip


@pytest.fixture
def here(drawn: Path, monkeypatch) -> Path:
    monkeypatch.chdir(drawn)
    return drawn


def answered(folder: Path, name: str, *, count=60, change=None) -> Path:
    """The draw's file with a person's answers: the true scores on the rater's scale of 1 to 6."""
    truth = {row["id"]: row["true_score"] + 1 for row in map(json.loads, (folder / "mine.jsonl").open())}
    with (folder / "anchors.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines[:count]:
        line["score"] = str(truth[line["id"]])
    if change is not None:
        change(lines)
    with (folder / name).open("w", newline="") as file:
        out = csv.DictWriter(file, fieldnames=list(lines[0]))
        out.writeheader()
        out.writerows(lines)
    return folder / name


def test_a_draw_writes_an_empty_table_with_its_weights_and_a_form_that_shows_the_criteria(here):
    lines = list(csv.DictReader((here / "anchors.csv").open(newline="")))
    assert len(lines) == 60
    assert {line["score"] for line in lines} == {""}
    assert all(float(line["weight"]) >= 1 for line in lines)
    assert sum(float(line["weight"]) for line in lines) == pytest.approx(200, rel=0.4)
    form = (here / "anchors.html").read_text()
    assert "Is it right &amp; true?" in form
    assert "from 1 (worst) to 6 (best)" in form


def test_the_walk_ends_with_a_run_that_is_judged_by_people(here, capsys):
    answered(here, "filled.csv")
    assert cli.run(["anchors", "judge", "filled.csv"]) == 0
    out = capsys.readouterr().out
    for name in ("the rater, by people", "people \\ rated", "beside the given score", "refine", "posterior",
                 "rank, then long tail"):  # fmt: skip
        assert name in out
    assert "By 60 human scores the rater is right" in out
    assert "warning" not in out
    command = out.split("next:   ds2 ")[1].split()
    assert cli.run([*command, "curation.anchors=filled.csv", "finetune=none", "eval=none", "model=tiny",
                    "tracking=none"]) == 0  # fmt: skip
    assert "By people, the samples selected would score" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[3].update(score="7"), "line 5: the score '7' is not a whole number in 1..6"),
        (lambda lines: lines[3].update(id="p9999", row=""), "ds2 anchors judge"),
        (lambda lines: lines.append(dict(lines[0])), "stands in line 2 already"),
        (lambda lines: [line.update(score="") for line in lines[19:]], "19 scores are too few"),
        (lambda lines: [line.update(score="4") for line in lines], "nothing can be told from them"),
        (lambda lines: [line.update(pool="0" * 16) for line in lines], "no draw in artifacts fits it"),
    ],
)
def test_answers_that_cannot_serve_are_one_line_and_stay_as_they_are(here, capsys, change, said):
    path = answered(here, "bad.csv", change=change)
    before = path.read_bytes()
    assert cli.run(["anchors", "judge", "bad.csv"]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["draw", *OVERRIDES, "n=60"], "anchors.csv exists and may hold answers"),
        (["draw", *OVERRIDES, "n=ten", "out=a.csv"], "n=ten must be a whole number"),
        (["draw", *OVERRIDES, "n=60", "out=a.txt"], "must end in .csv"),
        (["draw", *OVERRIDES, "n=10", "out=a.csv"], "n must be at least 20"),
        (["judge", "absent.csv"], "absent.csv: no such file"),
        (["judge"], "ds2 anchors draw pool=... rater=..."),
        (["ask"], "ds2 anchors draw pool=... rater=..."),
        (["judge", "anchors.csv", "pool=jsonl", "pool.path=nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_a_command_that_cannot_work_is_one_line(here, capsys, words, said):
    answers = (here / "anchors.csv").read_bytes()
    assert cli.run(["anchors", *words]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
    assert (here / "anchors.csv").read_bytes() == answers


def below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("limit", [100, 500, 20_000], ids=["record", "table", "form"])
def test_a_draw_that_finds_no_room_leaves_nothing_and_can_be_repeated(here, tmp_path, capsys, limit):
    (tmp_path / "drawn").mkdir()
    words = ["anchors", "draw", *OVERRIDES, "n=20", f"out={tmp_path}/drawn/few.csv"]
    kept = Path("artifacts/anchors")
    before = below(kept)
    with no_file_beyond(limit):
        assert cli.run(words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert "File too large" in line
    assert not any((tmp_path / "drawn").iterdir())
    if limit == 100:
        assert below(kept) == before
    assert cli.run(words) == 0


def test_a_damaged_record_of_a_draw_stands_in_no_other_s_way(here, tmp_path, monkeypatch, capsys):
    for name in ("mine.jsonl", "anchors.csv"):
        shutil.copy(here / name, tmp_path)
    shutil.copytree(here / "artifacts", tmp_path / "artifacts")
    monkeypatch.chdir(tmp_path)
    answered(tmp_path, "filled.csv")
    records = tmp_path / "artifacts" / "anchors"
    sound = [path for path in records.iterdir() if len(json.loads(path.read_text())["ids"]) == 60]
    (records / "half.json").write_text(sound[0].read_text()[:200])
    assert cli.run(["anchors", "judge", "filled.csv"]) == 0
    for path in records.iterdir():
        path.write_text("")
    assert cli.run(["anchors", "judge", "filled.csv"]) == 2
    assert "no draw in artifacts fits it" in capsys.readouterr().err
