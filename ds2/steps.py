"""Each stage as a step: what identifies it, what it reads, how it is computed.

A function here turns the run's configuration into one `Step`; its `compute` closure runs later, when the inputs it names
are finished. The order and the choice of steps are `ds2.pipeline`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds2 import artifacts, launcher
from ds2.artifacts import StageResult
from ds2.config import (
    CurationMethod,
    HubModelConfig,
    LlmRaterConfig,
    MiniModelConfig,
    MiniPoolConfig,
    ReleasedRaterConfig,
    RunConfig,
    SentenceEmbedderConfig,
    SimulatedRaterConfig,
    TinyModelConfig,
)
from ds2.content import ContentHashes
from ds2.plain import to_plain
from ds2.pool import Pool, PoolSource
from ds2.selection.step import measure as measure
from ds2.selection.step import select as select
from ds2.stage import Outcome, Step

if TYPE_CHECKING:
    from ds2.rating.raters import Ratings

_NOT_IDENTITY = {"runtime", "name", "enabled"}
"""Fields that no fingerprint sees: how to execute, and what to call it."""


@dataclass
class Context:
    """One run while it is being built and computed."""

    config: RunConfig
    pool: PoolSource
    hashes: ContentHashes
    steps: dict[str, Step] = field(default_factory=dict)
    results: dict[str, StageResult] = field(default_factory=dict)

    def path(self, stage: str) -> Path:
        """Folder of a finished input."""
        return self.results[stage].path

    def inputs(self, *stages: str, pool: bool = False) -> dict[str, str]:
        """Fingerprints of the inputs that this run has."""
        own = {"pool": self.pool.fingerprint} if pool else {}
        return own | {stage: self.steps[stage].fingerprint for stage in stages if stage in self.steps}

    def named(
        self, name: str, revision: str | None, kind: str = "model"
    ) -> tuple[dict[str, str], str | None]:
        """Identity of a local folder (its content) or of a hub name (its commit), and that commit."""
        if Path(name).expanduser().exists():
            return {"content": self.hashes.of(Path(name))}, None
        from ds2.hub import resolve

        commit = resolve(name, revision, kind=kind, offline=self.config.runtime.offline)
        return {"name": name, "commit": commit}, commit


def identity(config: Any, *, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """A configuration's identity fields, with the kind of configuration it is."""
    kept = [f.name for f in fields(config) if f.name not in _NOT_IDENTITY and f.name not in drop]
    return {"kind": type(config).__name__} | {name: to_plain(getattr(config, name)) for name in kept}


def rate(run: Context) -> Step:
    rater, scale = run.config.rater, run.config.scale
    content: Mapping[str, Any] = {}
    drop: tuple[str, ...] = ()
    if isinstance(rater, ReleasedRaterConfig):
        content, drop = {"file": run.hashes.of(Path(rater.path))}, ("path",)
    elif isinstance(rater, SimulatedRaterConfig):
        from ds2.rating.raters import transition_matrix

        matrix = transition_matrix(rater, scale.num_scores)
        content, drop = {"matrix": matrix.round(12).tolist()}, ("published", "matrix")
    elif isinstance(rater, LlmRaterConfig):
        return _rate_with_model(run, rater)

    def compute(folder: Path) -> Outcome:
        from ds2.rating.raters import rate

        pool = run.pool.load()
        return _rated(run, folder, pool, rate(rater, pool, scale))

    own = {"rater": {**identity(rater, drop=drop), **content}, "scale": to_plain(scale)}
    return Step("rate", 1, f"{run.pool.name}-{rater.name}", own, run.inputs(pool=True), compute)


def _rate_with_model(run: Context, rater: LlmRaterConfig) -> Step:
    """Where a model is served, what it may cost and how it is run are no part of what it says."""
    from ds2.rating import language_model

    scale, drop = (
        run.config.scale,
        ("model", "revision", "base_url", "api_version", "max_cost", "max_unrated"),
    )
    language_model.check(rater, scale)
    if rater.backend in language_model.SERVED:
        model, commit = {"served": rater.model}, None
    else:
        model, commit = run.named(rater.model, rater.revision)

    answers = Path(run.config.paths.artifacts) / language_model.FOLDER

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        ratings = language_model.rate(
            rater, pool, scale, model=model, revision=commit,
            folder=answers, progress=run.config.runtime.progress,
        )  # fmt: skip
        return _rated(run, folder, pool, ratings)

    def forecast() -> list[str]:
        from ds2.rating import planning

        pool = run.pool.load()
        found = planning.forecast(rater, pool, model=model, revision=commit, folder=answers)
        return planning.lines(rater, len(pool), found, run.config.curation.method)

    own = {"rater": {**identity(rater, drop=drop), "model": model}, "scale": to_plain(scale)}
    slug = f"{run.pool.name}-{rater.name}"
    return Step("rate", 2, slug, own, run.inputs(pool=True), compute, forecast)


