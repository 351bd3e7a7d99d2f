"""Copies of a model, each a process: all requests, no more GPUs than there are, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from helpers import copied_backend
from helpers.copied_backend import config_of, named

from ds2.base.errors import UserError
from ds2.config import ChatRuntime
from ds2.models.chat import AnswerForm, ChatRequest, Place
from ds2.models.chat.local.vllm_copies import open_copies, shares


def request(key: str) -> ChatRequest:
    return ChatRequest(key, ({"role": "user", "content": "x"},))


def test_every_request_is_answered_once_by_one_of_the_copies_in_every_round(tiny_model, tmp_path):
    rounds = [[f"{r}-{i}" for i in range(count)] for r, count in enumerate((5000, 0, 7))]
    with open_copies(
        named, config_of(tiny_model), AnswerForm(), None, Place(tmp_path), ["0,1", "2,3"]
    ) as backend:
        answers = [list(backend.answers(map(request, keys))) for keys in rounds]
        assert backend.count_tokens("abc") == 3
    assert [sorted(answer.key for answer in each) for each in answers] == [sorted(keys) for keys in rounds]
    said = {answer.text for answer in answers[0]}
    assert sorted(text.split()[1] for text in said) == ["0,1", "2,3"]
    assert str(os.getpid()) not in {text.split()[0] for text in said}


def test_what_a_copy_cannot_do_is_said_in_its_words(tiny_model, tmp_path):
    opened = open_copies(
        copied_backend.unloadable, config_of(tiny_model), AnswerForm(), None, Place(tmp_path), [None, None]
    )
    with pytest.raises(UserError, match="chat.model=x cannot be loaded: it is broken"), opened:
        pass


def test_a_copy_that_ends_is_one_clear_line(tiny_model, tmp_path):
    with (
        open_copies(
            named, config_of(tiny_model), AnswerForm(), None, Place(tmp_path), [None, None]
        ) as backend,
        pytest.raises(UserError, match=r"a process of chat\.model=.* ended \(exit code 3\)"),
    ):
        list(backend.answers([request("a"), request("die"), request("b")]))


def test_copies_end_with_the_process_that_is_killed(tiny_model, tmp_path):
    command = [sys.executable, "-m", "helpers.copied_backend", str(tiny_model), str(tmp_path)]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as child:
        assert child.stdout is not None
        copies = child.stdout.readline().split()
        child.send_signal(signal.SIGKILL)
    assert len(copies) == 2
    until = time.monotonic() + 20
    while alive := [pid for pid in copies if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"{alive} are still there"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("gpus", "visible", "runtime", "expected"),
    [
        (0, None, {}, [None]),
        (0, None, {"data_parallel": 2}, [None, None]),
        (1, None, {}, [None]),
        (4, None, {"data_parallel": 1}, [None]),
        (4, None, {}, ["0", "1", "2", "3"]),
        (4, None, {"tensor_parallel": 2}, ["0,1", "2,3"]),
        (3, None, {"tensor_parallel": 2}, [None]),
        (2, "5, 7", {}, ["5", "7"]),
        (2, "GPU-a,GPU-b", {"data_parallel": 2}, ["GPU-a", "GPU-b"]),
    ],
)
def test_gpus_are_shared_out_among_the_copies(monkeypatch, gpus, visible, runtime, expected):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert shares(replace(config_of("m"), runtime=ChatRuntime(**runtime))) == expected


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        ({"data_parallel": 3}, "3 copies on chat.runtime.tensor_parallel=1 GPUs each need more than the 2"),
        (
            {"tensor_parallel": 4},
            "1 copies on chat.runtime.tensor_parallel=4 GPUs each need more than the 2",
        ),
        ({"data_parallel": 0}, "must be at least 1"),
    ],
)
def test_more_gpus_than_there_are_is_one_clear_line(monkeypatch, runtime, words):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=words):
        shares(replace(config_of("m"), runtime=ChatRuntime(**runtime)))
