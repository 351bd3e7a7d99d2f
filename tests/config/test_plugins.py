"""A plugin adds choices without touching the clone: the example of docs/plugins.md, run as a person would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from helpers.hostile import TARGETS, changed
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.cli import main as cli
from ds2.config import plugins
from ds2.config.base import SCHEMAS
from ds2.config.compose import compose
from ds2.config.hydra_errors import explain
from ds2.runs.chain import Chain

PAGE = project_root() / "docs" / "plugins.md"
FILES = dict(
    re.findall(r"^`(my_pkg/\S+)`\n\n```\w+\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
)
"""File name -> content, as the page prints them."""
STUDY = dict(
    re.findall(r"^`(my_study/\S+)`\n\n```\w+\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
)
"""The same of the second package."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with the plugin and a pool whose answers have 1, 11, 21, ... letters."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"instruction": f"question {i}", "output": "x" * (10 * i + 1), "true_score": i % 6} for i in range(24)
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return write_package(tmp_path)


@pytest.fixture
def in_process(folder, monkeypatch) -> Iterator[Path]:
    """The same, for this process, which forgets the plugin afterwards."""
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    before = {group: dict(schemas) for group, schemas in SCHEMAS.items()}
    yield folder
    SCHEMAS.clear()
    SCHEMAS.update(before)
    for name in ("my_pkg", "others", "hostile_plugin"):
        sys.modules.pop(name, None)
    plugins.activate([])


def write_package(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def install(folder: Path, version: str) -> None:
    """What pip would leave of the distribution `my-dist` beside the package."""
    info = folder / f"my_dist-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: my-dist\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[ds2.plugins]\nmine = my_pkg\n")