def _rated(run: Context, folder: Path, pool: Pool, ratings: Ratings) -> Outcome:
    """Write ratings, whoever gave them, and say what they are."""
    artifacts.write_ratings(folder, pool, ratings)
    scores = ratings.scores[ratings.scores >= 0]
    asked = np.ones(len(pool), dtype=bool) if ratings.asked is None else ratings.asked
    rated = np.isfinite(ratings.ratings)
    # What a person reads first comes first; how many were repaired is in a model's report.
    first = {"samples": len(pool)}
    if ratings.details is not None:
        first = {"asked": int(asked.sum()), "rated": int((asked & rated).sum()), "repaired": 0}
    counts = {
        **first,
        "unrated": int((asked & ~rated).sum()),
        "samples": len(pool),
        "scores": np.bincount(scores, minlength=run.config.scale.num_scores).tolist(),
        "dropped": pool.dropped,
        **({} if ratings.details is None else ratings.details.report.counts()),
    }
    return Outcome(counts, (*pool.warnings, *ratings.warnings))


def embed(run: Context) -> Step:
    embedder = run.config.embedder
    own, commit = identity(embedder), None
    if isinstance(embedder, SentenceEmbedderConfig):
        model, commit = run.named(embedder.model, embedder.revision)
        own = {**identity(embedder, drop=("model", "revision")), "model": model}

    def compute(folder: Path) -> Outcome:
        from ds2.embedding import embed

        embeddings = embed(embedder, run.pool.load(), revision=commit, progress=run.config.runtime.progress)
        artifacts.write_embeddings(folder, embeddings.vectors)
        count, width = embeddings.vectors.shape
        without = embeddings.without_terms
        warnings = (f"{without} texts have no known term; they share one fixed vector",) if without else ()
        return Outcome({"samples": count, "dimensions": width, "without_terms": without}, warnings)

    return Step("embed", 2, f"{run.pool.name}-{embedder.name}", own, run.inputs(pool=True), compute)


def knn(run: Context) -> Step:
    config = run.config.knn

    def compute(folder: Path) -> Outcome:
        from ds2.knn import knn_graph

        vectors = np.asarray(artifacts.read_embeddings(run.path("embed")))
        graph = knn_graph(
            vectors,
            k=config.k,
            method=config.method.value,
            device=config.runtime.device.value,
            progress=run.config.runtime.progress,
        )
        artifacts.write_graph(folder, graph)
        return Outcome({"samples": graph.num_samples, "k": graph.k})

    return Step(
        "knn", 2, f"{run.pool.name}-{config.method.value}", identity(config), run.inputs("embed"), compute
    )


def curate(run: Context) -> Step:
    config, scale = run.config.curation, run.config.scale

    def compute(folder: Path) -> Outcome:
        from ds2.curation.api import curate

        pool, scores = run.pool.load(), artifacts.read_scores(run.path("rate"))
        result = curate(
            np.asarray(artifacts.read_embeddings(run.path("embed"))),
            artifacts.read_rater_scores(run.path("rate")),
            graph=artifacts.read_graph(run.path("knn")),
            num_scores=scale.num_scores,
            texts=pool.contents(),
            **_curate_options(config),
        )
        artifacts.write_curation(folder, pool, scores, result, scale.num_scores)
        changed = int((result.curated != scores).sum())
        counts = {"samples": len(pool), "flagged": int(result.flagged.sum()), "changed": changed}
        return Outcome(counts, (*result.diagnostics.warnings, *_unscored(result.curated, config.method)))

    own = identity(config) | {"num_scores": scale.num_scores}
    slug = f"{run.pool.name}-{run.config.rater.name}-{config.method.value}"
    return Step("curate", 3, slug, own, run.inputs("rate", "embed", "knn", pool=True), compute)


def _unscored(curated: NDArray[np.int64], method: CurationMethod) -> tuple[str, ...]:
    count = int((curated < 0).sum())
    if count == 0:
        return ()
    return (
        f"{count:,} of {len(curated):,} samples have no score, and curation={method.value} gives them none: no selection by "
        "score can choose them; curation=posterior fills them in",
    )


def _curate_options(config: Any) -> dict[str, Any]:
    options = to_plain(config)
    return {name: options[name] for name in options if name not in _NOT_IDENTITY}


