from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ds2.artifacts.training import read_curve
from ds2.base.errors import MissingInput, UserError
from finetune.spec import FinetuneSpec, read_spec, write_spec
from finetune.train import train

MakeSpec = Callable[..., FinetuneSpec]


def weights(spec: FinetuneSpec) -> dict[str, torch.Tensor]:
    return load_file(Path(spec.output_dir) / "adapter" / "adapter_model.safetensors")


def assert_equal_weights(first: FinetuneSpec, second: FinetuneSpec, tolerance: float = 0.0) -> None:
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance)


def test_a_fine_tune_lowers_the_loss_and_leaves_an_adapter_a_curve_and_metrics(make_spec: MakeSpec) -> None:
    spec = make_spec(epochs=6)
    metrics = train(spec)
    output = Path(spec.output_dir)
    written = sorted(path.name for path in output.iterdir())
    assert written == ["adapter", "checkpoints", "curve.parquet", "metrics.json"]
    assert sorted(path.name for path in (output / "checkpoints").iterdir()) == ["finished.json", "identity"]
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert (metrics["steps"], metrics["samples"], metrics["device_batch"], metrics["accumulation"]) == (
        12,
        16,
        8,
        1,
    )
    assert (metrics["truncated"], metrics["dropped_without_assistant"], metrics["epochs"]) == (0, 0, 6.0)
    assert 0 < metrics["trained_tokens"] < metrics["tokens"]
    curve = read_curve(output)
    assert list(curve.columns) == ["step", "epoch", "loss", "learning_rate"]
    assert curve["step"].tolist() == list(range(1, 13))
    assert curve["epoch"].iloc[-1] == 6.0
    assert metrics["tokens_per_second"] > 0
    done = metrics["tokens_per_second"] * (4 * metrics["parameters"] + 2 * metrics["trainable_parameters"])
    assert metrics["flops_per_second"] == pytest.approx(done)
    assert metrics["mfu"] is None  # what a CPU can reach is not known
    assert curve["loss"].iloc[-1] < 0.8 * curve["loss"].iloc[0]


def test_the_adapter_loads_as_it_is_and_changes_the_model(make_spec: MakeSpec) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = make_spec()
    train(spec)
    adapter = Path(spec.output_dir) / "adapter"
    assert not [path for path in adapter.iterdir() if path.suffix in (".bin", ".pt", ".pth")]  # no pickles
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "say oak 2 times"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    tuned = AutoPeftModelForCausalLM.from_pretrained(adapter)
    base = AutoModelForCausalLM.from_pretrained(spec.base_model)
    assert tokenizer.decode(prompt["input_ids"][0]).endswith("<|assistant|>\n")
    assert (tuned(**prompt).logits - base(**prompt).logits).abs().max() > 0.1


