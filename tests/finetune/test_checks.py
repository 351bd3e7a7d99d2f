from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ds2.base.errors import UserError
from ds2.config import FinetuneConfig, FinetuneRuntime, Quantization
from ds2.models.lora_targets import find_targets
from finetune import base
from finetune.checks import (
    SCHEDULES,
    config_problems,
    length_problems,
    machine_problems,
    made_model_problems,
    model_problems,
    shape_problems,
)
from finetune.spec import FinetuneSpec
from finetune.train import train

MakeSpec = Callable[..., FinetuneSpec]


def settings(**changes: Any) -> FinetuneConfig:
    runtime = {key: changes.pop(key) for key in list(changes) if hasattr(FinetuneRuntime(), key)}
    return FinetuneConfig(name="test", **changes, runtime=FinetuneRuntime(**runtime))


def test_the_defaults_have_no_problem() -> None:
    assert config_problems(settings()) == machine_problems(settings(), gpus=0) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": 0}, "finetune.rank=0 must be at least 1"),
        ({"alpha": -1}, "finetune.alpha=-1 must be at least 1"),
        ({"dropout": 2.0}, "finetune.dropout=2 must be a share from 0 up to 1, 1 left out"),
        ({"target_modules": []}, "finetune.target_modules is empty: name layers, or [all-linear]"),
        ({"learning_rate": -1.0}, "finetune.learning_rate=-1 must be a number above 0"),
        ({"learning_rate": float("nan")}, "finetune.learning_rate=nan must be a number above 0"),
        ({"warmup_ratio": -3.0}, "finetune.warmup_ratio=-3 must be a share in 0..1"),
        ({"weight_decay": -0.1}, "finetune.weight_decay=-0.1 must not be negative"),
        ({"epochs": 0.0}, "finetune.epochs=0 must be above 0; finetune=none trains nothing"),
        ({"max_steps": 0}, "finetune.max_steps=0 must be at least 1, or null to go by epochs"),
        ({"total_batch": 0}, "finetune.total_batch=0 must be at least 1"),
        ({"max_tokens": 1}, "finetune.max_tokens=1 must be at least 2"),
        ({"schedule": "foo"}, f"finetune.schedule=foo is unknown: use one of {', '.join(SCHEDULES)}"),
        ({"template": "nope"}, "finetune.template=nope is unknown: use one of tulu, model (the base "
         "model's own)"),
        ({"dtype": "float12"}, "finetune.dtype=float12 is unknown: use one of float32, bfloat16, float16"),
        ({"attention": "flash"}, "finetune.runtime.attention=flash is unknown: use one of sdpa, eager, "
         "flash_attention_2"),
        ({"kernels": "fast"}, "finetune.runtime.kernels=fast is unknown: use one of torch, liger"),
        ({"threads": 0}, "finetune.runtime.threads=0 must be at least 1"),
        ({"devices": 0}, "finetune.runtime.devices=0 must be at least 1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_option(changes: dict[str, Any], message: str) -> None:
    assert config_problems(settings(**changes)) == [message]


def test_epochs_do_not_matter_where_steps_are_given_and_all_problems_are_told_at_once() -> None:
    assert config_problems(settings(epochs=0.0, max_steps=3)) == []
    assert len(config_problems(settings(epochs=0.0, rank=0, schedule="foo", dtype="x"))) == 4


def test_what_the_machine_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.checks.find_spec", lambda package: None)
    lines = machine_problems(
        settings(attention="flash_attention_2", quantization=Quantization.nf4, devices=4096, total_batch=10,
                 accelerate_config=str(tmp_path / "nope.yaml")),
        gpus=0,
    )  # fmt: skip
    assert [line.partition(" ")[0] for line in lines] == [
        "finetune.runtime.attention=flash_attention_2",
        "finetune.quantization=nf4",
        f"finetune.runtime.accelerate_config={tmp_path / 'nope.yaml'}:",
        "finetune.runtime.devices=4096:",
    ]
    assert "pip install 'ds2[qlora]'" in lines[1]


def test_fused_kernels_need_their_package_and_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.checks.find_spec", lambda package: None)
    (missing,) = machine_problems(settings(kernels="liger"), gpus=1)
    assert "pip install 'ds2[liger]'" in missing
    monkeypatch.setattr("finetune.checks.find_spec", lambda package: object())
    assert machine_problems(settings(kernels="liger"), gpus=1) == []
    assert machine_problems(settings(kernels="liger"), gpus=0) == [
        "finetune.runtime.kernels=liger needs a GPU: use torch"
    ]


def test_a_batch_that_does_not_divide_is_named_for_the_devices_there_are() -> None:
    assert machine_problems(settings(total_batch=8, device_batch=4), gpus=2) == []
    assert "which device batches of 7 do not divide" in machine_problems(
        settings(total_batch=8, device_batch=7), gpus=0
    )[0]  # fmt: skip


def test_what_does_not_fit_the_base_model_is_told_from_its_files_alone(tiny_model: Path) -> None:
    config = settings(template="model", target_modules=["q_proj", "k_porj"])
    template, layers = model_problems(config, str(tiny_model), None)
    assert "has no chat template of its own: use finetune.template=tulu" in template
    assert layers.startswith("finetune.target_modules: k_porj is no layer of this base model (llama)")
    assert model_problems(settings(), str(tiny_model), None) == []


def test_a_base_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (line,) = model_problems(settings(), str(tmp_path / "nowhere"), None)
    assert "nowhere" in line


def test_the_models_made_here_are_known_without_files(tiny_model: Path) -> None:
    assert made_model_problems(settings()) == []
    assert made_model_problems(settings(target_modules=["up_proj", "q_proj"])) == []
    wrong = settings(template="model", target_modules=["qkv_proj"])
    told = made_model_problems(wrong)
    assert len(told) == len(model_problems(wrong, str(tiny_model), None)) == 2


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_offered_exists(schedule: str) -> None:
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    assert get_scheduler(schedule, optimizer, num_warmup_steps=1, num_training_steps=4)


def test_a_fine_tune_refuses_before_it_reads_anything(make_spec: MakeSpec) -> None:
    spec = make_spec(epochs=0, schedule="foo", dtype="float12")
    spec.train_file = spec.base_model = "nowhere"
    with pytest.raises(UserError) as caught:
        train(spec)
    assert str(caught.value).count("; finetune.") == 2
    assert "\n" not in str(caught.value)


def mixtral() -> Any:
    import torch
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=2, num_local_experts=4,
            max_position_embeddings=2048, pad_token_id=0,
        )
    )  # fmt: skip


