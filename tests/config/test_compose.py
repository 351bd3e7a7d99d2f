"""Every YAML composes, says how to use it, and refuses what it does not know."""

from __future__ import annotations

import re

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config import CurationMethod, ModelConfig, RunConfig
from ds2.config.compose import admit, admit_launcher, compose
from ds2.config.hydra_errors import explain
from ds2.config.stages import check
from ds2.config.sweep import load_sweep

CONF = project_root() / "conf"
CHOICES = sorted(
    (p.parent.name, p.stem if p.suffix == ".yaml" else p.name)
    for p in CONF.glob("*/*.yaml")
    if p.parent.name not in ("sweep", "hydra")
)
SWEEPS = sorted(p.stem for p in (CONF / "sweep").glob("*.yaml"))
NEEDED = {
    ("pool", "jsonl"): ["pool.path=p.jsonl"],
    ("pool", "parquet"): ["pool.path=p.parquet"],
    ("pool", "hub"): ["pool.dataset=a/b"],
    ("rater", "released"): ["rater.path=s.npy"],
    ("rater", "from_column"): ["rater.column=score"],
    ("rater", "several"): ["rater.columns=[a,b]"],
    ("rater", "panel"): ["rater.raters=[truth,simulated_mistral_7b]"],
    ("rater", "openai_compatible"): ["rater.model=m"],
    ("rater", "azure_openai"): ["rater.model=deployment"],
    ("rater", "local"): ["rater.model=org/model"],
    ("embedder", "server"): ["embedder.model=m"],
    ("selection", "multi_rater"): ["rater.columns=[a,b]"],
    ("selection", "precomputed"): ["selection.path=influence.npy"],
    ("selection", "less"): ["selection.target=target.jsonl"],
    ("selection", "rds_plus"): ["selection.target=target.jsonl"],
    ("rater", "simulated"): ["rater.matrix=[[0.9,0.1],[0.2,0.8]]"],
    ("model", "local"): ["model.path=folder"],
}


def refusal(*overrides: str) -> str:
    """The one line that a person gets."""
    with pytest.raises((HydraException, OmegaConfBaseException, UserError)) as caught:
        check(compose(overrides))
    return explain(caught.value) if not isinstance(caught.value, UserError) else str(caught.value)


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_to_dataclasses(group, choice):
    config = compose([f"{group}={choice}", *NEEDED.get((group, choice), [])])
    assert isinstance(config, RunConfig)
    check(config)
    assert isinstance(config.model, ModelConfig)


@pytest.mark.parametrize("path", sorted(CONF.glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_yaml_opens_with_the_command_that_uses_it(path):
    head = [line for line in path.read_text().splitlines() if line.startswith("#") and "@package" not in line]
    assert re.match(rf"# (ds2|python -m|accelerate) .*({path.stem}|{path.parent.name})", head[0]), head[:1]


@pytest.mark.parametrize("name", SWEEPS)
def test_every_run_of_every_sweep_composes(name):
    runs = load_sweep(name).runs()
    assert runs
    for overrides in {tuple(o for o in run if not o.startswith("seed=")) for run in runs}:
        check(compose(overrides))


def test_the_paper_s_choices_are_there_by_name():
    present = {group: {choice for g, choice in CHOICES if g == group} for group, _ in CHOICES}
    assert {"llama_3_1_8b", "mistral_7b_v0_3", "gemma_2_9b", "phi_3_5_mini", "gpt_4o_mini"} <= present[
        "rater"
    ]
    assert {"llama_3_1_8b", "mistral_7b_v0_3", "llama_2_7b", "llama_3_2_3b"} <= present["model"]
    assert {"2.5k", "5k", "10k", "20k", "40k"} <= present["budget"]
    assert {"tulu_300k", "cured_gpt_4o_mini"} <= present["pool"]


def test_experiment_paper_has_the_paper_s_hyper_parameters():
    run = compose(["experiment=paper"])
    tuning = run.finetune
    assert (tuning.rank, tuning.alpha, tuning.dropout, tuning.learning_rate) == (64, 16, 0.1, 1e-4)
    assert (tuning.schedule, tuning.warmup_ratio, tuning.weight_decay, tuning.epochs) == (
        "linear",
        0.03,
        0.0,
        5,
    )
    assert (tuning.total_batch, tuning.max_tokens, tuning.dtype) == (128, 2048, "bfloat16")
    assert tuning.target_modules == ["all-linear"]  # in LLaMA and Mistral the paper's seven projections
    assert (run.curation.method, run.curation.k, run.curation.confidence) == (CurationMethod.rank, 10, 0.5)
    assert (run.scale.low, run.scale.high, run.scale.num_scores) == (4, 9, 6)
    assert run.budget.samples == 10_000
    assert run.embedder.model == "BAAI/bge-large-en-v1.5"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget.sample=3"], r"budget\.sample: no such key \(did you mean samples\?\)"),
        (["budget.samples=abc"], r"budget\.samples: .*'abc'.*Float"),
        (["knn.k=1.5"], r"knn\.k: .*Integer"),
        (["finetune.base_url=x"], r"finetune\.base_url: no such key"),
        (["rater=truth", "rater.base_url=x"], r"rater\.base_url: no such key"),
        (["rater=simulated"], r"rater\.matrix is missing: give rater\.matrix=VALUE"),
        (["rater=simulated", "rater.published=mistral_7b"], r"rater\.published: no such key"),
        (
            ["rater=openai_compatible", "rater.model=m", "rater.reading=text"],
            r"rater\.reading: .*text.*expected",
        ),
        (["rater=gpt5"], r"rater=gpt5 is unknown.*there are: .*gpt_4o_mini"),
        (["budgets=1k"], r"budgets: no such"),
        (["until=selekt"], r"until: .*selekt.*select"),
        (["pool=jsonl"], r"pool\.path is missing: give pool\.path=VALUE"),
        (["curation=rank", "selection=ds2_without_curation"], r"presumes curation=none, not rank"),
        (["curation=rank", "selection=ds2_posterior"], r"presumes curation=posterior, not rank"),
        (["rater=simulated_mistral_7b", "selection=oracle"], r"presumes rater=truth"),
        (["scale.low=5", "scale.high=5"], r"give 1 score levels; 2 to 11"),
        (["budget.samples=0"], r"budget\.samples=0 must be"),
        (["budget.samples=1.5"], r"neither a whole number nor a share"),
        (["seed=-1"], r"seed=-1 must not be negative"),
    ],
)
def test_a_wrong_choice_is_refused_in_one_line_that_names_it(overrides, message):
    line = refusal(*overrides)
    assert re.search(message, line), line
    assert "\n" not in line


