"""What the two commands read: whose answers to write, and which answers to compare by which judge."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ds2.config import EvalConfig, LlmRaterConfig, RaterBackend, RaterRuntime, Reading


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
    """The judge: a language model, asked through the same back ends as a rater; keys come from the environment."""

    model: str
    """Its name at the server; on the hub, or a local directory, where it runs here."""
    backend: RaterBackend = RaterBackend.openai
    revision: str | None = None
    """Of a hub model."""
    base_url: str | None = None
    """Root of an OpenAI-compatible server; None: OpenAI."""
    api_version: str | None = None
    """Set for an Azure OpenAI resource, whose address is `base_url`."""
    temperature: float = 0.0
    max_new_tokens: int = 1024
    max_prompt_tokens: int = 16_384
    """Room for a question, where the model runs here."""
    runtime: RaterRuntime = field(default_factory=lambda: RaterRuntime(concurrency=8))

    def as_rater(self) -> LlmRaterConfig:
        """What the back ends read."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return LlmRaterConfig(name="judge", reading=Reading.text, **own)


@dataclass
class JudgeSpec:
    """Two models' answers, one judge."""

    first: str
    """JSONL of the model whose wins are counted, as `python -m eval answer` writes it."""
    second: str
    """JSONL of the model it is compared with: the same prompts."""
    output_dir: str
    """Takes `rates.json`, `judgements.parquet` and the log of replies; what that holds is not asked for again."""
    judge: JudgeConfig = field(default_factory=lambda: JudgeConfig(model="gpt-4o"))
    bootstrap: int = 2000
    """Resamples of the prompts behind each interval."""
    seed: int = 0
    progress: bool = True
