"""The miniature's tokenizer and base model: one format everywhere, a schedule that survives the cap."""

from __future__ import annotations

from itertools import islice

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from ds2.base.errors import UserError  # noqa: E402
from ds2.mini import generate_pool, generate_questions  # noqa: E402
from ds2.mini.corpus import make_batches  # noqa: E402
from ds2.mini.language import is_held_out  # noqa: E402
from ds2.mini.muon import orthogonalize  # noqa: E402
from ds2.mini.pretrain import build, exact_match, rate_factor, schedule_share  # noqa: E402
from ds2.mini.tokenizer import MAX_TOKENS, SPECIAL, word_ids  # noqa: E402
from ds2.models.trained_tokens import set_template  # noqa: E402


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A model of a few steps: enough to be saved, loaded and less surprised than at first."""
    folder = tmp_path_factory.mktemp("model")
    return folder, build(folder, seed=0, steps=40, max_seconds=100, progress=False)


@pytest.fixture(scope="module")
def tokenizer(built):
    return transformers.AutoTokenizer.from_pretrained(built[0])


def test_every_chat_is_known_words_split_between_prompt_and_answer(tokenizer):
    for row in generate_pool(samples=1000, seed=0, num_scores=6):
        prompt, answer = (message["content"] for message in row["messages"])
        chat = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        assert chat == f"<|user|>\n{prompt}\n<|assistant|>\n{answer}<eos>"
        opening = tokenizer.apply_chat_template(
            row["messages"][:1], tokenize=False, add_generation_prompt=True
        )
        assert opening == f"<|user|>\n{prompt}\n<|assistant|>\n"
        whole, start = tokenizer(chat)["input_ids"], tokenizer(opening)["input_ids"]
        assert tokenizer.unk_token_id not in whole
        assert whole[: len(start)] == start
        assert tokenizer.decode(whole[len(start) :], skip_special_tokens=True) == answer
        assert whole[-1] == tokenizer.eos_token_id
        assert len(whole) <= 21 < MAX_TOKENS


def test_fine_tuning_and_the_base_model_write_chats_alike(tokenizer, built):
    other = transformers.AutoTokenizer.from_pretrained(built[0])
    set_template(other, "tulu")
    messages = generate_pool(samples=1, seed=0, num_scores=6)[0]["messages"]
    for rows, opens in [(messages, False), (messages[:1], True)]:
        texts = [
            t.apply_chat_template(rows, tokenize=False, add_generation_prompt=opens)
            for t in (tokenizer, other)
        ]
        assert texts[0] == texts[1]


def test_special_tokens_are_single_tokens(tokenizer):
    for token in SPECIAL:
        assert tokenizer(token)["input_ids"] == [word_ids()[token]]


def test_pre_training_reads_what_the_tokenizer_writes_and_no_held_out_prompt(tokenizer):
    chats = 0
    for batch in islice(make_batches(size=50, seed=0, chunk=2), 20):
        for ids, start in batch:
            opening = tokenizer.decode(ids[:start])
            chat = opening.startswith("<|user|>")
            chats += chat
            prompt = opening.removeprefix("<|user|> ").removesuffix(" <|assistant|>").removesuffix(" =")
            assert not is_held_out(prompt)
            answer = tokenizer.decode(ids[start:-1])
            text = (
                f"<|user|>\n{prompt}\n<|assistant|>\n{answer}<eos>" if chat else f"{prompt} = {answer}<eos>"
            )
            assert tokenizer(text)["input_ids"] == ids
    assert 0.2 < chats / 1000 < 0.3


def test_batches_have_nearly_equal_lengths():
    spread = [len(max(b)[0]) - len(min(b)[0]) for b in islice(make_batches(size=96, seed=0), 32)]
    assert sum(spread) / len(spread) < 2


def test_the_model_loads_and_has_learned(built):
    folder, metrics = built
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert model.num_parameters() == metrics["parameters"] < 500_000
    assert metrics["steps"] == 40
    assert not metrics["reached_cap"]
    assert metrics["clock_led_steps"] == 0
    assert metrics["curve"][-1]["loss"] < 0.8 * metrics["curve"][0]["loss"]
    assert metrics["curve"][-1] == {"step": 40, "loss": metrics["loss"]}
    assert set(metrics["exact_match"]) == {"textbook", "chat"}


def test_the_same_seed_builds_the_same_model(tmp_path):
    losses = [
        build(tmp_path / name, seed=seed, steps=3, max_seconds=100, threads=1, progress=False)["loss"]
        for name, seed in [("a", 0), ("b", 0), ("c", 1)]
    ]
    assert losses[0] == losses[1] != losses[2]


def test_building_leaves_torch_as_it_was(tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    build(tmp_path, seed=0, steps=1, max_seconds=100, progress=False)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_cap_ends_training_early_and_is_recorded(tmp_path):
    metrics = build(tmp_path, seed=0, steps=100_000, max_seconds=1.0, progress=False)
    assert metrics["reached_cap"]
    assert metrics["clock_led_steps"] > 0
    assert 0 < metrics["steps"] < metrics["planned_steps"] == 100_000
    assert metrics["seconds"] < 20
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"max_seconds": 0.0}], ids=str)
def test_no_training_at_all_is_refused(tmp_path, wrong):
    with pytest.raises(UserError):
        build(tmp_path, **{"seed": 0, "steps": 5, "max_seconds": 5.0, "progress": False, **wrong})


@pytest.mark.parametrize("pace", [0.2, 0.7, 1.0])
def test_the_clock_does_not_lead_a_steady_run_that_ends_in_time(pace):
    assert all(schedule_share(i / 100, pace * i / 100) == i / 100 for i in range(101))


def test_the_clock_completes_the_schedule_of_a_run_that_would_end_late():
    shares = [schedule_share(i / 300, i / 100) for i in range(101)]
    assert shares == sorted(shares)
    assert shares[100] == 1


def test_the_learning_rate_rises_then_falls_to_zero():
    rates = [rate_factor(i / 100) for i in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[5] > 0.99
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 1e-9


def test_exact_match_is_what_greedy_generation_gives(built, tokenizer):
    model = transformers.AutoModelForCausalLM.from_pretrained(built[0]).eval()
    questions = generate_questions("new", samples=24, seed=1, pool_seed=0)
    openings = [f"<|user|>\n{q['prompt']}\n<|assistant|>\n" for q in questions]
    said = []
    for opening in openings:
        ids = tokenizer(opening, return_tensors="pt")
        out = model.generate(**ids, max_new_tokens=12, do_sample=False)
        said.append(tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))
    # Ask for what the model says: everything matches then, and nothing when each answer is another word.
    answers = [{**q, "answer": text} for q, text in zip(questions, said, strict=True)]
    ended = [a for a in answers if 0 < len(a["answer"].split()) < 12]
    kept = [f"<|user|> {a['prompt']} <|assistant|>" for a in ended]
    if ended:
        assert exact_match(model, kept, ended)["all"] == 1.0
        wrong = [{**a, "answer": a["answer"] + " fig"} for a in ended]
        assert exact_match(model, kept, wrong)["all"] == 0.0


def test_orthogonalize_drives_singular_values_to_about_one():
    torch.manual_seed(0)
    for shape in [(2, 8, 24), (2, 24, 8)]:
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert values.min() > 0.3
        assert values.max() < 1.3
