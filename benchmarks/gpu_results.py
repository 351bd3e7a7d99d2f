"""The files of `benchmarks/gpu.py`: a card's figures by part, each with what it was measured with."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RATED_TOKENS = 568
NORMALISED = f"ratings a second of {RATED_TOKENS} tokens that are not cached"
"""Tokens of the prompts of the published figure."""
REFERENCES = {
    "lora": "NeMo AutoModel's published LoRA of Llama-3.1-8B on one H100: 12,473 tokens/s, 41 % MFU",
    "rating": f"TensorRT-LLM on one H100, FP8: about 100 ratings/s of {RATED_TOKENS} tokens; a prompt here "
    "is longer (a token is a byte): the line normalised to as many tokens is the one to read beside it",
}
"""Part -> a published figure to read it beside."""
Figures = dict[str, Any]


def machine() -> dict[str, Any]:
    """The card, and what the parts are measured with."""
    import torch

    cuda = torch.cuda.is_available()
    packages = [name for name in ("torch", "transformers", "peft", "bitsandbytes", "liger_kernel", "vllm")
                if find_spec(name)]  # fmt: skip
    return {
        "card": torch.cuda.get_device_name() if cuda else f"no GPU ({platform.machine()})",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def write(out: Path, setting: dict[str, Any], results: dict[str, Figures], *, toy: bool) -> None:
    """What is known of the card so far, now and from earlier calls; nothing where no part has run."""
    if all("skipped" in figures for figures in results.values()):
        return
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"gpu-{re.sub(r'[^a-z0-9]+', '-', setting['card'].lower()).strip('-')}.json"
    known, machines = _earlier(file, toy=toy)
    new = {part: figures for part, figures in results.items() if _measured(figures) or part not in known}
    known, machines = known | new, machines | dict.fromkeys(new, setting)
    content = {"machine": setting, "machines": machines, "toy": toy, "results": known,
               "references": REFERENCES}  # fmt: skip
    file.write_text(json.dumps(content, indent=2) + "\n")
    page = file.with_suffix(".md")
    page.write_text(as_markdown(setting, known, machines, toy=toy))
    print(page, flush=True)


def _earlier(file: Path, *, toy: bool) -> tuple[dict[str, Figures], dict[str, dict[str, Any]]]:
    """What an earlier call measured, and with what; toy sizes and real ones do not mix."""
    content = json.loads(file.read_text()) if file.is_file() else {"toy": None}
    if content["toy"] is not toy:
        return {}, {}
    measured = {part: figures for part, figures in content["results"].items() if _measured(figures)}
    machines = content.get("machines", {})
    return measured, {part: machines.get(part, content["machine"]) for part in measured}


def _measured(figures: Figures) -> bool:
    return not figures.keys() & {"skipped", "failed"}


def as_markdown(
    setting: dict[str, Any], results: dict[str, Figures], machines: dict[str, dict[str, Any]], *, toy: bool
) -> str:
    """A table a part; a part of an earlier call says what it was measured with."""
    lines = [f"# {setting['card']}", ""]
    if toy:
        lines += ["**Toy sizes: this shows that the parts run, and says nothing about speed.**", ""]
    lines += [f"`python benchmarks/gpu.py{' --toy' if toy else ''}`. Of the last call: {_told(setting)}", ""]
    for part, figures in results.items():
        lines += [f"## {part}", ""]
        lines += [f"Of an earlier call: {_told(machines[part])}.", ""] if machines[part] != setting else []
        lines += ["| | |", "|---|---:|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in figures.items()]
        lines += ["", *([REFERENCES[part] + ".", ""] if part in REFERENCES else [])]
    return "\n".join(lines)


def _told(setting: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in setting.items() if key != "card")


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else "not known" if value is None else str(value)
