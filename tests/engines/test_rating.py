"""Rating by the real vLLM engine, in this process and served; and through `transformers serve`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from engines.conftest import serving
from helpers.fake_backend import pool_of

from ds2.base.errors import MissingInput
from ds2.config import ChatBackend, LlmRaterConfig, RaterRuntime, Reading, ScaleConfig
from ds2.models.chat import Answer, Backend, ChatRequest, Place, open_backend
from ds2.rating import by_model
from ds2.rating.prompt import answer_form

TEXTS = [f"conversation {i}" for i in range(10)]


@pytest.fixture(scope="module")
def config(rater_model: Path) -> LlmRaterConfig:
    return LlmRaterConfig(
        name="tiny",
        backend=ChatBackend.vllm,
        model=str(rater_model),
        temperature=1.0,
        max_prompt_tokens=3500,
        retries=0,
        runtime=RaterRuntime(batch_size=4),
    )


def rate(config: LlmRaterConfig, folder: Path) -> by_model.Ratings:
    return by_model.rate(
        config, pool_of(TEXTS), ScaleConfig(), model={"content": "tiny"}, revision=None, folder=folder,
        progress=False
    )  # fmt: skip


def test_a_random_model_is_held_to_the_schema(config: LlmRaterConfig, tmp_path: Path) -> None:
    rated = rate(config, tmp_path)
    report = rated.details.report
    assert report.total["parsed"] == len(TEXTS)
    assert ((rated.details.criteria >= 1) & (rated.details.criteria <= 10)).all()
    assert report.cached_tokens > 0.5 * report.prompt_tokens  # all but the first share the instructions


def test_expected_ratings_equal_those_of_transformers(config: LlmRaterConfig, tmp_path: Path) -> None:
    expected = replace(config, reading=Reading.expected)
    by_vllm = rate(expected, tmp_path / "vllm")
    by_transformers = rate(replace(expected, backend=ChatBackend.transformers), tmp_path / "transformers")
    np.testing.assert_allclose(by_vllm.details.distribution.sum(axis=1), 1, atol=1e-5)
    # vLLM rounds this model to bfloat16 on a CPU, transformers keeps its float32.
    np.testing.assert_allclose(by_vllm.ratings, by_transformers.ratings, atol=0.15)


def test_two_copies_share_the_requests(config: LlmRaterConfig, tmp_path: Path) -> None:
    two = replace(config, runtime=RaterRuntime(batch_size=2, data_parallel=2), reading=Reading.expected)
    with _opened(two, tmp_path) as backend:
        requests = [ChatRequest(text, ({"role": "user", "content": text},), 0) for text in TEXTS]
        answers: list[Answer] = list(backend.answers(requests))
    assert sorted(answer.key for answer in answers) == sorted(TEXTS)


_HOLD = """
import sys, time
from pathlib import Path
from ds2.config import ChatBackend, ChatConfig
from ds2.models.chat import AnswerForm, Place, open_backend
config = ChatConfig(backend=ChatBackend.vllm, model=sys.argv[1])
with open_backend(config, AnswerForm(), None, Place(Path(sys.argv[2]))):
    print("open", flush=True)
    time.sleep(600)
"""


def test_a_killed_process_leaves_no_engine_behind(rater_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(rater_model), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert any(line == "open\n" for line in holder.stdout)
        engine = psutil.Process(holder.pid).children(recursive=True)
        holder.kill()
    assert len(engine) > 2
    _, alive = psutil.wait_procs(engine, timeout=90)
    assert not alive


def test_a_model_that_is_not_there_is_one_clear_line(config: LlmRaterConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        pytest.raises(MissingInput, match=r"rater\.model=.*cannot be loaded"),
        _opened(replace(config, model=str(tmp_path / "empty")), tmp_path),
    ):
        pass


def test_the_command_rates_with_vllm(rate, rater_model: Path) -> None:
    code, output, report = rate(
        "rater=llama_3_1_8b", f"rater.model={rater_model}", "rater.max_prompt_tokens=3500"
    )
    assert code == 0, output
    assert report["parsed"] == 24


def test_the_command_rates_through_vllm_serve(rate, rater_model: Path, tmp_path: Path) -> None:
    # What `vllm serve` starts; that command itself asks for a distribution `vllm`, which the CPU build is
    # not.
    server = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--max-model-len", "3900"]
    command = [*server, "--model", str(rater_model), "--served-model-name", "tiny"]
    with serving(command, "/health", tmp_path / "server.log") as address:
        options = [
            "rater=openai_compatible",
            f"rater.base_url={address}/v1",
            "rater.temperature=1",
            "rater.max_new_tokens=300",
        ]
        code, output, _ = rate(*options, "rater.model=nobody")
        assert code == 2
        assert "has no model nobody; it has: tiny" in output
        code, output, report = rate(*options, "rater.model=tiny")
    assert code == 0, output
    assert report["parsed"] == 24


def test_a_server_that_ignores_schemas_leaves_samples_unrated_aloud(
    rate, rater_model: Path, tmp_path: Path
) -> None:
    command = [
        str(Path(sys.executable).with_name("transformers")), "serve", str(rater_model), "--device", "cpu",
    ]  # fmt: skip
    with serving(command, "/health", tmp_path / "server.log") as address:
        options = [
            "rater=openai_compatible",
            f"rater.base_url={address}/v1",
            f"rater.model={rater_model}",
            "rater.max_new_tokens=20",
            "rater.retries=1",
            "rater.runtime.concurrency=4",
        ]
        code, output, _ = rate(*options)
        assert code == 2, output
        assert "left 24 of 24 samples unrated, more than rater.max_unrated=0.05" in output
        code, output, report = rate(*options, "rater.max_unrated=1")
    assert code == 0, output
    assert sum(report["by_source"][s][o] for s in report["by_source"] for o in report["by_source"][s]) == 24
    assert report["parsed"] == 0


@contextmanager
def _opened(config: LlmRaterConfig, folder: Path) -> Iterator[Backend]:
    with open_backend(config, answer_form(config.reading), None, Place(folder)) as backend:
        yield backend
