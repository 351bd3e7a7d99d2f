"""The paper's released scores, and the scored slice of its pool that is at hand, curated as chains of the
store.

`paths.data` (variable DS2_DATA, default ../shared beside the project) holds

    scores/released_scores.npz   scores 0..5 of three raters for all 300,932 samples, and each sample's source
    pools/ds2_67k.jsonl.gz       67,013 conversations of that pool (Dolly, Alpaca) with the same raters'
    scores

A curation of the slice is an ordinary run of the chain (`curation_overrides`), so it is paid for once and
shared by every experiment that reads it. Such an experiment takes `embedder`, `knn`, `paths` and `runtime`
overrides: what else it runs is the experiment.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.curation import RaterErrors, read_curation, read_uncertainty
from ds2.artifacts.graph import read_graph
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Status
from ds2.base.errors import MissingInput, UserError
from ds2.config.compose import compose
from ds2.method.curation.result import Uncertainty
from ds2.runs.chain import Chain
from experiments.result import Options

RATERS = {"gpt_4o_mini": "GPT-4o-mini", "llama_3_1_8b": "LLaMA-3.1-8B", "mistral_7b": "Mistral-7B"}
"""Name in files -> name in print."""
Scores = NDArray[np.int64]
PAIRS = tuple(itertools.combinations(RATERS, 2))
METHODS = {
    "rank": ["curation=rank", "curation.bootstrap=20"],
    "posterior": ["curation=posterior", "curation.bootstrap=20"],
    "rank_doubled": ["curation=rank", "curation.duplicate_pool=true"],
}
"""Ways to curate -> overrides. `rank_doubled` concatenates the pool with itself first, as the authors' code
does; the bootstrap (20 resamples) serves the stability of the selection."""
NUM_SCORES = 6


@dataclass(frozen=True)
class ReleasedScores:
    """The scores that the authors released, N = 300,932."""

    scores: dict[str, Scores]
    """Rater -> (N,) scores 0..5."""
    source: NDArray[np.int64]
    """(N,) index into `source_names`."""
    source_names: list[str]


@dataclass(frozen=True)
class Slice:
    """The scored slice after curation: every (rater, method) on the same N samples and the same graph."""

    runs: dict[tuple[str, str], RunResult]

    def table(self, rater: str, method: str) -> Any:
        """The curated table of one run: score, curated, long_tail, ..., N rows in pool order."""
        return read_curation(self.runs[rater, method].stages["curate"].path)

    def scores(self, rater: str, method: str) -> NDArray[np.int64]:
        """(N,) scores of a rater: as given (`raw`), or curated by one of `METHODS`."""
        known = self.table(rater, "rank" if method == "raw" else method)
        return known["score" if method == "raw" else "curated"].to_numpy(dtype=np.int64)

    def transition(self, rater: str, method: str) -> NDArray[np.float64]:
        """(K, K) P(rated j | true i) of one run."""
        transition = RaterErrors.read(self.runs[rater, method].stages["curate"].path).transition
        assert transition is not None, "both methods of a single rater estimate one"
        return transition

    def uncertainty(self, rater: str, method: str) -> Uncertainty:
        """Intervals and stability of one run."""
        uncertainty = read_uncertainty(self.runs[rater, method].stages["curate"].path)
        assert uncertainty is not None, "every curation of the slice is bootstrapped"
        return uncertainty

    def neighbors(self) -> NDArray[np.int32]:
        """(N, 96) rows of each sample's nearest neighbours."""
        run = next(iter(self.runs.values()))
        return np.asarray(read_graph(run.stages["knn"].path).neighbors)

    @property
    def num_samples(self) -> int:
        return int(next(iter(self.runs.values())).stages["rate"].record["counts"]["samples"])

    @property
    def embedder(self) -> str:
        return next(iter(self.runs.values())).config.embedder.name

    @property
    def note(self) -> str:
        """What a caption of a figure from the slice must say."""
        return (
            f"N = {self.num_samples:,} (the pool's Dolly and Alpaca rows), embedder {self.embedder}; "
            "not comparable cell by cell with the published 300k"
        )


def released_scores(data: Path) -> ReleasedScores:
    """Raises MissingInput, naming `paths.data`, where the file is absent."""
    with np.load(_existing(data, "scores/released_scores.npz"), allow_pickle=False) as arrays:
        scores = {rater: arrays[rater].astype(np.int64) for rater in RATERS}
        return ReleasedScores(scores, arrays["source"].astype(np.int64), arrays["source_names"].tolist())


def curation_overrides(data: Path, rater: str, method: str) -> list[str]:
    """The arguments of `ds2` that curate the slice's scores of one rater."""
    return [
        "pool=jsonl", f"pool.path={data / 'pools' / 'ds2_67k.jsonl.gz'}",
        f"rater=column_{rater}", *METHODS[method],
        "curation.confidence=${rater.confidence}",  # as it stands in the store, under every curation
        "until=curate", "tracking=none",
    ]  # fmt: skip


def data_folder(options: Options, name: str, *, takes: Sequence[str] = ("paths",)) -> Path:
    """`paths.data` of an experiment's command line.

    Args:
        name: the experiment.
        takes: groups of which it takes overrides.

    Raises:
        UserError: an override that would have no effect or change what the experiment is, `--mini`,
            `--launch`.
    """
    if options.mini:
        raise UserError(f"{name} reads real scores and has no miniature: leave --mini out")
    if options.launch:
        raise UserError(f"{name} has no runs of its own to launch: leave --launch out")
    for override in options.overrides:
        if override.lstrip("+~").split("=")[0].split(".")[0] not in takes:
            raise UserError(f"{name} does not take {override}; it takes overrides of {', '.join(takes)}")
    return Path(options.paths.data)


def curated_slice(options: Options, name: str) -> Slice:
    """Curate the slice for every rater and method of `METHODS`, as far as the store does not hold it yet.

    Raises:
        MissingInput: `paths.data` holds no slice.
        UserError: as `data_folder`.
    """
    data = data_folder(options, name, takes=("paths", "embedder", "knn", "runtime"))
    _existing(data, "pools/ds2_67k.jsonl.gz")
    runs = {}
    for rater, method in itertools.product(RATERS, METHODS):
        run = Chain(compose([*curation_overrides(data, rater, method), *options.overrides])).run()
        runs[rater, method] = run
        new = [stage for stage in run.stages.values() if stage.status is Status.computed]
        if new:
            spent = ", ".join(f"{stage.name} {stage.seconds:.1f} s" for stage in new)
            options.say(f"{RATERS[rater]}, {method}: {spent}")
    return Slice(runs)


def _existing(data: Path, name: str) -> Path:
    path = data / name
    if not path.is_file():
        raise MissingInput(
            f"{path} does not exist: give paths.data (or DS2_DATA), the folder that holds {name}"
        )
    return path
