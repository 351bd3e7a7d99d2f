"""Table 4 and Figure 6: our subsets beside the 1,030 samples of LIMA, on the benchmarks and before a judge.

The judge is no stage of a run: it asks a paid or served model. Its win rates are read from

    <artifacts>/judge/<bench>/<our adapter>-<LIMA's adapter>/rates.json

where an adapter is named by the fingerprint of its `finetune` stage. `requests` writes the specs of the
comparisons that are not there yet beside it, and says the commands; the prompts of a bench are
`<paths.data>/judge/<bench>.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ds2.artifacts import adapter, base_model
from ds2.artifacts.run import RunResult
from ds2.base.errors import UserError
from ds2.base.json_files import read_json, write_json
from ds2.base.words import number_of
from ds2.report.figures.canvas import ACCENT, MUTED, WARM, new_figure, percent, set_caption, set_title
from experiments import grid, published
from experiments.published_cells import RATERS
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BENCHES = ("mt_bench", "vicuna_bench", "lima_test")
OUTCOMES = {"win": ACCENT, "tie": MUTED, "loss": WARM}
CAPTION = "Table 4 and Figure 6 of the paper: fine-tuned on our 1,000 or 10,000 samples, or on LIMA's 1,030."


@dataclass(frozen=True)
class JudgedPair:
    """Our run and LIMA's, of one base model and seed, on one bench."""

    bench: str
    ours: RunResult
    lima: RunResult
    folder: Path

    @property
    def rates(self) -> dict[str, Any] | None:
        """`rates.json`; None where nobody has asked the judge. Raises UserError where it cannot be read."""
        path = self.folder / "rates.json"
        if not path.is_file():
            return None
        try:
            saved: dict[str, Any] = read_json(path)
            return {**saved, **{name: float(saved[name]["value"]) for name in OUTCOMES}}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is no result of python -m eval judge; delete it and judge again"
            ) from error


def run(options: Options) -> Result:
    """The grid of `sweep=lima` and what the judge said of its runs."""
    swept = grid.look(grid.sweep_name("lima", options, mini=None), options)
    answer = grid.result(swept, caption=CAPTION, name="lima")
    pairs = list(comparisons(swept))
    rates = judged(pairs)
    waiting = [pair for pair in pairs if pair.rates is None]
    compared = number_of(len(pairs), "comparison")
    notes = [*answer.notes, f"judge: {len(pairs) - len(waiting)} of {compared} of finished runs are there"]
    for pair in waiting:
        notes += requests(pair, Path(options.paths.data) / "judge")
    table = Table(
        "lima_judge", rates, "Win, tie, loss against LIMA (%)", dict.fromkeys(rates.columns[5:], ".1f")
    )
    return replace(
        answer, tables=[*answer.tables, table], figures={"lima_judge": draw(rates)}, notes=notes,
        complete=answer.complete and not waiting,
    )  # fmt: skip


def comparisons(swept: grid.Grid) -> Iterator[JudgedPair]:
    """Each of our finished runs with LIMA's of the same base model and seed, on every bench."""
    lima = {(r.config.model.name, r.config.seed): r for r in swept.runs if r.config.selection.name == "lima"}
    for ours in swept.runs:
        other = lima.get((ours.config.model.name, ours.config.seed))
        if other is None or ours is other:
            continue
        for bench in BENCHES:
            name = f"{ours.stages['finetune'].fingerprint}-{other.stages['finetune'].fingerprint}"
            yield JudgedPair(bench, ours, other, swept.root / "judge" / bench / name)


def requests(pair: JudgedPair, prompts: Path) -> list[str]:
    """Write what `python -m eval answer` and `python -m eval judge` need for one comparison; the commands."""
    from ds2.base.dataclass_json import to_plain
    from eval.judge.spec import AnswerSpec, JudgeSpec

    pair.folder.mkdir(parents=True, exist_ok=True)
    commands, answers = [], []
    for run in (pair.ours, pair.lima):
        tuned, model = run.stages["finetune"], run.config.model
        answers.append(pair.folder / f"{tuned.fingerprint}.jsonl")
        spec = AnswerSpec(
            base_model=str(
                getattr(
                    model,
                    "path",
                    base_model.weights(run.stages["model"].path) if "model" in run.stages else "",
                )
            ),
            revision=getattr(model, "revision", None),
            adapter=str(adapter.weights(tuned.path)),
            prompts=str(prompts / f"{pair.bench}.jsonl"),
            output=str(answers[-1]),
            seed=run.config.seed,
            config=run.config.eval,
        )
        commands.append(_spec(pair.folder / f"answer-{tuned.fingerprint}.json", to_plain(spec), "answer"))
    judge = JudgeSpec(first=str(answers[0]), second=str(answers[1]), output_dir=str(pair.folder))
    return [*commands, _spec(pair.folder / "judge.json", to_plain(judge), "judge")]


