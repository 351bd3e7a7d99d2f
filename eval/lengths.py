"""Prompts of benchmarks against a model's context, before anything is computed.

The prompts are built as the evaluation builds them, worked examples and chat template included, and counted
with the base model's tokenizer. Some of each task are looked at, where the data are at hand, generated or in
`eval.data_dir`, and where the context is small enough for it to matter: it takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.config import EvalConfig, LongPrompts
from eval.data import missing_files

CONTEXT = 4096
"""Tokens; the longest prompts of the paper's benchmarks have fewer."""
GENERATED_CONTEXT = 512
"""The same of the generated questions."""
LOOKED_AT = 10
"""Prompts of a task, and of each member of a group."""
FROM_FILES = ("paper_gsm8k", "paper_bbh", "paper_truthfulqa", "paper_tydiqa")
"""Tasks that read `eval.data_dir`."""


def long_prompts(
    config: EvalConfig, *, base_model: str, revision: str | None, context: int, template: str | None
) -> list[str]:
    """A line for each task with prompts that do not fit, of those looked at.

    Args:
        base_model: a local folder with a tokenizer.
        context: tokens that the model takes.
        template: the chat template that fine-tuning gives it; None: its own.

    Raises:
        UserError: `on_long_prompts=fail` and there is one; a task that generates more than the model takes.
    """
    tasks = [task for task in [*config.tasks, *config.companions] if _looked_at(task, config, context)]
    if not tasks:
        return []
    from ds2.models.trained_tokens import load_tokenizer, set_template
    from eval.prompts import Fitting, TooLong
    from eval.run import quiet_harness, task_manager
    from eval.spec import EvalSpec

    tokenizer = load_tokenizer(base_model, revision)
    if template is not None:
        set_template(tokenizer, template)
    spec = EvalSpec(base_model, revision, adapter=None, output_dir="", seed=0, config=config)
    lines = []
    with quiet_harness():
        manager = task_manager(spec)
        for task in tasks:
            fitting = Fitting(_Reader(tokenizer, context), task, config.on_long_prompts)
            try:
                lines += _line(fitting, _build(manager, fitting, config), config.on_long_prompts)
            except TooLong:
                raise
            except UserError as error:
                raise UserError(f"eval.tasks: {task}: {error}") from error
    return lines


def _looked_at(task: str, config: EvalConfig, context: int) -> bool:
    if task.startswith("mini_"):
        return context < GENERATED_CONTEXT
    folder = config.data_dir
    at_hand = folder is not None and not missing_files([task], Path(folder).expanduser())
    return task in FROM_FILES and at_hand and context <= CONTEXT


def _build(manager: Any, fitting: Any, config: EvalConfig) -> int:
    """Build the prompts of a task, which counts those that do not fit; how many there are."""
    chat = getattr(fitting.lm.tokenizer, "chat_template", None) is not None
    asked = 0
    for member in manager.load([fitting.task])["tasks"].values():
        if member.get_config("num_fewshot") is None:
            member.set_config(key="num_fewshot", value=0)
        member.set_fewshot_seed(seed=config.data_seed)
        fitting.watch(member)
        member.build_all_requests(
            limit=min(config.limit or LOOKED_AT, LOOKED_AT),
            apply_chat_template=chat,
            fewshot_as_multiturn=chat and config.fewshot_as_multiturn,
            chat_template=fitting.lm.apply_chat_template if chat else None,
        )
        asked += len({request.doc_id for request in member.instances})
    return asked


def _line(fitting: Any, asked: int, policy: LongPrompts) -> list[str]:
    long = fitting.cut + fitting.shortened
    if not long:
        return []
    happens = "would lose their beginning" if fitting.cut else "would be asked with fewer examples"
    other = (
        "" if policy is LongPrompts.drop_shots else "; eval.on_long_prompts=drop_shots leaves out examples"
    )
    return [
        f"{long} of {asked} prompts of {fitting.task} that were looked at do not fit the base model's "
        f"context of {fitting.lm.max_length:,} tokens beside the answer and {happens}{other}"
    ]


class _Reader:
    """What of lm-eval's LM the building of prompts asks."""

    max_gen_toks = 256
    """What a task may generate that does not say it: lm-eval's number."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self.tokenizer = tokenizer
        self.max_length = context

    def tok_encode(self, text: str) -> list[int]:
        bos = self.tokenizer.bos_token
        begun = bool(bos) and text.startswith(bos)
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=not begun)
        return ids

    def apply_chat_template(self, history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        text: str = self.tokenizer.apply_chat_template(
            history, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip
        return text
