"""Base model, fine-tuning and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ds2.config.base import FILES, MISSING, PATH, cost_field, name_or_path_field, path_field, register


@dataclass
class ModelConfig:
    """The base model."""

    name: str = MISSING
    """Short name used in slugs, run names and tables."""


@register("model", "hub_model")
@dataclass
class HubModelConfig(ModelConfig):
    path: str = name_or_path_field()
    """Hub name or local directory."""
    revision: str | None = None


@register("model", "tiny_model")
@dataclass
class TinyModelConfig(ModelConfig):
    """A random Llama with a byte tokenizer: tests the machinery, knows nothing."""

    seed: int = 0


@dataclass
class PretrainRuntime:
    max_seconds: float = cost_field(300.0)
    """Wall-clock cap; reaching it is recorded and shown."""
    threads: int | None = None


@register("model", "mini_model")
@dataclass
class MiniModelConfig(ModelConfig):
    """The miniature experiment's base model, pre-trained on the spot."""

    seed: int = 0
    steps: int = MISSING
    """Optimiser steps of pre-training."""
    runtime: PretrainRuntime = field(default_factory=PretrainRuntime)


@register("model", "packaged_model")
@dataclass
class PackagedModelConfig(ModelConfig):
    """A model whose weights a Python package carries as a GGUF file, converted on the spot."""

    package: str = MISSING
    """The package that is imported."""
    file: str = MISSING
    """The GGUF file inside it: its content is identity."""


class Quantization(Enum):
    none = "none"
    nf4 = "nf4"
    """4-bit base weights (QLoRA; needs bitsandbytes)."""


class TokenWeights(Enum):
    none = "none"
    """Every response token counts alike."""
    base_difference = "base_difference"
    """Those whose loss falls most from the base model to a reference model; the others do not count (Token
    Cleaning, arXiv 2502.01968).
    """


@dataclass
class FinetuneRuntime:
    device_batch: int | None = None
    """Samples per device and forward pass; accumulation follows. None: as many as divide the total batch,
    at most 8, and on a CPU at most 2,048 tokens.
    """
    devices: int | None = None
    """GPUs to use; none: all that are visible. Without a GPU: processes that share the CPU; none: one."""
    packing: bool = False
    """Samples of a device batch in one row, without padding, that do not see each other. `eager` attention
    works through a mask of the whole row, as does `sdpa` where layers see less than a whole sample.
    """
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    attention: str = "sdpa"
    """Attention kernels: `sdpa`, `flash_attention_2` (needs flash-attn), `eager`."""
    kernels: str = "torch"
    """Norms, rotary positions and gated layers by `torch`, or fused by `liger` (a GPU; `ds2[liger]`)."""
    accelerate_config: str | None = path_field(None)
    """An accelerate config file, such as `conf/finetune/accelerate/fsdp.yaml`, which shares the base weights
    out over the devices.
    """
    threads: int | None = None
    """CPU threads; none: torch's choice."""
    save_every_epoch: bool = True
    """Keep a checkpoint of each epoch while training, for an interrupted run to continue from."""
    save_minutes: float | None = cost_field(5.0)
    """Keep one after so many minutes too, within an epoch; none: not by time. A run that is asked to end
    (SIGTERM) keeps one in any case.
    """


@register("finetune", "finetune")
@dataclass
class FinetuneConfig:
    enabled: bool = True
    """False: stop after selection, nothing is trained or evaluated."""
    name: str = MISSING
    rank: int = 64
    """LoRA rank r."""
    alpha: int = 16
    """LoRA scaling numerator."""
    dropout: float = 0.1
    target_modules: list[str] = field(default_factory=lambda: ["all-linear"])
    """Layers that LoRA trains, by the last part of their names; `[all-linear]`: every linear layer and expert
    but the output head and the routers, which in LLaMA and Mistral are the paper's seven projections.
    """
    learning_rate: float = 1e-4
    schedule: str = "linear"
    """linear, cosine, cosine_with_restarts, polynomial, constant, constant_with_warmup or inverse_sqrt, as in
    transformers.
    """
    warmup_ratio: float = 0.03
    """Share of the steps over which the learning rate rises to its full height."""
    weight_decay: float = 0.0
    epochs: float = 5.0
    max_steps: int | None = None
    """Optimiser steps; given, it overrides epochs (equal steps for every method)."""
    total_batch: int = 128
    """Samples per optimiser step over all devices: identity, so the result does not depend on how many
    there are.
    """
    max_tokens: int = 2048
    """Longer samples are cut."""
    dtype: str = "bfloat16"
    quantization: Quantization = Quantization.none
    template: str = "tulu"
    """Chat template: a file of `ds2/models/templates/`, or `model` for the base model's own."""
    merge: bool = False
    """Also write the merged model."""
    token_weights: TokenWeights = TokenWeights.none
    """Which response tokens are trained (docs/training.md)."""
    token_share: float = 0.6
    """Of `base_difference`: the share of all response tokens of the subset that is kept."""
    token_reference: str | None = name_or_path_field(None)
    """Of `base_difference`: the reference, a folder of a PEFT adapter of the base model. None: two fine-tunes
    on half of the subset each, which judge the other half.
    """
    runtime: FinetuneRuntime = field(default_factory=FinetuneRuntime)

    @property
    def cleans_tokens(self) -> bool:
        """Whether tokens are measured before training."""
        return self.token_weights is not TokenWeights.none

    def too_few(self, selected: int) -> str | None:
        """Why tokens cannot be cleaned in a subset of so many samples: references learn from parts of it."""
        if not self.cleans_tokens or self.token_reference is not None or selected >= FOLDS:
            return None
        return (
            f"finetune.token_weights={self.token_weights.value} fine-tunes a reference on each half of the "
            f"subset, and each half needs a sample; the subset has {selected}: raise the budget, or give "
            "finetune.token_reference=FOLDER"
        )


