"""Which extra brings which package, for a person who installed without it."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "train": (
        "torch", "transformers", "peft", "accelerate", "datasets", "safetensors", "sentence_transformers",
        "huggingface_hub",
        "httpx2",
    ),
    "eval": ("lm_eval",),
    "api": ("openai", "aiohttp"),
    "vllm": ("vllm",),
}  # fmt: skip


def absent(extra: str) -> list[str]:
    """Packages of an extra that are not installed."""
    return [package for package in EXTRAS[extra] if find_spec(package) is None]


def advice(error: ModuleNotFoundError) -> str | None:
    """What to install for a failed import; None where no extra would help."""
    package = (error.name or "").split(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return f"this needs the package {package}: pip install 'ds2[{extra}]'"
    return None
