"""Checks of this machine: packages that the chosen stages need, a login for the tracker."""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from ds2.base.extras import install_line
from ds2.base.paths import resolved
from ds2.config import (
    ChatBackend,
    EngineKind,
    LlmRaterConfig,
    PackagedModelConfig,
    SentenceEmbedderConfig,
    TrackingMode,
)
from ds2.config.run import TrackingService
from ds2.runs.preflight.finding import Finding, Run, problem

_CHAT = {
    ChatBackend.vllm: ("vllm",), ChatBackend.transformers: ("torch", "transformers"),
    ChatBackend.openai: ("openai", "aiohttp"), ChatBackend.openai_batch: ("openai", "aiohttp"),
}  # fmt: skip


def packages(run: Run) -> Iterator[Finding]:
    """Modules that the pending stages import."""
    for module, why in sorted(_modules(run).items()):
        if find_spec(module) is None:
            yield problem(f"{why} needs the package {module}: {install_line(module)}")


def _modules(run: Run) -> dict[str, str]:
    """Module -> the choice that needs it."""
    config, needed = run.config, dict[str, str]()

    def add(stage: str, why: str, *modules: str) -> None:
        if stage in run.pending:
            for module in modules:
                needed.setdefault(module, why)

    if isinstance(config.rater, LlmRaterConfig):
        add("rate", f"rater={config.rater.name}", *_CHAT[config.rater.backend.here])
    if isinstance(config.embedder, SentenceEmbedderConfig):
        add("embed", f"embedder={config.embedder.name}", "sentence_transformers", "torch")
    add("measure", f"selection={config.selection.name}", "torch", "transformers")
    add("model", f"model={config.model.name}", "torch", "transformers")
    if isinstance(config.model, PackagedModelConfig):
        add("model", f"model={config.model.name}", "gguf")
    add("finetune", f"finetune={config.finetune.name}", "torch", "transformers", "peft")
    harness = ["lm_eval"] if config.eval.tasks or config.eval.companions else []
    add("evaluate", f"eval={config.eval.name}", "torch", "transformers", "peft", *harness)
    if config.engine.backend is EngineKind.ray and run.pending & {"rate", "embed", "measure"}:
        needed.setdefault("ray", "engine=ray")
    return needed


def engine(run: Run) -> Iterator[Finding]:
    """Numbers that an engine can work with."""
    chosen = run.config.engine
    if chosen.actors < 1:
        yield problem(f"engine.actors={chosen.actors} must be at least 1")
    if chosen.gpus < 0:
        yield problem(f"engine.gpus={chosen.gpus:g} must not be negative")


def tracking(run: Run) -> Iterator[Finding]:
    """The tracker is installed, and online it has a login: otherwise a whole chain would run untracked."""
    settings = run.config.tracking
    if settings.service is not TrackingService.wandb:
        package = settings.service.value
        if not settings.off and find_spec(package) is None:
            yield problem(f"tracking={package} needs the package {package}: {install_line(package)}")
        return
    if settings.mode is TrackingMode.online and not settings.off and not _logged_in():
        yield problem(
            "tracking=wandb: nobody is logged in to Weights & Biases (wandb login, or the variable "
            "WANDB_API_KEY); tracking=offline needs no account"
        )


def _logged_in() -> bool:
    """As W&B looks: a variable, or the machine's entry in the netrc file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    file = os.environ.get("NETRC")
    places = [Path(file)] if file else [Path(resolved("~/.netrc")), Path(resolved("~/_netrc"))]
    for place in places:
        with suppress(OSError, netrc.NetrcParseError):  # absent, or not for us to judge
            if netrc.netrc(place).authenticators(host):
                return True
    return False
