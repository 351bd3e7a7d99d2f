"""LESS with the tiny model: gradients checked against their definition, influence against planted kinds of
samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts.values import workspace
from ds2.base.errors import UserError
from ds2.config.measured_selection import LessSelectionConfig, ModelRuntime
from ds2.models import reader, tiny
from ds2.pool import Message, Pool, Sample
from ds2.selection.strategies import less
from ds2.selection.strategies.lora_gradients import (
    Checkpoint,
    Sketch,
    adam_direction,
    add_lora,
    gradient,
    warm_up,
)
from ds2.selection.strategies.rds_plus import read_target

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny.build(path, seed=0)
    return path


def settings(**changed) -> LessSelectionConfig:
    small = {"rank": 4, "alpha": 8, "epochs": 2, "batch": 4, "learning_rate": 1e-3, "projection": 4096}
    runtime = ModelRuntime(device="cpu", threads=1)
    return LessSelectionConfig(
        name="less",
        strategy="less",
        **{"target": "t", "runtime": runtime, "max_tokens": 64} | small | changed,
    )


def loaded(folder: Path, config: LessSelectionConfig):
    return add_lora(reader.load(str(folder), None, config), config)


def sample(i: int, question: str, answer: str) -> Sample:
    return Sample(f"s{i}", i, "s", (Message("user", question), Message("assistant", answer)), {})


def planted(count: int) -> list[Sample]:
    """Even rows answer in digits, odd rows in capitals."""
    rng = np.random.default_rng(0)
    kinds = ["0123456789", "ABCDEFGHIJ"]
    return [sample(i, "say it", "".join(rng.choice(list(kinds[i % 2]), 24))) for i in range(count)]


def test_the_gradient_is_the_slope_of_the_loss(folder):
    import torch

    lm = loaded(folder, settings())
    text = lm.conversation(planted(1)[0])
    g = gradient(lm, text)
    trained = [p for p in lm.model.parameters() if p.requires_grad]
    assert len(g) == sum(p.numel() for p in trained)
    step, before = 1e-2, lm.mean_nll([text])[0]
    at = 0
    with torch.no_grad():
        for p in trained:
            p -= step * g[at : at + p.numel()].view_as(p)
            at += p.numel()
    assert before - lm.mean_nll([text])[0] == pytest.approx(step * float(g @ g), rel=0.1)


def test_the_direction_is_adam_s(folder):
    import torch

    g, average, square = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0]), torch.tensor([4.0, 1.0])
    direction = adam_direction(g, Checkpoint(None, average, square, 1.0))
    expected = (0.9 * average + 0.1 * g) / torch.sqrt(0.999 * square + 0.001 * g**2 + 1e-8)
    torch.testing.assert_close(direction, expected)


def test_the_sketch_keeps_cosines_and_depends_on_its_seed():
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, generator=generator)
    y = 0.6 * x + 0.8 * torch.randn(20_000, generator=generator)
    sketch = Sketch(20_000, 4096, seed=1)
    cosine = float(torch.nn.functional.cosine_similarity(x, y, dim=0))
    assert float(sketch.unit(x) @ sketch.unit(y)) == pytest.approx(cosine, abs=0.05)
    assert np.array_equal(sketch.unit(x), Sketch(20_000, 4096, seed=1).unit(x))
    assert not np.array_equal(sketch.unit(x), Sketch(20_000, 4096, seed=2).unit(x))


def test_the_warm_up_learns_and_leaves_a_checkpoint_an_epoch(folder, tmp_path):
    config = settings(learning_rate=1e-2)
    lm = loaded(folder, config)
    texts = [lm.conversation(one) for one in planted(8)]
    before = lm.mean_nll(texts).mean()
    checkpoints = warm_up(lm, texts, config, tmp_path / "warm_up")
    assert lm.mean_nll(texts).mean() < before
    assert [c.learning_rate for c in checkpoints] == pytest.approx([0.00875, 0.00375])
    again = warm_up(loaded(folder, config), texts, config, tmp_path / "warm_up")
    assert all((a.weights == b.weights).all() for a, b in zip(checkpoints, again, strict=True))


def write_target(path: Path, answer: str) -> str:
    """Three conversations: the answer, and two rearrangements of it."""
    outputs = [answer, answer[::-1], answer[3:] + answer[:3]]
    path.write_text("".join(f'{{"instruction": "say it", "output": "{o}"}}\n' for o in outputs))
    return str(path)


@pytest.mark.parametrize(
    ("answer", "kind"), [("314159265358979323846264", 0), ("BADCAFEHIGHJBADCAFEHIGHJ", 1)]
)
def test_samples_of_the_target_s_kind_have_the_largest_influence(folder, tmp_path, answer, kind):
    config = settings(target=write_target(tmp_path / "target.jsonl", answer), warmup_share=0.5)
    values = less.measure(
        config,
        Pool(planted(16), 16),
        model=str(folder),
        revision=None,
        workspace=workspace(tmp_path),
        progress=False,
    )
    best = np.argsort(-values)[:8]
    assert (best % 2 == kind).mean() >= 7 / 8
    assert values[kind::2].mean() > values[1 - kind :: 2].mean()


def test_gradients_are_counted_as_training(folder, tmp_path):
    """Of every epoch: the drawn samples, every sample with an answer, and the target's."""
    config = settings(target=write_target(tmp_path / "target.jsonl", "31415"), epochs=2, warmup_share=1.0)
    samples = [*planted(4), sample(4, "w" * 100, "beyond the cut")]
    place = workspace(tmp_path)
    less.measure(
        config, Pool(samples, 5), model=str(folder), revision=None, workspace=place, progress=False
    )  # fmt: skip
    lm = reader.load(str(folder), None, config)
    pool = reader.tokens_of([lm.conversation(one) for one in samples[:4]])
    target = reader.tokens_of([lm.conversation(one) for one in read_target(config.target)])
    assert place.meter.tokens == 2 * (pool + pool + target)
    assert place.meter.flops == 6 * lm.parameters * place.meter.tokens


