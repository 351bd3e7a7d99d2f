"""The anchors' file reads back what was written; every fault is one line that names file and place."""

from __future__ import annotations

import pytest
from helpers.hostile import TARGETS, changed
from hypothesis import given, settings
from hypothesis import strategies as st

from ds2.base.errors import MissingInput, UserError
from ds2.config import (
    ChatBackend,
    ColumnRaterConfig,
    LlmRaterConfig,
    RatingUnit,
    Reading,
    ScaleConfig,
    SimulatedRaterConfig,
)
from ds2.pool.anchors_file import AnswerScale, answer_scale, format_anchors, read_anchors

IDS = [f"s{i}" for i in range(200)]
ROWS = list(range(3, 123, 3))
POOL = "0123456789abcdef"
ANSWERS = {row: 1 + row % 6 for row in ROWS}
SCALE = AnswerScale(1, 6, 1, 6)
MODEL = {"backend": ChatBackend.openai, "model": "m"}


def written(tmp_path, text=None, **changes):
    path = tmp_path / "anchors.csv"
    given = {
        "ids": [IDS[r] for r in ROWS],
        "rows": ROWS,
        "weight": [1.5] * len(ROWS),
        "pool": POOL,
        "scores": ANSWERS,
    }
    path.write_text(format_anchors(**given | changes) if text is None else text, encoding="utf-8")
    return path


def read(path):
    return read_anchors(path, IDS, POOL, SCALE)


def test_a_file_reads_back_in_levels_of_the_scale(tmp_path):
    answers = read(written(tmp_path))
    assert answers.anchors == {row: score - 1 for row, score in ANSWERS.items()}
    assert answers.weight.tolist() == [1.5] * len(ROWS)
    assert answers.unanswered == 0


def test_a_person_s_own_file_needs_ids_and_scores_alone(tmp_path):
    path = written(tmp_path, text="score,id\n" + "".join(f"{ANSWERS[r]},{IDS[r]}\n" for r in ROWS))
    answers = read(path)
    assert answers.anchors == {row: score - 1 for row, score in ANSWERS.items()}
    assert answers.weight.tolist() == [1.0] * len(ROWS)
    assert (answers.drawn, read(written(tmp_path)).drawn) == (False, True)


def test_answers_beyond_the_scores_ends_are_the_end_scores(tmp_path):
    given = {row: 1 + row // 3 % 10 for row in ROWS}
    path = written(tmp_path, scores=given)
    answers = read_anchors(path, IDS, POOL, AnswerScale(1, 10, 4, 6))
    assert answers.anchors == {row: min(max(answer, 4), 9) - 4 for row, answer in given.items()}


def test_lines_without_a_score_are_counted_and_the_others_stand_for_them(tmp_path):
    some = {row: score for row, score in ANSWERS.items() if row > 15}
    answers = read(written(tmp_path, scores=some))
    assert answers.unanswered == 5
    assert answers.weight.sum() == pytest.approx(1.5 * len(ROWS))


def test_what_a_spreadsheet_makes_of_it_is_read(tmp_path):
    path = written(tmp_path)
    text = path.read_text().replace(",", ";").replace("\n", ";note\r\n").replace(";1;", ";1.0;")
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert len(read(path).rows) == len(ROWS)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.text(min_size=1).filter(lambda t: "\x00" not in t and "\r" not in t),
        min_size=25,
        max_size=30,
        unique=True,
    )
)
def test_ids_of_any_text_survive(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("ids") / "anchors.csv"
    rows = range(len(ids))
    text = format_anchors(ids, rows, [2.0] * len(ids), POOL, {r: r % 3 for r in rows})
    path.write_text(text, encoding="utf-8", newline="")
    assert read_anchors(path, ids, POOL, AnswerScale(0, 5, 0, 6)).anchors == {r: r % 3 for r in rows}


def line_of(path, number, old, new):
    lines = path.read_text().splitlines()
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("number", "old", "new", "said"),
    [
        (4, ",4,", ",7,", r"line 4: the score '7' is not a whole number in 1..6"),
        (4, ",4,", ",0,", r"the score '0' is not a whole number in 1..6"),
        (4, ",4,", ",2.5,", "'2.5' is not a whole number"),
        (4, ",4,", ",good,", "'good' is not a whole number"),
        (4, ",4,", ",nan,", "'nan' is not a whole number"),
        (4, "s9", "unknown", "line 4: the pool has no sample 'unknown'"),
        (4, "s9,9", "s3,3", "line 4: 's3' stands in line 2 already"),
        (4, "s9,9", "s9,8", "'s9' is row 9 of the pool, not 8"),
        (4, POOL, "fedcba9876543210", "line 4 is of another pool"),
        (4, ",1.5,", ",,", "the weight '' is not a number above 0"),
        (4, ",1.5,", ",-1,", "the weight '-1' is not a number above 0"),
        (1, "score", "mark", "score is missing"),
        (4, "s9,", "", "line 4 has 4 cells for 5 columns"),
    ],
)
def test_a_fault_is_one_line_that_names_its_place(tmp_path, number, old, new, said):
    path = line_of(written(tmp_path), number, old, new)
    with pytest.raises(UserError, match=said) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_too_few_answers_or_answers_all_the_same_are_refused_and_nothing_is_lost(tmp_path):
    few = written(tmp_path, scores={row: ANSWERS[row] for row in ROWS[:19]})
    before = few.read_bytes()
    with pytest.raises(UserError, match=r"19 scores are too few.*21 lines wait"):
        read(few)
    assert few.read_bytes() == before
    with pytest.raises(UserError, match="every score is level 3"):
        read(written(tmp_path, scores=dict.fromkeys(ROWS, 4)))


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(MissingInput, match="no such file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="must name the columns"):
        read(written(tmp_path, text=""))
    (tmp_path / "latin.csv").write_bytes(b"id,row\n\xe9,1\n")
    with pytest.raises(UserError, match="UTF-8"):
        read(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("rater", "expected"),
    [
        (LlmRaterConfig(**MODEL), AnswerScale(1, 10, 4, 6)),
        (LlmRaterConfig(**MODEL, reading=Reading.expected), AnswerScale(1, 9, 4, 6)),
        (ColumnRaterConfig(unit=RatingUnit.ratings), AnswerScale(4, 9, 4, 6)),
        (ColumnRaterConfig(), AnswerScale(0, 5, 0, 6)),
        (SimulatedRaterConfig(), AnswerScale(0, 5, 0, 6)),
    ],
)
def test_people_are_asked_on_the_rater_s_own_scale(rater, expected):
    assert answer_scale(rater, ScaleConfig()) == expected


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(TARGETS["anchors"].seeds), st.randoms(use_true_random=False))
def test_no_change_of_a_file_of_anchors_is_more_than_a_line(tmp_path_factory, seed, rng):
    TARGETS["anchors"].read(changed(seed, TARGETS["anchors"].words, rng), tmp_path_factory.getbasetemp())
