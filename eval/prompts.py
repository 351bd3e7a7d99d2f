"""Prompts longer than the model takes: noticed where they are built, and made to fit before they are asked.

lm-eval would cut them from the left without a word: the instructions and the first examples go. Here each
is counted; what is asked, and kept among the samples, is what fits. A prompt of a generating task has the
context less what may be generated; of a task that compares choices, the context less the longest choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ds2.base.errors import UserError
from ds2.config import LongPrompts


class TooLong(UserError):
    """A prompt is longer than the model takes, and `eval.on_long_prompts=fail`."""


@dataclass
class Fitting:
    """Makes the prompts of one task fit, and counts those that did not."""

    lm: Any
    task: str
    policy: LongPrompts
    cut: int = 0
    """Prompts that lost their beginning."""
    shortened: int = 0
    """Prompts asked with fewer examples."""

    def watch(self, member: Any) -> None:
        """Let a task of lm-eval (a member, where `task` is a group) build only prompts that fit.

        Raises UserError where it generates as many tokens as the model takes, or more.
        """
        if member.OUTPUT_TYPE == "loglikelihood_rolling":
            return  # read in windows, nothing is cut
        room = self.lm.max_length + 1  # the last token of a choice is not read, only expected
        if member.OUTPUT_TYPE == "generate_until":
            generated = _generated(member, self.lm)
            room = self.lm.max_length - generated
            if room <= 0:
                raise UserError(
                    f"it generates up to {generated} tokens, and the model takes {self.lm.max_length} in all"
                )
        member.fewshot_context = partial(self._build, member, member.fewshot_context, room)

    def _build(
        self, member: Any, build: Callable[..., Any], room: int, doc: Any, num_fewshot: int, **options: Any
    ) -> Any:
        prompt = build(doc, num_fewshot=num_fewshot, **options)
        ending = _longest_choice(member, doc)
        if self._fits(prompt, ending, room):
            return prompt
        if self.policy is LongPrompts.fail:
            raise TooLong(
                f"eval.on_long_prompts=fail: a prompt of {self.task} has {self._length(prompt, ending)} "
                f"tokens, and the model takes {room} of it; choose warn or drop_shots, or a model of longer "
                "context"
            )
        if self.policy is LongPrompts.drop_shots:
            fewer = self._with_fewer(member, partial(build, doc, **options), num_fewshot, ending, room)
            if fewer is not None:
                self.shortened += 1
                return fewer
        self.cut += 1
        if isinstance(prompt, list):
            return [self._cut(text, ending, room) for text in prompt]
        return self._cut(prompt, ending, room)

    def _with_fewer(
        self, member: Any, build: Callable[..., Any], shots: int, ending: str, room: int
    ) -> Any | None:
        """The prompt with as many examples as fit; the examples of later questions stay what they are."""
        if shots == 0:
            return None
        drawn = member.sampler.rnd.getstate()
        try:
            for fewer in range(shots - 1, -1, -1):
                prompt = build(num_fewshot=fewer)
                if self._fits(prompt, ending, room):
                    return prompt
        finally:
            member.sampler.rnd.setstate(drawn)
        return None

    def _fits(self, prompt: Any, ending: str, room: int) -> bool:
        texts = prompt if isinstance(prompt, list) else [prompt]
        # A token is a byte at least, but for one that the tokenizer may put before all.
        longest = max(len((text + ending).encode()) for text in texts)
        return longest < room or self._length(prompt, ending) <= room

    def _length(self, prompt: Any, ending: str) -> int:
        texts = prompt if isinstance(prompt, list) else [prompt]
        return max(len(self.lm.tok_encode(text + ending)) for text in texts)

    def _cut(self, text: str, ending: str, room: int) -> str:
        """The end of the text, as much as fits."""
        ids = self.lm.tok_encode(text)
        surplus = self._length(text, ending) - room
        while surplus < len(ids):
            kept: str = self.lm.tokenizer.decode(ids[surplus:])
            over = self._length(kept, ending) - room
            if over <= 0:
                return kept
            surplus += over  # what is left may be other tokens than it was
        return ""


def _generated(member: Any, lm: Any) -> int:
    from lm_eval.models.utils import normalize_gen_kwargs

    return int(normalize_gen_kwargs(member.config.generation_kwargs or {}, lm.max_gen_toks)["max_gen_toks"])


def _longest_choice(member: Any, doc: Any) -> str:
    """What follows a prompt at most, for a task that compares choices; nothing where it generates."""
    if member.OUTPUT_TYPE == "generate_until":
        return ""
    if member.OUTPUT_TYPE == "multiple_choice" and not member.multiple_input:
        endings = [str(choice) for choice in member.doc_to_choice(doc)]
    else:
        endings = [str(member.doc_to_target(doc))]
    return str(member.config.target_delimiter) + max(endings, key=len)
