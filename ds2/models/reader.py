"""A language model that reads conversations: how surprising an answer is, with and without its question.

A conversation is rendered as `<|role|>` lines (the Tulu format, as fine-tuning sees it). Its tokens are those
of its pieces, so that it is known which belong to an answer; each answer ends in the end-of-sequence token.
For the answer tokens A of a sample and what stands before them Q:

    nll(A | Q) = mean over t of -log p(a_t | Q, a_<t)        tokens beyond max_tokens are cut, at the end
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import MissingInput, UserError
from ds2.config.measured_selection import MeasuredSelectionConfig
from ds2.models.attention import attention_of_any_length
from ds2.models.parts import Part
from ds2.models.pretrained import load_model, load_tokens
from ds2.models.quiet import quiet_transformers
from ds2.pool import Message, Sample

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Encoded:
    """Token ids of one text, and which of them are an answer's."""

    ids: NDArray[np.int64]
    answer: NDArray[np.bool_]


Compute = Callable[[Sequence[Sample]], Part]


@dataclass(frozen=True)
class LanguageModel:
    model: Any
    tokenizer: Any
    max_tokens: int
    batch_size: int

    @property
    def parameters(self) -> int:
        """How many, whichever of them are trained."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def part(self, values: NDArray[np.float64], *read: Sequence[Encoded], shared: int = 0) -> Part:
        """Values of some samples, from these texts."""
        return Part(values, sum(tokens_of(texts) for texts in read), self.parameters, shared)

    def conversation(self, sample: Sample) -> Encoded:
        """The whole conversation, its answers marked."""
        return self._encode(tulu_pieces(sample.messages))

    def answers(self, sample: Sample) -> Encoded:
        """The answers alone, nothing asked."""
        return self._encode([Piece(m.text.strip(), True, True) for m in sample.messages if m.is_answer])

    def _encode(self, pieces: Sequence[Piece]) -> Encoded:
        start = self.tokenizer.bos_token_id
        ids: list[int] = [] if start is None else [start]
        answer = [False] * len(ids)
        for text, is_answer, ends in pieces:
            tokens = (
                self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] if text else []
            )
            if ends and self.tokenizer.eos_token_id is not None:
                tokens = [*tokens, self.tokenizer.eos_token_id]
            ids += tokens
            answer += [is_answer] * len(tokens)
        cut = slice(0, self.max_tokens)
        return Encoded(np.array(ids[cut], dtype=np.int64), np.array(answer[cut], dtype=np.bool_))

    @attention_of_any_length()
    def mean_nll(self, texts: Sequence[Encoded]) -> NDArray[np.float64]:
        """(n,) mean negative log-likelihood of each text's answer tokens; NaN where none is left to
        predict."""
        import torch

        out = np.full(len(texts), np.nan)
        for rows in self._batches(texts):
            ids, mask = self._padded([texts[r] for r in rows])
            with torch.inference_mode():
                logits = self.model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
                loss = torch.nn.functional.cross_entropy(
                    logits.transpose(1, 2), ids[:, 1:], reduction="none"
                ).cpu()
            for row, losses in zip(rows, loss.numpy(), strict=True):
                counted = texts[row].answer[1:]
                if counted.any():
                    out[row] = float(losses[: len(counted)][counted].mean(dtype=np.float64))
        return out

    @attention_of_any_length()
    def weighted_states(self, texts: Sequence[Encoded]) -> NDArray[np.float64]:
        """(n, d) mean of each text's last hidden states, position t (from 1) with weight t; NaN for an empty
        text."""
        import torch

        out = np.full((len(texts), self.model.config.hidden_size), np.nan)
        for rows in self._batches(texts, least=1):
            ids, mask = self._padded([texts[r] for r in rows])
            with torch.inference_mode():
                hidden = self.model(
                    input_ids=ids, attention_mask=mask, output_hidden_states=True
                ).hidden_states[-1]
                weight = mask * torch.arange(1, ids.shape[1] + 1, device=mask.device)
                weight = (weight / weight.sum(dim=1, keepdim=True)).to(torch.float32)
                out[rows] = torch.einsum("btd,bt->bd", hidden.float(), weight).cpu().numpy()
        return out

    def _batches(self, texts: Sequence[Encoded], least: int = 2) -> Iterator[list[int]]:
        """Rows of similar length together, those of at least so many tokens."""
        order = sorted(
            (i for i, t in enumerate(texts) if len(t.ids) >= least), key=lambda i: len(texts[i].ids)
        )
        for at in range(0, len(order), self.batch_size):
            yield order[at : at + self.batch_size]

    def _padded(self, texts: Sequence[Encoded]) -> tuple[Any, Any]:
        import torch

        width = max(len(t.ids) for t in texts)
        ids = np.zeros((len(texts), width), dtype=np.int64)
        mask = np.zeros((len(texts), width), dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text.ids)] = text.ids
            mask[row, : len(text.ids)] = 1
        device = self.model.device
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def tokens_of(texts: Sequence[Encoded]) -> int:
    """Of all texts together."""
    return sum(len(text.ids) for text in texts)


class Piece(NamedTuple):
    """A part of a rendered conversation."""

    text: str
    is_answer: bool
    ends: bool
    """An end token follows: an assistant turn, trained or not."""


def tulu_pieces(messages: Sequence[Message]) -> list[Piece]:
    """A conversation in the Tulu format, in pieces: each role's line, then what it says.

    The same as `ds2/models/templates/tulu.jinja`, which gives one string.
    """
    pieces: list[Piece] = []
    for i, message in enumerate(messages):
        pieces.append(Piece(f"{'' if i == 0 else chr(10)}<|{message.role}|>\n", False, False))
        pieces.append(Piece(message.text.strip(), message.is_answer, message.role == "assistant"))
    return pieces


def load(name: str, revision: str | None, config: MeasuredSelectionConfig) -> LanguageModel:
    """The model, ready to read.

    Raises:
        MissingInput: it cannot be loaded.
        UserError: an unknown dtype, or a size below 1.
    """
    import torch

    if config.dtype not in _DTYPES:
        raise UserError(f"selection.dtype={config.dtype} is unknown: use one of {', '.join(_DTYPES)}")
    for field, value in (
        ("max_tokens", config.max_tokens),
        ("runtime.batch_size", config.runtime.batch_size),
    ):
        if value < 1:
            raise UserError(f"selection.{field}={value} must be at least 1")
    try:
        tokenizer = load_tokens(name, revision)
        with quiet_transformers():
            model = load_model(name, revision, dtype=getattr(torch, config.dtype))
    except (OSError, ValueError) as error:
        raise MissingInput(f"language model {name} cannot be loaded: {str(error).splitlines()[0]}") from error
    device = config.runtime.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    longest = getattr(model.config, "max_position_embeddings", None) or config.max_tokens
    return LanguageModel(
        model.to(device).eval(), tokenizer, min(config.max_tokens, longest), config.runtime.batch_size
    )
