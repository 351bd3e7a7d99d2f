"""Stage `sift` in the chain: what is left out, what is computed anew, what is refused."""

from __future__ import annotations

import json

import pytest

from ds2.artifacts.sifted import read_contamination, read_near_duplicates, read_sifted
from ds2.artifacts.subset import read_subset
from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.runs.chain import Chain, Reporter
from ds2.runs.preflight import Preflight

ASKED = [
    "If four farmers each plant seven rows of ten beans in May, how many beans is that?",
    "A train leaves the old station at noon and May drives it at ninety miles an hour. When is it here?",
    "Of twelve green bottles on a wall three fall down and two are put back: which number stays?",
]


@pytest.fixture
def pool(tmp_path):
    """40 rows; row 5 asks ASKED[0], row 7 ASKED[1] with a word changed, row 9 repeats row 8."""
    words = "river lake hill stone cloud tree field house road bridge".split()
    rows = [
        {"id": f"r{n}", "score": n % 6, "messages": [
            {"role": "user", "content": f"Tell me about the {words[n % 10]} number {n}."},
            {"role": "assistant", "content": f"It is {words[(n * 3) % 10]} of {n} sides and {words[n // 4]}"},
        ]}
        for n in range(40)
    ]  # fmt: skip
    rows[5]["messages"][0]["content"] = ASKED[0].upper()
    rows[7]["messages"][0]["content"] = ASKED[1].replace("May", "June")
    rows[9]["messages"] = rows[8]["messages"]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "asked.txt").write_text("\n".join(ASKED))
    return tmp_path / "pool.jsonl"


def config_for(pool, *overrides, until="select"):
    return compose([
        "pool=jsonl", f"pool.path={pool}", "rater=from_column", "rater.column=score", "curation=none",
        "selection=ds2", "budget.samples=10", f"until={until}", "eval=none", "finetune=none", "model=tiny",
        "tracking=none", "runtime.progress=false", f"paths.artifacts={pool.parent / 'artifacts'}", *overrides,
    ])  # fmt: skip


def run(config, said=None):
    return Chain(config).run(Reporter(warning=[].append if said is None else said.append))


def test_contaminated_samples_and_copies_are_left_out_before_anything_is_rated(pool):
    asked = f"pool.decontaminate=[{pool.parent / 'asked.txt'}]"
    result = run(config_for(pool, asked, "pool.near_duplicates=0.9"))
    assert next(iter(result.stages)) == "sift"
    assert result.stages["sift"].record["counts"] == {"samples": 40, "contaminated": 2, "near_duplicates": 1}
    assert result.stages["rate"].record["counts"]["samples"] == 37
    assert not set(read_subset(result.stages["select"].path)["id"]) & {"r5", "r7", "r9"}
    table = read_contamination(result.stages["sift"].path)
    assert table[["id", "row", "set", "question"]].values.tolist() == [
        ["r5", 5, "asked.txt", 0],
        ["r7", 7, "asked.txt", 1],
    ]
    copies = read_near_duplicates(result.stages["sift"].path)
    assert copies[["id", "of_id"]].values.tolist() == [["r9", "r8"]]


def test_a_pool_that_is_only_looked_at_is_not_computed_anew(pool):
    before = run(config_for(pool))
    said = []
    asked = f"pool.decontaminate={pool.parent / 'asked.txt'}"
    warned = run(config_for(pool, asked, "pool.on_contamination=warn"), said)
    assert {name: stage.status.value for name, stage in warned.stages.items()} == {
        "sift": "computed", **{name: "reused" for name in before.stages},
    }  # fmt: skip
    (line,) = said
    assert line.startswith("2 samples hold 2 of 3 questions of asked.txt: ")
    assert "contamination.parquet lists them; pool.on_contamination=drop leaves them out" in line
    assert (
        run(config_for(pool, asked, "pool.on_contamination=warn"), []).stages["sift"].status.value == "reused"
    )


def test_a_contaminated_pool_stops_the_run_where_that_is_asked_for(pool):
    asked = (f"pool.decontaminate={pool.parent / 'asked.txt'}", "pool.on_contamination=fail")
    for _ in range(2):  # computed, then reused
        with pytest.raises(
            UserError, match=r"2 samples hold 2 of 3 questions of asked.txt \('If four farmers"
        ):
            run(config_for(pool, *asked))
    (pool.parent / "asked.txt").write_text("What is a question that no row asks at all?")
    assert run(config_for(pool, *asked)).stages["select"].status.value == "computed"


def test_the_policy_alone_does_not_search_again_and_the_questions_do(pool):
    file = pool.parent / "asked.txt"
    first = run(config_for(pool, f"pool.decontaminate={file}")).stages
    failing = Chain(config_for(pool, f"pool.decontaminate={file}", "pool.on_contamination=warn"))
    assert failing.steps[0].fingerprint == first["sift"].fingerprint
    file.write_text(file.read_text() + "\nOne more question, which has more than a few words in it?")
    again = Chain(config_for(pool, f"pool.decontaminate={file}"))
    assert again.steps[0].fingerprint != first["sift"].fingerprint
    assert again.steps[1].fingerprint != first["rate"].fingerprint


def test_until_sift_looks_and_stops(pool):
    result = run(config_for(pool, f"pool.decontaminate={pool.parent / 'asked.txt'}", until="sift"))
    assert list(result.stages) == ["sift"]
    assert [hit.position for hit in read_sifted(result.stages["sift"].path).hits] == [5, 7]
    with pytest.raises(UserError, match="until=sift looks for what pool.decontaminate"):
        Chain(config_for(pool, until="sift"))


def test_a_budget_over_what_is_left_is_refused_before_anything_is_rated(pool):
    config = config_for(pool, f"pool.decontaminate={pool.parent / 'asked.txt'}", "budget.samples=39")
    _, found = Preflight().look(config)
    assert found.problems == ("budget.samples=39 is more than the pool's 38 samples; lower it",)


def test_names_that_stand_for_nothing_are_refused_before_the_run(pool):
    for named, message in (
        ("./nowhere.txt", "nowhere.txt: no such file"),
        ("eval", "this run evaluates nothing; name the sets"),
    ):
        _, found = Preflight().look(config_for(pool, f"pool.decontaminate={named}"))
        assert message in found.problems[0]
    _, found = Preflight().look(config_for(pool, "pool.near_duplicates=2"))
    assert found.problems == ("pool.near_duplicates=2 must be a similarity above 0, up to 1",)


def test_the_page_lists_what_was_found(pool):
    asked = f"pool.decontaminate={pool.parent / 'asked.txt'}"
    chain = Chain(config_for(pool, asked, "pool.near_duplicates=1"))
    chain.run()
    page = (chain.report().path / "report.html").read_text(encoding="utf-8")
    assert "2 samples hold a question; they were left out of the pool" in page
    assert "1 samples repeat one of 1 earlier ones" in page
    assert ASKED[1] in page
    assert "the pool cannot be read again" not in page