@pytest.mark.parametrize("selection", ["ds2_without_curation", "ds2_posterior", "oracle"])
def test_presets_set_the_curation_that_they_presume(selection):
    config = compose([f"selection={selection}"])
    assert config.selection.curation is config.curation.method


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("+foo=1", "foo: no such key"),
        ("+rater.nonsense=1", r"rater\.nonsense: no such key; there are: "),
        (
            "+rater.runtime.concurency=1",
            r"rater\.runtime\.concurency: no such key \(did you mean concurrency\?\)",
        ),
        ("++seeed=1", r"seeed: no such key \(did you mean seed\?\)"),
        ("+rater.api_key=sk-1", r"rater\.api_key: no option takes a secret"),
        ("tracking.hf_token=sk-1", r"tracking\.hf_token: no option takes a secret"),
        ("budget.token=sk-1", r"budget\.token: no such key \(did you mean budget\.tokens\?\)$"),
        ("+finetune.max_token=sk-1", r"finetune\.max_token: no such key \(did you mean finetune\.max_tok"),
        ("rater.max_new_token=sk-1", r"rater\.max_new_token: no such key \(did you mean rater\.max_new_"),
        ("rater.base_url=http://user:pw@host/v1", r"rater\.base_url: no option takes a secret"),
        ("rater.base_url=http://host/v1?sig=pw", r"rater\.base_url: no option takes a secret"),
        ("rater.base_url=wss://user:pw@host/v1", r"rater\.base_url: no option takes a secret"),
        ("paths.store=s3://K:pw@bucket/x", r"paths\.store: no option takes a secret"),
        ("pool.path=['s3://K:pw@bucket/x']", r"pool\.path: no option takes a secret"),
        ("engine.address=ray://u:pw@host:1", r"engine\.address: no option takes a secret"),
        ("+hydra.job.env_set={HF_TOKEN: pw}", r"hydra\.job\.env_set: no option takes a secret"),
        ("hydra.launcher.setup=['export MY_KEY=pw']", r"hydra\.launcher\.setup: no option takes a secret"),
        ("rater.name=${oc.env:HF_TOKEN,pw}", r"rater\.name: no option takes a secret"),
        ("rater.base_url=//user:pw@127.0.0.1:1/v1", r"rater\.base_url: no option takes a secret"),
        ('rater.base_url="http://user:a\',pw b@host/v1"', r"rater\.base_url: no option takes a secret"),
        ("rater.base_url='user:pw@127.0.0.1:1/v1'", r"rater\.base_url: no option takes a secret"),
        ("rater.base_url='http:\\\\user:pw@host/v1'", r"rater\.base_url: no option takes a secret"),
        ("rater.base_url=http://user:99/pw@host/v1", r"rater\.base_url: no option takes a secret"),
        ("rater.base_url='http://host/v1#key=pw'", r"rater\.base_url: no option takes a secret"),
    ],
)
def test_an_added_key_is_refused_like_a_typo_and_a_secret_is_not_repeated(given, message):
    with pytest.raises(UserError, match=message) as refusal:
        compose(["rater=openai_compatible", "rater.base_url=http://h/v1", "rater.model=m", given])
    assert "sk-1" not in str(refusal.value)
    assert "pw" not in str(refusal.value)


