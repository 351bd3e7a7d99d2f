"""A seed changes what it should and no more: the table of docs/reproducibility.md.

After a change that is meant, write it again: `python tests/runs/test_seeds.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

from ds2.base.paths import project_root
from ds2.config.compose import compose
from ds2.runs.chain import Chain

PAGE = project_root() / "docs" / "reproducibility.md"
STAGES = ("model", "rate", "embed", "knn", "curate", "select", "finetune", "evaluate")
MADE = "the miniature (generated pool, simulated rater, model of its own)"
SEEDS = [
    ("seed", [], MADE),
    ("seed", ["selection=random"], "the same, `selection=random`"),
    ("seed", ["selection=base"], "the same, `selection=base`: nothing is trained"),
    ("seed", ["experiment=mini"], "`experiment=mini`, where each seed has a pool of its own"),
    ("pool.seed", [], MADE),
    ("rater.seed", [], MADE),
    ("curation.seed", [], MADE),
    ("curation.seed", ["curation=posterior", "selection=ds2"], "the same, `curation=posterior`"),
    ("model.seed", [], MADE),
    ("eval.data_seed", [], MADE),
]
"""Option, choices beside, what those are."""


def moved(option: str, beside: list[str], store: Path) -> set[str]:
    """Stages that another value of the option computes anew."""
    common = ["pool.samples=60", f"paths.artifacts={store}", *beside]
    before, after = (
        {step.stage: step.fingerprint for step in Chain(compose([*common, f"{option}={value}"])).steps}
        for value in (1, 2)
    )
    return {stage for stage in before if before[stage] != after[stage]} - {"report"}


def table(store: Path) -> str:
    """The table in Markdown."""
    rows = [f"| option | {' | '.join(STAGES)} | in |", f"|---|{':-:|' * len(STAGES)}---|"]
    for option, beside, text in SEEDS:
        stages = moved(option, beside, store)
        rows.append(f"| `{option}` | {' | '.join('●' if s in stages else ' ' for s in STAGES)} | {text} |")
    return "\n".join(rows)


def test_each_seed_moves_the_stages_that_the_documentation_says(tmp_path):
    assert table(tmp_path) in PAGE.read_text(encoding="utf-8")


def test_the_run_s_seed_leaves_all_up_to_the_subset_alone(tmp_path):
    assert moved("seed", [], tmp_path) == {"finetune", "evaluate"}
    assert moved("seed", ["selection=random"], tmp_path) == {"select", "finetune", "evaluate"}
    assert moved("seed", ["selection=base"], tmp_path) == set()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = re.sub(
            r"(?<=<!-- seeds -->\n).*?(?=<!-- /seeds -->)",
            lambda _: table(Path(folder)) + "\n",
            PAGE.read_text(encoding="utf-8"),
            flags=re.S,
        )
    PAGE.write_text(text, encoding="utf-8")
