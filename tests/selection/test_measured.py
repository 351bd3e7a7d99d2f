"""Strategies that ask a language model, with the tiny model on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts import base_model
from ds2.artifacts.store import open_store
from ds2.artifacts.subset import read_subset
from ds2.artifacts.values import workspace
from ds2.base.errors import MissingInput, UserError
from ds2.config.compose import compose
from ds2.config.measured_selection import Band, IfdSelectionConfig, MeasuredSelectionConfig, ModelRuntime
from ds2.models import reader, tiny
from ds2.pool import Message, Sample
from ds2.runs.chain import Chain
from ds2.runs.pools import pool_of
from ds2.runs.prepare import needs

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny.build(path, seed=0)
    return path


@pytest.fixture
def lm(folder):
    config = MeasuredSelectionConfig(
        name="m", strategy="ifd", max_tokens=90, runtime=ModelRuntime(device="cpu", batch_size=3)
    )
    return reader.load(str(folder), None, config)


def sample(*turns: tuple[str, str]) -> Sample:
    return Sample("x", 0, "s", tuple(Message(role, content) for role, content in turns), {})


SAMPLES = [
    sample(("user", "q"), ("assistant", "an answer")),
    sample(("system", "be brief"), ("user", "a longer question?"), ("assistant", "yes")),
    sample(("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2, and more")),
    sample(("user", "w" * 200), ("assistant", "beyond the cut")),
    sample(("user", "q"), ("assistant", "z" * 200)),
]


def test_the_answer_tokens_are_the_assistant_s_contents_and_their_ends(lm):
    marked = [
        lm.tokenizer.decode(text.ids[text.answer]) for text in (lm.conversation(one) for one in SAMPLES[:3])
    ]
    assert marked == ["an answer</s>", "yes</s>", "1</s>2, and more</s>"]
    whole = lm.tokenizer.decode(lm.conversation(SAMPLES[0]).ids)
    assert whole == "<s><|user|>\nq\n<|assistant|>\nan answer</s>"


def test_the_nll_is_the_model_s_own_loss_whatever_the_batch(lm):
    import torch

    texts = [lm.conversation(one) for one in SAMPLES]
    nll = lm.mean_nll(texts)
    for text, value in zip(texts, nll, strict=True):
        if not text.answer.any():
            assert np.isnan(value)
            continue
        labels = np.where(text.answer, text.ids, -100)
        loss = lm.model(input_ids=torch.tensor(text.ids[None]), labels=torch.tensor(labels[None])).loss
        assert value == pytest.approx(float(loss.detach()), abs=1e-5)
    assert np.isnan(nll).tolist() == [False, False, False, True, False]


def test_ifd_compares_the_same_answer_tokens_with_and_without_the_question(lm, folder, tmp_path):
    from ds2.pool import Pool
    from ds2.selection.strategies import ifd

    config = IfdSelectionConfig(name="ifd", strategy="ifd", max_tokens=90, runtime=ModelRuntime(device="cpu"))
    values = ifd.measure(
        config,
        Pool(SAMPLES, 5),
        model=str(folder),
        revision=None,
        workspace=workspace(tmp_path),
        progress=False,
    )
    asked = lm.mean_nll([lm.conversation(SAMPLES[0])])[0]
    alone = lm.mean_nll([lm.answers(SAMPLES[0])])[0]
    assert values[0] == pytest.approx(np.exp(asked - alone), rel=1e-5)
    assert np.isnan(values).tolist() == [False, False, False, True, False]
    cut = lm.conversation(SAMPLES[4])
    same = reader.Encoded(
        lm.answers(SAMPLES[4]).ids[: cut.answer.sum() + 1],
        lm.answers(SAMPLES[4]).answer[: cut.answer.sum() + 1],
    )
    assert cut.answer.sum() < 90
    ratio = np.exp(lm.mean_nll([cut])[0] - lm.mean_nll([same])[0])
    assert values[4] == pytest.approx(ratio, rel=1e-5)


def test_ifd_takes_the_hardest_that_the_question_still_helps(ask):
    values = np.array([0.2, 1.4, 0.9, np.nan, 0.99, 0.5])
    assert ask("ifd", 3, size=6, inputs={"values": values}).positions.tolist() == [4, 2, 5]
    with pytest.raises(UserError, match="5 is more than the 4 of 6 whose IFD is below 1"):
        ask("ifd", 5, size=6, inputs={"values": values})


def test_the_bands_of_perplexity(ask):
    values = np.array([1.0, 100.0, 10.0, np.nan, 9.0, 1000.0])
    inputs = {"values": values}
    bands = {band: ask("perplexity", 2, size=6, inputs=inputs, band=band).positions.tolist() for band in Band}
    assert bands == {Band.low: [0, 4], Band.middle: [2, 4], Band.high: [5, 1]}


@pytest.fixture
def chain(planted_pool: Path):
    def built(*overrides: str) -> Chain:
        fixed = ["pool=jsonl", f"pool.path={planted_pool}", "pool.limit=40", "finetune=none",
                 "eval=none", "model=tiny", "tracking=none", "until=select", "budget.samples=5",
                 "runtime.progress=false",
                 f"paths.artifacts={planted_pool.parent / 'artifacts'}"]  # fmt: skip
        return Chain(compose([*fixed, *overrides]))

    return built


def test_one_measurement_serves_every_budget_and_band(chain):
    first = chain("selection=perplexity_high").run()
    assert [s.name for s in first.stages.values()] == ["model", "measure", "select"]
    again = chain("selection=perplexity_low", "budget.samples=7", "selection.runtime.batch_size=3").run()
    assert [s.status.value for s in again.stages.values()] == ["reused", "reused", "computed"]
    high, low = (read_subset(run.stages["select"].path)["value"] for run in (first, again))
    assert high.is_monotonic_decreasing
    assert low.is_monotonic_increasing
    assert low.max() < high.min()


@pytest.mark.parametrize("name", ["perplexity_high", "ifd", "rds_plus"])
def test_the_record_tells_every_token_that_the_model_read(chain, planted_pool, tmp_path, name):
    target = tmp_path / "target.jsonl"
    target.write_text("".join(planted_pool.read_text().splitlines(keepends=True)[:3]))
    more = [f"selection.target={target}"] if name == "rds_plus" else []
    run = chain(f"selection={name}", *more).run()
    lm = reader.load(str(base_model.weights(run.stages["model"].path)), None, run.config.selection)
    samples = pool_of(run.config, open_store(run.config.paths.artifacts)).load().samples
    texts = [lm.conversation(one) for one in samples]
    read = {
        "perplexity_high": reader.tokens_of(texts),
        "ifd": reader.tokens_of(texts) + reader.tokens_of([lm.answers(one) for one in samples]),
        "rds_plus": reader.tokens_of(texts) + reader.tokens_of(texts[:3]),
    }[name]
    told = run.stages["measure"].record["compute"]
    assert (told["tokens"], told["flops"]) == (read, 2 * lm.parameters * read)
    assert (told["dollars"], told["device"]) == (0.0, "cpu")
    assert told["seconds"] == run.stages["measure"].record["wall_seconds"]


def test_the_scorer_s_content_is_identity_and_its_place_is_not(chain, folder, tmp_path):
    def measured(*overrides: str) -> str:
        return next(s for s in chain("selection=ifd", *overrides).steps if s.stage == "measure").fingerprint

    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    given = measured(f"selection.scorer={folder}")
    assert measured(f"selection.scorer={copy}") == given
    assert measured(f"selection.scorer={folder}", "selection.max_tokens=64") != given
    other = tmp_path / "other"
    tiny.build(other, seed=1)
    assert measured(f"selection.scorer={other}") != given
    assert [step.stage for step in chain("selection=ifd", f"selection.scorer={folder}").steps] == [
        "measure",
        "select",
    ]


def test_a_folder_that_holds_no_model_is_refused(chain, tmp_path):
    with pytest.raises(MissingInput, match="cannot be loaded"):
        chain("selection=ifd", f"selection.scorer={tmp_path}").run()


def test_precomputed_numbers_rank_the_pool_and_their_content_is_identity(chain, tmp_path):
    path = tmp_path / "influence.npy"
    numbers = np.random.default_rng(0).permutation(240).astype(float)
    np.save(path, numbers)
    one = chain("selection=precomputed", f"selection.path={path}")
    run = one.run()
    rows = read_subset(run.stages["select"].path)["row"].tolist()
    assert rows == np.argsort(-numbers[:40])[:5].tolist()
    np.save(path, numbers[::-1])
    assert chain("selection=precomputed", f"selection.path={path}").fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (np.full(240, np.nan), r"the number of 'p0' \(.*row 1\) is nan"),
        (np.full(240, 2.0), r"all 40 numbers are 2: nothing to rank by"),
        (np.arange(7.0), r"holds 7 numbers, the pool 40 rows"),
    ],
)
def test_numbers_that_cannot_rank_are_refused(chain, tmp_path, numbers, message):
    path = tmp_path / "influence.npy"
    np.save(path, numbers)
    with pytest.raises(UserError, match=message):
        chain("selection=precomputed", f"selection.path={path}").run()


def test_later_positions_weigh_more_whatever_the_batch(lm):
    import torch

    texts = [lm.conversation(one) for one in SAMPLES]
    states = lm.weighted_states(texts)
    for text, row in zip(texts, states, strict=True):
        with torch.inference_mode():
            ids = torch.tensor(text.ids[None])
            hidden = lm.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0].double().numpy()
        weight = np.arange(1, len(hidden) + 1)
        np.testing.assert_allclose(row, weight @ hidden / weight.sum(), atol=1e-4)


def test_targets_take_turns_and_each_takes_its_nearest_left(ask):
    values = np.array([[0.9, 0.8], [0.8, 0.7], [0.1, 0.6], [0.7, 0.1], [np.nan, np.nan]])
    choice = ask("rds_plus", 4, inputs={"values": values}, target="t")
    assert choice.positions.tolist() == [0, 1, 3, 2]
    assert choice.values.tolist() == [0.9, 0.7, 0.7, 0.6]
    rng = np.random.default_rng(0)
    many = rng.normal(size=(60, 7))
    whole = ask("rds_plus", 40, inputs={"values": many}, target="t").positions.tolist()
    assert len(set(whole)) == 40
    assert ask("rds_plus", 15, inputs={"values": many}, target="t").positions.tolist() == whole[:15]


def test_rds_plus_takes_planted_copies_of_its_targets_first(chain, planted_pool, tmp_path):
    rows = planted_pool.read_text().splitlines()[:40]
    target = tmp_path / "target.jsonl"
    target.write_text("\n".join(rows[i] for i in (31, 7, 12)))
    run = chain("selection=rds_plus", f"selection.target={target}").run()
    table = read_subset(run.stages["select"].path)
    assert table["row"].tolist()[:3] == [31, 7, 12]
    moved = target.rename(tmp_path / "moved.jsonl")
    assert chain("selection=rds_plus", f"selection.target={moved}").fingerprint == run.fingerprint
    moved.write_text(rows[0])
    assert chain("selection=rds_plus", f"selection.target={moved}").fingerprint != run.fingerprint


def test_a_target_without_rows_is_refused(chain, tmp_path):
    empty = tmp_path / "target.jsonl"
    empty.write_text("\n")
    with pytest.raises(UserError, match=r"target\.jsonl has zero rows"):
        chain("selection=rds_plus", f"selection.target={empty}").run()
    with pytest.raises(MissingInput, match="no such file"):
        chain("selection=rds_plus", f"selection.target={tmp_path / 'absent.jsonl'}").run()


def test_less_runs_in_the_chain_and_keeps_its_projected_directions(chain, planted_pool, tmp_path):
    target = tmp_path / "target.jsonl"
    target.write_text("\n".join(planted_pool.read_text().splitlines()[:3]))
    small = ["rank=4", "alpha=8", "epochs=1", "warmup_share=0.2", "projection=256", "max_tokens=96"]
    run = chain("selection=less", f"selection.target={target}", *(f"selection.{s}" for s in small)).run()
    assert [s.name for s in run.stages.values()] == ["model", "measure", "select"]
    kept = run.stages["measure"].record["files"]
    assert {"directions/0/000000000.safetensors", "warm_up/epoch-0.safetensors", "values.npy"} == set(kept)
    values = read_subset(run.stages["select"].path)["value"]
    assert values.is_monotonic_decreasing


def test_prepare_fetches_the_scorer():
    wanted = [need.what for need in needs(compose(["selection=ifd", "selection.scorer=some/model"]))]
    assert "scorer of selection=ifd" in wanted
    assert not [need for need in needs(compose(["selection=ifd"])) if "scorer" in need.what]