@pytest.mark.parametrize(
    ("file", "text", "chosen", "key"),
    [
        (
            "rater/mine.yaml",
            "defaults: [truth, _self_]\nname: http://u:pw@h/v1\n",
            "rater=mine",
            "rater.name",
        ),
        (
            "experiment/mine.yaml",
            "# @package _global_\nhydra: {job: {env_set: {HF_TOKEN: pw}}}\n",
            "experiment=mine",
            "hydra.job.env_set.HF_TOKEN",
        ),
        (
            "experiment/mine.yaml",
            "# @package _global_\npaths: {store: 's3://K:pw@b'}\n",
            "experiment=mine",
            "paths.store",
        ),
    ],
)
def test_a_secret_in_a_yaml_of_one_s_own_is_refused_and_not_repeated(file, text, chosen, key, tmp_path):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=rf"^{re.escape(key)}.*no option takes a secret") as refusal:
        compose([chosen, f"hydra.searchpath=['file://{tmp_path}']"])
    assert "pw" not in str(refusal.value)


def test_a_secret_that_hydra_would_copy_into_its_files_is_refused(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "pw")
    with pytest.raises(UserError, match=r"^hydra\.job\.env_set\.HF_TOKEN: no option takes a secret"):
        admit_launcher(["seed=1,2", "hydra.job.env_copy=[HF_TOKEN]"])


def test_a_secret_that_launches_runs_is_refused(tmp_path):
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "mine.yaml").write_text(
        "_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher\nsetup: [export MY_KEY=pw]\n"
    )
    given = ["seed=1,2", f"hydra.searchpath=['file://{tmp_path}']", "hydra/launcher=mine"]
    with pytest.raises(UserError, match=r"^hydra\.launcher\.setup: no option takes a secret"):
        admit_launcher(given)
    admit_launcher(["seed=1,2"])


def test_a_secret_that_the_environment_would_put_into_an_option_is_refused(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://u:pw@host")
    with pytest.raises(UserError, match=r"^tracking\.uri: no option takes a secret") as refusal:
        compose(["tracking=mlflow"])
    assert "pw" not in str(refusal.value)


@pytest.mark.parametrize(
    "given",
    [
        "rater.name=planted-key-1", "rater.name='a planted-key-1 b'", "+foo=planted-key-1",
        "rater.name=choice(a,planted-key-1)", "+planted-key-1=1", "+foo={planted-key-1: 1}",
    ],
)  # fmt: skip
def test_the_value_of_a_secret_variable_is_refused_where_it_is_typed(given, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "planted-key-1\n")
    with pytest.raises(
        UserError, match=r"no option takes a secret \(here the value of MY_API_KEY\)"
    ) as refusal:
        admit([given])
    assert "planted" not in str(refusal.value)


def test_the_value_of_a_secret_variable_is_refused_however_it_came_into_an_option(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "planted-key-1")
    monkeypatch.setenv("OTHER", "MY_API_KEY")
    with pytest.raises(
        UserError, match=r"^rater\.name: no option .*\(here the value of MY_API_KEY\)"
    ) as refusal:
        compose(["rater=truth", "rater.name='${oc.env:${oc.env:OTHER}}'"])
    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize(
    "given",
    [
        "paths.store=s3://bucket/path", "paths.store=abfs://container@account.dfs.core.windows.net/x",
        "pool.path='C:\\me@work\\x.jsonl'", "rater.model=org/name@v1",
        "rater.base_url='http://[::1]:8000/v1'", "rater.model='llama3:8b@sha256:ab'",
        "rater.name='is it good? (see http://a.b)'",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret_passes(given):
    compose(["pool=jsonl", "pool.path=p.jsonl", "rater=openai_compatible", "rater.model=m", given])


def test_a_known_key_may_be_added():
    assert compose(["++seed=7"]).seed == 7


@pytest.mark.parametrize("key", ["pool.name", "pool.path", "paths.artifacts"])
def test_what_is_no_utf8_is_one_line_with_its_key(key):
    with pytest.raises(UserError, match=rf"{key}=\S*a\\udcff is not UTF-8, in which records") as refused:
        compose(["pool=jsonl", "pool.path=p.jsonl", f"{key}='a\udcff'"])
    assert str(refused.value).isprintable()
