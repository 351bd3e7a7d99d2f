"""The authors' numbers as cells of our tables: by model, budget, method, rater and task, whatever the pool is
called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ds2.config.stages import Key
from ds2.report.table_rows import Published
from experiments import published

TASKS = {
    "mmlu": "mmlu", "truthfulqa": "paper_truthfulqa", "gsm8k": "paper_gsm8k", "bbh": "paper_bbh",
    "tydiqa": "paper_tydiqa", "average": "average",
}  # fmt: skip
"""Column of the CSVs -> task of `conf/eval/paper.yaml`."""
METHODS = {"ds2": "ds2 (rank)"}
"""Where a method of the CSVs has another name in our tables."""
RATERS = {"mistral_7b": ("mistral_7b", "mistral_7b_v0_3")}
"""A rater of the CSVs -> its names here: of the released score files, of `conf/rater`."""
UNBUDGETED = ("base", "full")
MODEL = "llama_3_1_8b"
"""Base model of the CSVs that name none."""


@dataclass(frozen=True)
class PublishedCells:
    """What is printed for cells of a table, and where."""

    values: Mapping[tuple[Key, str], Published]
    sources: tuple[str, ...]
    """CSV and provenance of what is in `values`."""

    def notes(self) -> list[str]:
        """Where the numbers come from."""
        return [f"Printed in brackets: {source}." for source in self.sources]


def main_table() -> PublishedCells:
    """Table 3, as far as it could be had; 10,000 samples of other methods from Figure 5."""
    scaling, by_benchmark = published.read("data_scaling"), published.read("data_scaling_by_benchmark")
    return _joined(
        {
            "data_scaling_by_benchmark.csv": _over_seeds(by_benchmark[by_benchmark["budget"] == 10000]),
            "data_scaling.csv": _means(scaling[scaling["budget"].isin([0, 10000, 300932])]),
            "main_table_averages.csv": published.read("main_table_averages"),
            "main_table_mistral_7b_base.csv": published.read("main_table_mistral_7b_base"),
        }
    )


def data_scaling() -> PublishedCells:
    """Figure 5, and, of one rater, each benchmark."""
    return _joined({
        "data_scaling_by_benchmark.csv": _over_seeds(published.read("data_scaling_by_benchmark")),
        "data_scaling.csv": _means(published.read("data_scaling")),
    })  # fmt: skip


def _over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows a seed -> a row a method, rater and budget: mean and standard deviation of each benchmark."""
    cells = frame.groupby(["method", "rater", "budget", *published.PROVENANCE], dropna=False)[list(TASKS)]
    averaged = cells.mean().join(cells.std().add_suffix("_std")).reset_index()
    return averaged.assign(
        provenance=averaged["provenance"] + "; mean and std over the two or three seeds it has"
    )


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"average_mean": "average"})


def _joined(tables: Mapping[str, pd.DataFrame]) -> PublishedCells:
    """Several tables as one; the later has the last word."""
    values: dict[tuple[Key, str], Published] = {}
    sources: dict[tuple[Key, str], str] = {}
    for name, frame in tables.items():
        for row in frame.to_dict("records"):
            for column, task in TASKS.items():
                if pd.isna(row.get(column)):
                    continue
                std = row.get(f"{column}_std")
                cell = Published(
                    float(row[column]),
                    None if std is None or pd.isna(std) else float(std),
                    row["second_hand"] == "yes",
                )
                for key in _keys(row):
                    values[key, task] = cell
                    sources[key, task] = f"experiments/published/{name}, {row['provenance']}"
    return PublishedCells(values, tuple(dict.fromkeys(sources.values())))


def _keys(row: Mapping[str, object]) -> list[Key]:
    method, rater = str(row["method"]), row.get("rater")
    if float(str(row["budget"])) in (0, 300932) and method not in UNBUDGETED:
        method = "base" if float(str(row["budget"])) == 0 else "full"  # where a curve begins and ends
        rater = None
    budget = None if method in UNBUDGETED else f"{float(str(row['budget'])):g}"
    raters: tuple[object, ...] = (None,) if pd.isna(rater) else RATERS.get(str(rater), (rater,))
    return [(row.get("base_model", MODEL), budget, METHODS.get(method, method), name) for name in raters]