def test_the_adapter_names_a_base_that_loads_from_any_folder_and_nothing_that_varies(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import AutoPeftModelForCausalLM

    written = []
    for name, names in (("one", ["v_proj", "q_proj", "up_proj"]), ("other", ["up_proj", "v_proj", "q_proj"])):
        spec = make_spec(output=name, max_steps=1, target_modules=names)
        monkeypatch.chdir(Path(spec.base_model).parent)
        spec.base_model = Path(spec.base_model).name
        train(spec)
        adapter = Path(spec.output_dir) / "adapter"
        written.append([(adapter / file).read_bytes() for file in ("adapter_config.json", "base.json")])
    assert written[0] == written[1]
    assert json.loads(written[0][0])["target_modules"] == ["q_proj", "up_proj", "v_proj"]
    monkeypatch.chdir(tmp_path)
    assert AutoPeftModelForCausalLM.from_pretrained(adapter)


def test_the_share_of_parameters_trained_is_told(
    make_spec: MakeSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = make_spec(max_steps=1, target_modules=["q_proj"])
    spec.progress = True
    metrics = train(spec)
    assert (metrics["target_modules"], metrics["trainable_parameters"]) == (["q_proj"], 2 * 2 * 64 * 4)
    assert f"LoRA on q_proj: 0.88 % of {metrics['parameters']:,} parameters" in capsys.readouterr().err


def test_the_result_does_not_depend_on_the_device_batch(make_spec: MakeSpec) -> None:
    whole, parts = make_spec(output="whole", device_batch=8), make_spec(output="parts", device_batch=2)
    first, second = train(whole), train(parts)
    assert (first["accumulation"], second["accumulation"]) == (1, 4)
    assert_equal_weights(whole, parts, tolerance=1e-4)
    assert first["train_loss"] == pytest.approx(second["train_loss"], abs=1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_samples_do_not_see_each_other(make_spec: MakeSpec, attention: str) -> None:
    padded, packed = (
        make_spec(output=name, packing=name == "packed", attention=attention) for name in ("padded", "packed")
    )
    first, second = train(padded), train(packed)
    assert_equal_weights(padded, packed, tolerance=1e-4)
    assert first["train_loss"] == pytest.approx(second["train_loss"], abs=1e-4)
    assert first["tokens"] == second["tokens"]


def test_a_model_in_which_packed_samples_see_each_other_is_refused(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import masking_utils

    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda position_ids: None)
    with pytest.raises(UserError, match=r"set finetune\.runtime\.packing=false"):
        train(make_spec(packing=True))


def test_equal_seeds_give_equal_weights_and_another_seed_others(make_spec: MakeSpec) -> None:
    first, again, other = (
        make_spec(output=name, max_steps=2, dropout=0.1) for name in ("first", "again", "other")
    )
    other.seed = 8
    for spec in (first, again, other):
        train(spec)
    assert_equal_weights(first, again)
    with pytest.raises(AssertionError):
        assert_equal_weights(first, other)


def test_bfloat16_and_activation_checkpointing_train_too(make_spec: MakeSpec) -> None:
    metrics = train(make_spec(dtype="bfloat16", activation_checkpointing=True, epochs=6))
    assert metrics["final_loss"] < metrics["train_loss"]


def test_warm_up_and_schedule_are_obeyed(make_spec: MakeSpec) -> None:
    spec = make_spec(max_steps=10, warmup_ratio=0.2, schedule="linear", learning_rate=0.01)
    train(spec)
    rates = read_curve(Path(spec.output_dir))["learning_rate"].tolist()
    assert rates == pytest.approx([0, 0.005, *(0.01 * left / 8 for left in range(8, 0, -1))])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device_batch": 3}, r"finetune\.runtime\.device_batch"),
        ({"conversations": []}, "the subset is empty"),
        (
            {"conversations": [[("system", "x")], [("system", "y"), ("user", "z")]]},
            "none of 2 samples has an assistant turn",
        ),
        ({"dtype": "int8"}, r"finetune\.dtype=int8 is unknown"),
        ({"target_modules": ["nowhere"]}, "nowhere is no layer of this base model"),
        ({"learning_rate": 1e30}, r"lower finetune\.learning_rate"),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    make_spec: MakeSpec, changes: dict[str, Any], message: str
) -> None:
    spec = make_spec(**changes)
    with pytest.raises(UserError, match=message) as caught:
        train(spec)
    assert "\n" not in str(caught.value)
    assert not (Path(spec.output_dir) / "adapter").exists()


def test_a_missing_base_model_is_one_clear_line(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec()
    spec.base_model = str(tmp_path / "nowhere")
    with pytest.raises(MissingInput, match="nowhere"):
        train(spec)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_names_the_settings_to_lower(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from transformers import LlamaForCausalLM

    def forward(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    with pytest.raises(UserError, match=r"finetune\.runtime\.device_batch or finetune\.max_tokens"):
        train(make_spec())


def test_a_spec_comes_back_equal_from_its_file(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(device_batch=4, max_steps=3)
    write_spec(spec, tmp_path / "spec.json")
    assert read_spec(tmp_path / "spec.json") == spec


def test_a_row_without_messages_is_named_by_its_line(make_spec: MakeSpec) -> None:
    spec = make_spec()
    with Path(spec.train_file).open("a", encoding="utf-8") as rows:
        rows.write('{"id": "17"}\n')
    with pytest.raises(UserError, match="line 17"):
        train(spec)
