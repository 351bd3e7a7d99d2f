"""What the two commands read: whose answers to write, and which answers to compare by which judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ds2.config import ChatBackend, ChatConfig, ChatRuntime, EvalConfig


@dataclass
class AnswerSpec:
    """One model's answers to a file of prompts."""

    base_model: str
    """Hub name or local directory."""
    revision: str | None
    adapter: str | None
    """Directory of a PEFT adapter; None: the base model itself."""
    prompts: str
    """JSONL of {"id", "turns": [user messages]} (MT-Bench has two turns, Vicuna and LIMA-test one)."""
    output: str
    """JSONL to write: the same rows with `answers`, one a turn."""
    seed: int
    config: EvalConfig
    """Back end, dtype, batch size, device; its tasks are not read."""
    max_new_tokens: int = 1024
    progress: bool = True


@dataclass(kw_only=True)
class JudgeConfig(ChatConfig):
    """The judge, asked through the same back ends as a rater; keys come from the environment."""

    group: ClassVar[str] = "judge"

    backend: ChatBackend = ChatBackend.openai
    temperature: float | None = 0.0
    max_new_tokens: int = 1024
    max_prompt_tokens: int = 16_384
    """Room for a question, where the model runs here; questions are not cut."""
    runtime: ChatRuntime = field(default_factory=lambda: ChatRuntime(concurrency=8))


@dataclass
class JudgeSpec:
    """Two models' answers, one judge."""

    first: str
    """JSONL of the model whose wins are counted, as `python -m eval answer` writes it."""
    second: str
    """JSONL of the model it is compared with: the same prompts."""
    output_dir: str
    """Takes `rates.json`, `judgements.parquet` and the log of replies; what that holds is not asked for
    again."""
    judge: JudgeConfig = field(default_factory=lambda: JudgeConfig(model="gpt-4o"))
    bootstrap: int = 2000
    """Resamples of the prompts behind each interval."""
    seed: int = 0
    progress: bool = True