def test_directions_on_disk_are_not_computed_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(less, "PART", 3)
    config = settings(target=write_target(tmp_path / "target.jsonl", "31415"), epochs=1, warmup_share=1.0)
    samples = [*planted(4), sample(4, "w" * 100, "beyond the cut")]
    first = less.measure(
        config,
        Pool(samples, 5),
        model=str(folder),
        revision=None,
        workspace=workspace(tmp_path),
        progress=False,
    )
    assert np.isnan(first).tolist() == [False] * 4 + [True]
    shards = sorted((tmp_path / "directions" / "0").iterdir())
    assert [path.name for path in shards] == ["000000000.safetensors", "000000003.safetensors"]
    shards[1].unlink()
    calls = []
    monkeypatch.setattr(less, "adam_direction", lambda g, c: calls.append(1) or adam_direction(g, c))
    again = less.measure(
        config,
        Pool(samples, 5),
        model=str(folder),
        revision=None,
        workspace=workspace(tmp_path),
        progress=False,
    )
    assert len(calls) == 1
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_what_is_cut_off_on_disk_is_computed_again(folder, tmp_path):
    config = settings(target=write_target(tmp_path / "target.jsonl", "31415"), warmup_share=1.0)

    def measured() -> np.ndarray:
        return less.measure(
            config, Pool(planted(4), 4), model=str(folder), revision=None, workspace=workspace(tmp_path),
            progress=False,
        )  # fmt: skip

    first = measured()
    for name in ("warm_up/epoch-1.safetensors", "directions/1/000000000.safetensors"):
        path = tmp_path / name
        content = path.read_bytes()
        for size in (0, 50, len(content) - 1):
            path.write_bytes(content[:size])
            np.testing.assert_allclose(measured(), first, atol=1e-6)
            assert path.stat().st_size == len(content)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"warmup_share": 0.0}, r"warmup_share=0 must be"),
        ({"epochs": 0}, r"epochs=0 must be"),
        ({"target_modules": ["nothing"]}, r"selection\.target_modules: "),
        ({"max_tokens": 5}, r"no conversation has an answer within max_tokens"),
    ],
)
def test_what_cannot_work_is_refused(folder, tmp_path, changed, message):
    config = settings(**{"target": write_target(tmp_path / "target.jsonl", "1")} | changed)
    with pytest.raises(UserError, match=message):
        less.measure(
            config,
            Pool(planted(4), 4),
            model=str(folder),
            revision=None,
            workspace=workspace(tmp_path),
            progress=False,
        )
