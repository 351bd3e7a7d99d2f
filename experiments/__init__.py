"""The paper as code: one module a table or figure, `python -m experiments NAME`.

A module has `run(options: Options) -> Result` and is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from ds2.base.errors import UserError
from experiments.result import Options, Result

EXPERIMENTS = {
    "main_table": "Table 3: methods, raters and benchmarks, for each base model",
    "data_scaling": "Figure 5: the average against the budget",
    "lima": "Table 4 and Figure 6: beside LIMA, and before a judge",
    "curation_on_baselines": "Table 5: curated scores in other methods",
    "ablations": "ours: without curation, without diversity, posterior, several raters",
    "small_real": "ours: selections on a real small model, at equal tokens",
    "small_real_robust": "ours: the order of those selections under several recipes of fine-tuning",
    "robust": "ours: the order of methods under several recipes of fine-tuning, in miniature",
    "score_distributions": "Figure 2 and the pool table, from the released scores",
    "transition_matrices": "Figure 3: how each rater errs",
    "rater_gap": "Figure 7: how far raters are apart",
    "clusterability": "ours: whether neighbours share their score",
    "selection_stability": "ours: what another resample would choose",
}
"""Module -> its place in the paper."""


class Experiment(Protocol):
    """What a module offers."""

    def run(self, options: Options) -> Result:
        """Compute or look up everything and say it as tables and figures."""


def experiment(name: str) -> Experiment:
    """The module of an experiment. Raises UserError for an unknown name."""
    if name not in EXPERIMENTS:
        raise UserError(f"experiment {name} is unknown; there are: {', '.join(EXPERIMENTS)}")
    return cast(Experiment, importlib.import_module(f"experiments.{name}"))