def model(run: Context) -> Step | None:
    """The step that makes a base model on the spot; None for models that exist already."""
    config = run.config.model
    if not isinstance(config, MiniModelConfig | TinyModelConfig):
        return None

    def compute(folder: Path) -> Outcome:
        import pandas as pd

        if isinstance(config, TinyModelConfig):
            from ds2.models import tiny

            metrics = tiny.build(folder / "model", seed=config.seed)
        else:
            from ds2.mini import pretrain

            metrics = pretrain.build(
                folder / "model", seed=config.seed, steps=config.steps, max_seconds=config.runtime.max_seconds,
                threads=config.runtime.threads, progress=run.config.runtime.progress,
            )  # fmt: skip
            pd.DataFrame(metrics.pop("curve")).to_parquet(folder / "curve.parquet", index=False)
        artifacts.write_json(folder / "metrics.json", metrics)
        return Outcome(metrics, _pretrain_warnings(metrics))

    return Step("model", 1, config.name, identity(config), {}, compute)


def _pretrain_warnings(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    if not metrics.get("reached_cap"):
        return ()
    return (
        f"pre-training reached its wall-clock cap after {metrics['steps']} steps; on a slow machine raise "
        "model.runtime.max_seconds",
    )


@dataclass(frozen=True)
class BaseModel:
    """Where the base model is, once its step (if any) is finished."""

    identity: Mapping[str, Any]
    locate: Callable[[], str]
    revision: str | None


def base_model(run: Context) -> BaseModel:
    """The base model of fine-tuning and evaluation."""
    config = run.config.model
    if isinstance(config, HubModelConfig):
        own, commit = run.named(config.path, config.revision)
        return BaseModel({"model": own}, lambda: config.path, commit)
    return BaseModel({}, lambda: str(run.path("model") / "model"), None)


def finetune(run: Context) -> Step:
    config = run.config.finetune
    base = base_model(run)

    def compute(folder: Path) -> Outcome:
        from ds2.paths import make_importable

        make_importable()
        from finetune.spec import FinetuneSpec

        launcher.finetune(
            FinetuneSpec(
                base_model=base.locate(),
                revision=base.revision,
                train_file=str(run.path("select") / "subset.jsonl"),
                output_dir=str(folder),
                seed=run.config.seed,
                config=config,
                progress=run.config.runtime.progress,
            ),
            run.config.runtime,
            devices=config.runtime.devices,
            accelerate_config=config.runtime.accelerate_config,
        )
        return Outcome(artifacts.read_json(folder / "metrics.json"))

    own = {"finetune": identity(config), "seed": run.config.seed, **base.identity}
    slug = f"{run.config.model.name}-{run.config.selection.strategy}-s{run.config.seed}"
    return Step("finetune", 1, slug, own, run.inputs("model", "select"), compute, resumable=True)


def _eval_identity(run: Context) -> dict[str, Any]:
    """Benchmark files by content, and the judge models only where a task asks them."""
    config = run.config.eval
    own = identity(config, drop=("data_dir", "truth_judge", "info_judge"))
    if config.data_dir is not None:
        own["data"] = run.hashes.of(Path(config.data_dir))
    if "paper_truthfulqa" in [*config.tasks, *config.companions]:
        own["judges"] = [run.named(judge, None)[0] for judge in (config.truth_judge, config.info_judge)]
    return own


def evaluate(run: Context) -> Step:
    config = run.config.eval
    base = base_model(run)
    own: dict[str, Any] = {"eval": _eval_identity(run), **base.identity}
    # Generated questions avoid the prompts of the generated pool, so they depend on its seed.
    pool_seed = run.config.pool.seed if isinstance(run.config.pool, MiniPoolConfig) else 0
    own["pool_seed"] = pool_seed

    def compute(folder: Path) -> Outcome:
        from ds2.paths import make_importable

        make_importable()
        from eval.spec import EvalSpec

        launcher.evaluate(
            EvalSpec(
                base_model=base.locate(),
                revision=base.revision,
                adapter=str(run.path("finetune") / "adapter") if "finetune" in run.results else None,
                output_dir=str(folder),
                seed=0,
                config=config,
                pool_seed=pool_seed,
                progress=run.config.runtime.progress,
            ),
            run.config.runtime,
        )
        results = artifacts.read_json(folder / "results.json")
        missing = tuple(
            f"task {name} gave no result: {results['errors'][name]}" for name in results["missing"]
        )
        return Outcome({**results["scores"], "average": results["average"]}, missing)

    slug = f"{run.config.model.name}-{run.config.selection.strategy}-{config.name}"
    return Step("evaluate", 1, slug, own, run.inputs("model", "finetune"), compute)