def ds2(*arguments: str, path: Path | None = None) -> str:
    """What the command prints, its errors last; `path`: where Python finds installed packages."""
    paths = [str(project_root()), *([str(path)] if path else [])]
    run = subprocess.run(
        [Path(sys.executable).with_name("ds2"), *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    return run.stdout + run.stderr


RUN = ["pool=jsonl", "pool.path=pool.jsonl", "until=rate", "runtime.progress=false", "tracking=none"]


def records(stage: str) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(Path("artifacts", stage).glob("*/record.json"))]


def test_the_example_is_whole_in_forty_lines():
    assert FILES.keys() == {"my_pkg/__init__.py", "my_pkg/conf/rater/length.yaml"}
    assert sum(line.strip() != "" for content in FILES.values() for line in content.splitlines()) <= 40


def test_the_example_of_the_page_rates_when_it_is_named(folder):
    printed = ds2("plugins=[my_pkg]", "rater=length", "rater.characters=20", *RUN)
    (record,) = records("rate")
    assert re.search(r"rate +computed", printed), printed
    assert record["config"]["rater"] == {
        "kind": "LengthRaterConfig", "unrated": "exclude", "characters": 20,
        "package": "my_pkg", "stage_version": 1,
    }  # fmt: skip
    assert record["versions"]["my_pkg"] == "1.0"
    assert record["counts"]["scores"] == [2, 2, 2, 2, 2, 14]
    code = folder / "my_pkg" / "__init__.py"
    code.write_text(code.read_text().replace("stage_version = 1", "stage_version = 2"))
    assert re.search(r"rate +computed", ds2("plugins=[my_pkg]", "rater=length", "rater.characters=20", *RUN))


def test_a_strategy_and_an_embedder_of_the_page_select(folder):
    write_package(folder, STUDY)
    rows = [json.loads(line) for line in (folder / "pool.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["instruction"] = f"{'Why' if i % 4 else 'How'} so {i}"
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    printed = ds2(
        "plugins=[my_study]", "rater=from_column", "rater.column=true_score", "embedder=letters",
        "selection=openings", "selection.penalty=9", "budget.samples=2", "knn.k=10",
        *(o.replace("until=rate", "until=select") for o in RUN),
    )  # fmt: skip
    assert re.search(r"select +computed", printed), printed
    (chosen,) = Path("artifacts", "select").glob("*/subset.jsonl")
    questions = [json.loads(line)["messages"][0]["content"] for line in chosen.read_text().splitlines()]
    assert {question.split()[0] for question in questions} == {"Why", "How"}


def test_an_installed_plugin_needs_no_name_and_gives_its_distribution_s_version(folder):
    site = folder / "site"
    site.mkdir()
    (folder / "my_pkg").rename(site / "my_pkg")
    install(site, "2.5")
    assert re.search(r"rate +computed", ds2("rater=length", *RUN, path=site))
    assert records("rate")[0]["versions"]["my_pkg"] == "2.5"
    assert re.search(r"rater +│ length +│ my_pkg", ds2("list", "choices", "rater", path=site))
    assert "length (my_pkg)" in ds2("--help", path=site)


@pytest.mark.parametrize(
    "launcher",
    [
        [],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        pytest.param(
            ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"], marks=pytest.mark.slow
        ),
    ],
)
def test_a_multirun_runs_the_plugin_s_choices_under_each_launcher(folder, launcher):
    printed = ds2("-m", "plugins=[my_pkg]", "rater=length,truth", *RUN, *launcher)
    assert "2 of 2 runs done" in printed, printed
    assert {record["config"]["rater"]["kind"] for record in records("rate")} == {
        "LengthRaterConfig",
        "ColumnRaterConfig",
    }


def test_a_sweep_of_the_plugin_runs_and_composes_from_memory(folder):
    sweep = folder / "my_pkg" / "conf" / "sweep" / "mine.yaml"
    sweep.parent.mkdir()
    sweep.write_text("title: Mine\ngrids:\n  - {rater: [length, truth]}\n")
    command = ["sweep=mine", "plugins=[my_pkg]", "budget.samples=9", "selection=alpagasus", *RUN]
    assert "2 of 2 runs done" in ds2(*command)
    (memory,) = Path("artifacts").glob(".composed-*")
    assert "my_pkg:LengthRaterConfig" in memory.read_text()
    assert "2 of 2 runs need nothing" in ds2(*command)
    yaml = folder / "my_pkg" / "conf" / "rater" / "length.yaml"
    yaml.write_text(yaml.read_text() + "characters: 7\n")
    assert "1 of 2 runs need nothing" in ds2(*command), "the memory must not outlive the plugin's YAML"


def broken(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "plugins=[my_pkg] rater=length rater.character=9",
            r"rater\.character: no such key \(did you mean characters\?\)",
        ),
        ("plugins=[my_pkg] rater=length rater.characters=x", r"rater\.characters: Value 'x'"),
        ("plugins=[my_pkg] rater=lenght", r"rater=lenght is unknown \(did you mean length\?\)"),
        ("plugins=[my_pkg] rater=20", r"rater takes a name, one of .*length"),
        (
            "plugins=[nowhere] rater=length",
            r"plugin nowhere cannot be imported: ModuleNotFoundError: No module named",
        ),
        ("plugins=my_pkg rater=length", r"plugins takes a list, plugins=\[my_pkg\]"),
        ("rater=length", r"rater=length is unknown"),
    ],
)
def test_what_is_wrong_with_a_plugin_s_choice_is_said_in_one_line(in_process, arguments, message):
    assert re.search(message, only_line(*arguments.split()))


def only_line(*arguments: str) -> str:
    """The one line of a refusal."""
    with pytest.raises((HydraException, OmegaConfBaseException, UserError)) as caught:
        compose(arguments)
    line = str(caught.value) if isinstance(caught.value, UserError) else explain(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("my_pkg/__init__.py", "import numpy", "import nampy\nimport numpy",
         r"plugin my_pkg cannot be imported: ModuleNotFoundError: No module named 'nampy'"),
        ("my_pkg/__init__.py", '("rater", ', '("raters", ', r"there is no group raters"),
        ("my_pkg/__init__.py", '("rater", ', '("embedder", ', r"LengthRaterConfig is no EmbedderConfig"),
        ("my_pkg/__init__.py", "length_rater", "llm_rater", r"plugin my_pkg: .*Config has that name already"),
        ("my_pkg/__init__.py", "@dataclass\n", "", r"stands above @dataclass, and LengthRaterConfig is none"),
    ],
)  # fmt: skip
def test_a_plugin_that_cannot_be_used_is_named_in_one_line(in_process, name, old, new, message):
    broken(in_process, name, old, new)
    assert re.search(message, only_line("plugins=[my_pkg]"))