FOLDS = 2
"""References that are fine-tuned where none is given, each on all but its share of the subset."""
TOKEN_FIELDS = ("token_weights", "token_share", "token_reference")
"""Of the fine-tune: identity only where tokens are cleaned."""


class EvalBackend(Enum):
    hf = "hf"
    vllm = "vllm"


class LongPrompts(Enum):
    """What is done with a prompt that is longer than the model takes."""

    warn = "warn"
    """It loses its beginning; how many did is counted by task, and the stage warns."""
    drop_shots = "drop_shots"
    """It is asked with as many examples as fit, counted likewise; cut where it is too long without any."""
    fail = "fail"
    """The evaluation stops."""


@dataclass
class EvalRuntime:
    batch_size: int = 8
    """Prompts per forward pass."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, ..."""
    threads: int | None = None
    """CPU threads; none: torch's choice."""


@register("eval", "eval")
@dataclass
class EvalConfig:
    enabled: bool = True
    """False: nothing is evaluated."""
    name: str = MISSING
    tasks: list[str] = field(default_factory=list)
    """Task names: a YAML of `eval/tasks/`, else one of lm-eval's. Their first metrics make the average."""
    companions: list[str] = field(default_factory=list)
    """Tasks that are run and shown beside the others, and left out of the average."""
    held_out: list[str] = field(default_factory=list, metadata={PATH: FILES})
    """JSONL files of conversations (`messages`) that were kept apart; each is a task by its
    file's name: the mean loss of a response, in nats a token. Shown beside the tasks; their mean is the
    average where no task is asked.
    """
    held_out_tokens: int = 2048
    """Longer conversations of `held_out` are cut."""
    limit: int | None = None
    """First so many questions of each task."""
    subsample: bool = True
    """The paper's subsets: 200 questions of GSM8K, 40 of each BBH task, 100 of each TyDiQA language. False:
    all.
    """
    data_seed: int = 0
    """Seed of generated questions (the mini tasks) and of the choice of few-shot examples."""
    data_samples: int = 0
    """Number of generated questions per task (the mini tasks)."""
    data_dir: str | None = path_field(None)
    """Folder of benchmark files read in place of the hub's data sets (`gsm8k_test.jsonl`, `bbh/`, ...)."""
    fewshot_as_multiturn: bool = False
    """Examples as turns of their own; otherwise all in one user turn, as the paper's harness has them."""
    on_long_prompts: LongPrompts = LongPrompts.warn
    """What is done with prompts longer than the model's context, less what may be generated: `warn`,
    `drop_shots` or `fail`.
    """
    truth_judge: str = name_or_path_field("allenai/truthfulqa-truth-judge-llama2-7B")
    """Model that says whether an answer to TruthfulQA is true (task `paper_truthfulqa`)."""
    info_judge: str = name_or_path_field("allenai/truthfulqa-info-judge-llama2-7B")
    """Model that says whether such an answer is informative."""
    backend: EvalBackend = EvalBackend.hf
    dtype: str = "bfloat16"
    runtime: EvalRuntime = field(default_factory=EvalRuntime)

    @property
    def held_out_tasks(self) -> list[str]:
        """The tasks of `held_out`: each file's name without its endings."""
        return [Path(file).name.split(".")[0] for file in self.held_out]
