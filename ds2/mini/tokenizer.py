"""The miniature tokenizer: one word, one token; chat in Tulu's format.

Text is split at whitespace, newlines included, so `<|user|>\\nPROMPT\\n<|assistant|>\\nANSWER<eos>` is the
marker, the prompt's words, the marker, the answer's words and the end, and the border between prompt and
answer is always a border between tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ds2.mini.language import vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, END = "<pad>", "<unk>", "<eos>"
USER, ASSISTANT, SYSTEM = "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL: Final = (PAD, UNKNOWN, END, USER, ASSISTANT, SYSTEM)

TULU_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ ('' if loop.first else '\n') + '<|' + message['role'] + '|>\n' + message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '' }}"
    "{% endfor %}"
    "{{ '\n<|assistant|>\n' if add_generation_prompt else '' }}"
)
"""Tulu's chat format, as fine-tuning sets it (`ds2/models/templates/tulu.jinja`), so that the base model is
asked alike.
"""

MAX_TOKENS: Final = 64
"""Positions of the model; the longest conversation of the language has 21 tokens."""


def word_ids() -> dict[str, int]:
    """Token -> id: the special tokens, then the language's words."""
    return {token: i for i, token in enumerate([*SPECIAL, *vocabulary()])}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, as transformers loads it."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(word_ids(), unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        chat_template=TULU_TEMPLATE,
        model_max_length=MAX_TOKENS,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