def test_a_choice_that_is_there_already_is_refused(in_process):
    (in_process / "my_pkg" / "conf" / "rater" / "truth.yaml").write_text("name: mine\n")
    assert "plugin my_pkg: rater/truth is a choice of ds2 already; rename it" in only_line("plugins=[my_pkg]")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "return Ratings(scores, ",
            "return Ratings(scores[1:], ",
            r"my_pkg:rate must return 24 scores and ratings",
        ),
        (
            "return Ratings(scores, ",
            "return Ratings(scores + 9, ",
            r"my_pkg:rate: scores are integers, 0\.\.5",
        ),
        ("return Ratings(", "return dict(scores=", r"my_pkg:rate returns dict"),
        ('"my_pkg:rate"', '"my_pkg:rates"', r"my_pkg has none called rates"),
    ],
)
def test_what_an_implementation_returns_is_checked(in_process, old, new, message):
    broken(in_process, "my_pkg/__init__.py", old, new)
    chain = Chain(compose(["plugins=[my_pkg]", "rater=length", *RUN]))
    with pytest.raises(UserError, match=message):
        chain.run()


OTHERS = """
from dataclasses import dataclass
import numpy as np
from ds2.config import EmbedderConfig, PoolConfig, register
from ds2.config.selection import FilteredSelectionConfig
from ds2.selection import Choice

@register("pool", "counted_pool")
@dataclass
class CountedPoolConfig(PoolConfig):
    rows: int = 12
    implementation = "others:read"

@register("embedder", "counting_embedder")
@dataclass
class CountingEmbedderConfig(EmbedderConfig):
    implementation = "others:embed"

@register("selection", "first_selection")
@dataclass
class FirstSelectionConfig(FilteredSelectionConfig):
    weights: str = "weights.txt"
    reads = frozenset({"embed"})
    files = ("weights",)
    implementation = "others"

def read(config):
    return ({"instruction": f"q{i}", "output": "a" * (i + 1)} for i in range(config.rows))

def embed(config, pool):
    return [[len(text), 1.0] for text in pool.contents()]

def choose(request):
    assert np.allclose(np.linalg.norm(request.embeddings, axis=1), 1)
    return Choice(np.arange(int(request.budget)), ["first"] * int(request.budget))
"""


def test_a_pool_an_embedder_and_a_strategy_of_a_plugin_make_a_subset(in_process):
    (in_process / "others.py").write_text(OTHERS)
    weights = in_process / "weights.txt"
    weights.write_text("1")
    chosen = ["pool", "embedder", "selection"]
    schemas = dict(zip(chosen, ["counted_pool", "counting_embedder", "first_selection"], strict=True))
    with pytest.raises(HydraException, match="counted"):
        compose(["plugins=[others]", "pool=counted"])  # a module alone has no folder of YAML
    run = ["plugins=[others]", *(f"{group}={name}_schema" for group, name in schemas.items())]
    fixed = [
        "selection.name=first",
        "selection.strategy=first",
        "pool.name=p",
        "embedder.name=e",
        "until=select",
    ]
    chain = Chain(compose([*run, *fixed, "budget.samples=3", "tracking=none", "runtime.progress=false"]))
    result = chain.run()
    assert list(result.stages) == ["embed", "select"]
    assert (result.stages["select"].path / "subset.jsonl").read_text().count("\n") == 3
    before = chain.fingerprint
    weights.write_text("2")
    changed = Chain(compose([*run, *fixed, "budget.samples=3", "tracking=none"]))
    assert changed.fingerprint != before
    assert changed.steps[0].fingerprint == chain.steps[0].fingerprint
    assert changed.steps[1].identity["package"] == "others"


