"""A whole run with secrets all around it: none is in any file that it writes, nor in what it says."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from helpers.chat_server import GOOD, ChatServer, completion, error, running
from helpers.faults import TUNED, Place
from helpers.planted import planted_rows

pytest.importorskip("openai", reason="openai is not installed")

ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-planted-openai-4f1c9b27d3",
    "HF_TOKEN": "hf_plantedHuggingFace8c2e51aa",
    "WANDB_API_KEY": "planted0wandb0key0" + "7" * 22,
    "AWS_SECRET_ACCESS_KEY": "planted/aws/secret/9d21c8",
    "GITHUB_TOKEN": "ghp_plantedGitHub55aa1207",
    "HTTPS_PROXY": "http://someone:planted-proxy-password@127.0.0.1:9",
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password",
}
SECRETS = {**ENVIRONMENT, "HTTPS_PROXY": "planted-proxy-password"}
IN_DATA = "sk-planted-in-a-row-77b0c1"
"""Stands in a row that is not chosen."""


def say(body: dict, times: int):
    """Repeats what a server knows of a caller, in answers, errors and the model's name."""
    if IN_DATA in body["messages"][-1]["content"]:
        return GOOD.replace("6", "1")
    key = SECRETS["OPENAI_API_KEY"]
    number = sum(map(ord, body["messages"][-1]["content"]))
    if number % 5 == 0 and not times:
        return error(500, f"failed for {key}")
    if number % 5 == 1:
        return completion(f"{GOOD} {key}") | {"model": f"m for {key}", "system_fingerprint": key}
    return GOOD


def holding(folder: Path, secret: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if secret.encode() in path.read_bytes()]


def test_no_secret_is_in_what_a_whole_run_writes_or_says(tmp_path, tally):
    with running(ChatServer(say)) as server:
        options = ("pool=jsonl", "pool.path=pool.jsonl", "budget.samples=20", "rater=openai_compatible",
                   "rater.model=m", f"rater.base_url={server.url}", "rater.retries=1", "model=tiny",
                   "finetune=tiny", "finetune.max_steps=4", "eval=tiny", "paths.wandb=wandb")  # fmt: skip
        place = Place(tmp_path / "place", options, TUNED, environment=ENVIRONMENT, tracking="offline")
        rows = [row | {"note": "kept"} for row in planted_rows(60, 6)]
        rows[7]["messages"][0]["content"] = f"my key is {IN_DATA}, why does it not work?"
        (place.folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        code, said = place.run()
        assert code == 0, said
        assert {headers.get("authorization") for headers in server.headers} == {
            f"Bearer {SECRETS['OPENAI_API_KEY']}"
        }
    for name, secret in SECRETS.items():
        found = [*holding(place.folder, secret), *(["the output"] if secret in said else [])]
        encoded = base64.b64encode(secret.encode()).decode()
        found += holding(place.folder, encoded)
        tally("secret in the environment", name, "nowhere" if not found else ", ".join(found), not found)
    assert any(path.suffix == ".wandb" for path in place.folder.rglob("*"))
    subset = next((place.store / "select").glob("*/subset.jsonl")).read_text()
    assert IN_DATA not in subset
    found = [path for path in holding(place.folder, IN_DATA) if path != "pool.jsonl"]
    tally(
        "secret in a row that is not chosen", "data", "nowhere" if not found else ", ".join(found), not found
    )


RATER = ("rater=openai_compatible", "rater.model=m", "rater.base_url=http://127.0.0.1:9/v1")
TYPED = [
    "+rater.api_key=planted-typed",
    "rater.base_url=http://someone:planted-typed@127.0.0.1:9/v1",
    "rater.base_url=wss://someone:planted-typed@127.0.0.1:9/v1",
    *(f"rater.base_url=http://127.0.0.1:9/v1?{name}=planted-typed" for name in ("api_key", "sig", "code")),
    "paths.store=memory://someone:planted-typed@x/y",
    "paths.store=s3://AKIA:planted-typed@x/y",
    "pool.path=https://127.0.0.1/x.jsonl?X-Amz-Signature=planted-typed",
    "pool.path=s3://AKIA:planted-typed@bucket/x.jsonl",
    "engine.address=ray://someone:planted-typed@127.0.0.1:1",
    "hydra.launcher.setup=['export OPENAI_API_KEY=planted-typed']",
    "+hydra.job.env_set={HF_TOKEN: planted-typed}",
    "rater.name={a: s3://AKIA:planted-typed@bucket/x",
    "rater.base_url=//someone:planted-typed@127.0.0.1:9/v1",
    "rater.base_url=http://someone:planted-typed'x@127.0.0.1:9/v1",
    "rater.base_url=someone:planted-typed@127.0.0.1:9/v1",
    "rater.base_url=http:\\\\someone:planted-typed@127.0.0.1:9/v1",
    "rater.base_url=http://someone:99/planted-typed@host/v1",
    "rater.base_url=http://127.0.0.1:9/v1#key=planted-typed",
]


@pytest.mark.parametrize("many", [False, True], ids=["a run", "a multirun"])
@pytest.mark.parametrize("typed", TYPED)
def test_a_secret_that_was_typed_is_refused_and_not_kept(typed, many, tmp_path, tally):
    key = typed.partition("=")[0]
    options = ["until=rate", "pool=jsonl", "pool.path=pool.jsonl", *RATER]
    options = [o for o in options if not o.startswith(f"{key}=")]
    options += ["engine=ray"] if key == "engine.address" else []
    options += ["-m", "seed=1,2"] if many else []
    options += ["hydra/launcher=submitit_local"] if key == "hydra.launcher.setup" else []
    place = Place(tmp_path / "place", (*options, typed), ("rate",))
    _refused(place, key.lstrip("+"), tally)


YAML = {
    "rater": "defaults: [openai_compatible, _self_]\nmodel: m\nbase_url: http://u:planted-typed@127.0.0.1/v1\n",
    "pool": "defaults: [jsonl, _self_]\npath: s3://AKIA:planted-typed@bucket/x.jsonl\n",
    "experiment": "# @package _global_\nhydra: {job: {env_set: {HF_TOKEN: planted-typed}}}\n",
    "hydra/launcher": "defaults: [submitit_local, _self_]\nsetup: [export HF_TOKEN=planted-typed]\n",
}


@pytest.mark.parametrize("group", YAML)
def test_a_secret_in_a_choice_of_one_s_own_is_refused_and_not_kept(group, tmp_path, tally):
    folder = tmp_path / "choices" / group
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(YAML[group])
    options = ("until=rate", "pool=jsonl", "pool.path=pool.jsonl", *RATER, f"{group}=mine", "-m", "seed=1,2",
               f"--config-dir={tmp_path / 'choices'}")  # fmt: skip
    wanted = [o for o in options if group not in ("rater", "pool") or not o.startswith(("rater.", "pool."))]
    _refused(Place(tmp_path / "place", tuple(wanted), ("rate",)), f"{group} (YAML)", tally)


def _refused(place, where, tally):
    code, said = place.run()
    found = holding(place.folder, "planted-typed")
    fine = code == 2 and not found and "planted-typed" not in said and "Traceback" not in said
    fine = fine and said.strip().count("error ") == 1 and not place.store.exists()
    tally("secret typed", where, "refused, nowhere" if fine else f"{code} {found} {said}", fine)
