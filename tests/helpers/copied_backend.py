"""Back ends that other processes open by name: they answer with who they are."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ds2.base.errors import UserError
from ds2.config import ChatBackend, ChatConfig
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.local.vllm_copies import open_copies


class Named:
    """Says its process and its GPUs; ends its process when asked about `die`."""

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        for request in requests:
            if request.key == "die":
                os._exit(3)
            yield Answer(request.key, f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}")

    def count_tokens(self, text: str) -> int:
        raise AssertionError("copies are asked, not counted with")


@contextmanager
def named(config: ChatConfig, form: AnswerForm, revision: str | None, place: Place) -> Iterator[Named]:
    yield Named()


@contextmanager
def unloadable(config: ChatConfig, form: AnswerForm, revision: str | None, place: Place) -> Iterator[Named]:
    raise UserError("chat.model=x cannot be loaded: it is broken")
    yield


def config_of(model: str | Path) -> ChatConfig:
    return ChatConfig(backend=ChatBackend.vllm, model=str(model))


def main() -> None:
    """Open two copies of a model, print their processes, and wait to be killed."""
    model, folder = sys.argv[1:]
    with open_copies(
        named, config_of(model), AnswerForm(), None, Place(Path(folder)), [None, None]
    ) as backend:
        requests = [ChatRequest(str(i), ({"role": "user", "content": "x"},)) for i in range(50)]
        pids = {answer.text.split()[0] for answer in backend.answers(requests)}
        print(*pids, flush=True)
        time.sleep(60)


if __name__ == "__main__":
    main()