def test_plugins_are_read_from_their_list():
    assert plugins.names(["rater=truth", "plugins=[a, 'b.c']", "+plugins=[a]"]) == [
        *plugins.installed(),
        "a",
        "b.c",
    ]
    with pytest.raises(UserError, match="plugins takes a list"):
        plugins.names(["plugins=a"])


ODD_YAML = {
    "no YAML": (b"name: [a", r"odd.yaml, line 1: no YAML \(.*\)"),
    "tabs": (b"name:\n\t- a", r"odd.yaml, line 2: no YAML"),
    "NUL": (b"name: \x00", r"odd.yaml: no YAML"),
    "Latin-1": ("name: für".encode("latin-1"), r"odd.yaml: no YAML \(not UTF-8\)"),
    "code": (b"name: !!python/object/apply:os.system ['touch evil']", r"odd.yaml, line 1: no YAML"),
    "defaults that are no list": (b"defaults: a", "defaults must be a list"),
    "a choice that is not there": (b"defaults: [nothing]", "nothing"),
    "a list": (b"- a\n- b", "."),
    "a number": (b"7", "."),
    "an alias of itself": (b"a: &a [*a]", r"odd.yaml, line 1: \*a names nothing that stands before it"),
    "an alias bomb": (
        b"a: &a0 x\n"
        + b"".join(b"b%d: &a%d [%s]\n" % (n, n + 1, b",".join([b"*a%d" % n] * 9)) for n in range(7)),
        r"odd.yaml, line \d: more than 20,000 values",
    ),
    "a number of 5,000 digits": (b"name: odd\nk: " + b"9" * 5000, r"odd.yaml, line 2: a number of more than"),
    "nested without end": (b"name: odd\nk: " + b"[" * 5000, r"odd.yaml, line 2: nested more than"),
    "a target": (b"defaults: [simulated_rater_schema, _self_]\nname: odd\n_target_: os.system\n", "_target_"),
}


@pytest.mark.parametrize("kind", ODD_YAML)
def test_a_choice_that_is_damaged_is_refused_in_a_line(in_process, kind):
    content, message = ODD_YAML[kind]
    (in_process / "my_pkg" / "conf" / "rater" / "odd.yaml").write_bytes(content)
    with pytest.raises((UserError, HydraException, OmegaConfBaseException)) as refused:
        compose(["plugins=[my_pkg]", "rater=odd", "pool=jsonl", "pool.path=x", "until=select"])
    assert re.search(message, explain(refused.value)), explain(refused.value)
    assert not Path("evil").exists()


@pytest.mark.parametrize(
    "kind", ["an alias bomb", "a number of 5,000 digits", "nested without end", "no YAML"]
)
@pytest.mark.parametrize(
    ("group", "asked"),
    [
        ("rater", ["rater=odd", "plan=true"]),
        ("rater", ["rater=odd,truth", "plan=true", "-m"]),
        ("sweep", ["sweep=odd"]),
        ("rater", ["sweep=demo", "rater=odd", "plan=true"]),
    ],
)
def test_a_hostile_choice_of_a_folder_is_one_line_of_every_command(
    kind, group, asked, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    content, message = ODD_YAML[kind]
    (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf" / group / "odd.yaml").write_bytes(content)
    assert cli.run([*asked, "--config-dir=conf", "tracking=none"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(message, line), line


def test_a_pipe_in_a_folder_of_choices_is_not_waited_for(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    os.mkfifo(tmp_path / "conf" / "sweep" / "odd.yaml")
    assert cli.run(["sweep=odd", "--config-dir=conf"]) == 2
    assert cli.run(["pool=mini", "seed=1,2", "-m", "--config-dir=conf", "rater=odd"]) == 2
    for line, message in zip(capfd.readouterr().err.splitlines(), ["odd.yaml", "rater=odd"], strict=True):
        assert message in line


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(TARGETS["plugin"].seeds), st.randoms(use_true_random=False))
def test_no_change_of_a_choice_is_more_than_a_line(in_process, seed, rng):
    TARGETS["plugin"].read(changed(seed, TARGETS["plugin"].words, rng), in_process)