def test_samples_beyond_the_context_are_refused_with_the_length_that_fits(make_spec: MakeSpec) -> None:
    assert length_problems(settings(), mixtral(), 2048) == []
    assert length_problems(settings(), mixtral(), 2049) == [
        "a sample has 2049 tokens, more than the 2048 of the base model's context: set "
        "finetune.max_tokens=2048"
    ]
    long = [[("user", "x"), ("assistant", "y" * 5000)]]
    with pytest.raises(UserError, match=r"more than the 4096 of the base model's context"):
        train(make_spec(long, max_tokens=5000))


def add_lora(model: Any, config: FinetuneConfig) -> Any:
    return base.add_lora(model, config, find_targets(model, config.target_modules, option=base.__name__))


def test_fused_experts_are_trained_and_dropout_on_them_is_refused() -> None:
    (line,) = shape_problems(settings(rank=2), mixtral())
    assert line.startswith("finetune.dropout=0.1: experts that are one parameter (experts.down_proj, ")
    assert line.endswith("leave them out by finetune.target_modules=[k_proj,o_proj,q_proj,v_proj]")
    assert shape_problems(settings(rank=2, dropout=0.0), mixtral()) == []
    tuned = add_lora(mixtral(), settings(rank=2, dropout=0.0))
    trained = {name for name, value in tuned.named_parameters() if value.requires_grad}
    assert len([name for name in trained if "experts" in name]) == 2 * 2 * 2  # layers, parameters, A and B
    assert len([name for name in trained if "self_attn" in name]) == 2 * 4 * 2


def test_a_layer_that_peft_passes_over_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.base.trained_names", lambda model: {"model.layers.0.self_attn.q_proj"})
    with pytest.raises(UserError, match=r"PEFT leaves k_proj, o_proj, v_proj of this base model \(mixtral\)"):
        add_lora(mixtral(), settings(rank=2, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))