def _spec(path: Path, content: Any, command: str) -> str:
    write_json(path, content)
    return f"python -m eval {command} {path}"


def judged(pairs: list[JudgedPair]) -> pd.DataFrame:
    """base_model, bench, budget, rater, seeds; ours: win, tie, loss in percent over seeds (NaN: not judged);
    the published ones.
    """
    keys = ["base_model", "bench", "budget", "rater"]
    outcomes = [
        {
            "base_model": pair.ours.config.model.name, "bench": pair.bench,
            "budget": int(pair.ours.config.budget.samples),
            "rater": pair.ours.config.rater.name, **{name: 100 * rates[name] for name in OUTCOMES},
        }
        for pair in pairs
        if (rates := pair.rates) is not None
    ]  # fmt: skip
    printed = published.read("lima_judge").rename(columns={name: f"{name} (paper)" for name in OUTCOMES})
    printed["rater"] = [RATERS.get(rater, (rater,))[-1] for rater in printed["rater"]]
    ours = pd.DataFrame(outcomes, columns=[*keys, *OUTCOMES]).groupby(keys)
    means = ours.mean().assign(seeds=ours.size()).reset_index()
    joined = means.merge(printed[[*keys, *(f"{name} (paper)" for name in OUTCOMES)]], on=keys, how="outer")
    joined["seeds"] = joined["seeds"].fillna(0).astype(int)
    return joined[[*keys, "seeds", *OUTCOMES, *(f"{name} (paper)" for name in OUTCOMES)]]


def draw(rates: pd.DataFrame) -> Figure:
    """A row of panels a base model, a panel a bench: the paper's outcome of each subset, ours above it where
    it was judged.
    """
    models = list(dict.fromkeys(rates["base_model"]))
    figure, axes = new_figure(
        11, 0.6 + 2.7 * len(models), nrows=len(models), ncols=len(BENCHES), sharex=True, sharey="row",
        squeeze=False
    )  # fmt: skip
    for line, model in zip(axes, models, strict=True):
        of_model = rates[rates["base_model"] == model].set_index(["budget", "rater"])
        subsets = of_model.index.unique().sort_values()
        for panel, bench in zip(line, BENCHES, strict=True):
            _draw_outcomes(panel, of_model[of_model["bench"] == bench].reindex(subsets))
        line[0].set_yticks(range(len(subsets)), [f"{rater}, {budget / 1000:g}k" for budget, rater in subsets])
        line[0].invert_yaxis()
        line[0].set_ylabel(model, fontsize=10.5, fontweight="bold")
    for panel, bench in zip(axes[0], BENCHES, strict=True):
        set_title(panel, bench)
    figure.get_layout_engine().set(wspace=0.05)  # 100 % of a panel stays apart from 0 % of the next
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    judged_here = "strong: ours" if rates["seeds"].any() else "ours: none is judged yet"
    set_caption(
        figure,
        f"Judged against LIMA's 1,030 samples, share of the questions. Pale: the paper's; {judged_here}.",
    )
    return figure


def _draw_outcomes(panel: Any, rates: pd.DataFrame) -> None:
    """Stacked shares; rates: a row a bar."""
    places = np.arange(len(rates))
    for suffix, offset in (("", -0.2), (" (paper)", 0.2)):
        start = np.zeros(len(rates))
        for outcome, colour in OUTCOMES.items():
            width = rates[f"{outcome}{suffix}"].fillna(0).to_numpy(float) / 100
            panel.barh(
                places + offset, width, 0.34, left=start, color=colour, alpha=0.55 if suffix else 1,
                label=None if suffix else outcome,
            )  # fmt: skip
            start = start + width
    panel.set_xlim(0, 1)
    panel.tick_params(axis="y", length=0)
    percent(panel.xaxis)
