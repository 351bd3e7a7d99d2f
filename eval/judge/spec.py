"""What the two commands read: whose answers to write, and which answers to compare by which judge."""

from __future__ import annotations

from dataclasses import dataclass, field

from ds2.config import EvalConfig


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


@dataclass
class JudgeConfig:
    """The judge: a chat model behind an OpenAI-compatible server."""

    model: str
    """Its name at the server."""
    base_url: str = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; a server that asks for none needs none."""
    temperature: float = 0.0
    max_new_tokens: int = 1024
    concurrency: int = 8
    """Requests in flight."""
    retries: int = 6
    """Further tries after a busy or failing server, each after a longer wait."""
    timeout_seconds: float = 120.0


@dataclass
class JudgeSpec:
    """Two models' answers, one judge."""

    first: str
    """JSONL of the model whose wins are counted, as `python -m eval answer` writes it."""
    second: str
    """JSONL of the model it is compared with: the same prompts."""
    output_dir: str
    """Takes `rates.json`, `judgements.parquet` and `replies.jsonl`; replies found there are not asked for again."""
    judge: JudgeConfig = field(default_factory=lambda: JudgeConfig(model="gpt-4o"))
    bootstrap: int = 2000
    """Resamples of the prompts behind each interval."""
    seed: int = 0
    progress: bool = True
