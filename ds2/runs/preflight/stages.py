"""Checks of the stages: what each would refuse after those before it were computed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ds2.base.errors import UserError
from ds2.base.json_files import read_json
from ds2.base.words import percent
from ds2.config import (
    ChatBackend,
    ColumnRaterConfig,
    HubModelConfig,
    KnnMethod,
    LlmRaterConfig,
    MiniModelConfig,
    ModelConfig,
    PackagedModelConfig,
    PanelRaterConfig,
    SentenceEmbedderConfig,
    SeveralRatersConfig,
    SimulatedRaterConfig,
    TfidfEmbedderConfig,
)
from ds2.config.measured_selection import MeasuredSelectionConfig
from ds2.config.selection import FilteredSelectionConfig
from ds2.config.stages import counts_tokens, stages_of
from ds2.method.choices import CurationMethod, Device
from ds2.method.curation.inputs import check_options
from ds2.method.embedding import check_vocabulary
from ds2.models.chat.tokens import estimate_tokens
from ds2.models.devices import device_problem, dtype_problem
from ds2.rating.raters import column_numbers
from ds2.runs import launcher
from ds2.runs.preflight.finding import Finding, Run, problem, warning
from ds2.selection import resolve_budget

_VOCABULARY = 2_000
"""Pools up to this size are counted word by word; a larger one has terms in any range of frequencies."""
_LOOKED_AT = 200
"""Samples whose words are compared with what a model knows."""
_SHARES = {
    "similarity": "a cosine similarity",
    "warmup_share": "a share",
    "near_duplicates": "a cosine similarity",
}
_COUNTS = ("k", "epochs", "batch", "rank", "projection", "max_tokens")


def budget(run: Run) -> Iterator[Finding]:
    """The pool can be read and can fill the budget."""
    if run.config.selection.budgeted and not counts_tokens(run.config):
        size = len(run.pool)
        resolve_budget(run.config.budget.samples, size, pool_size=size)
    yield from ()


def rate(run: Run) -> Iterator[Finding]:
    """The rater's columns are in the pool; its server answers and has the model. A panel goes on without a
    rater that fails.
    """
    rater = run.config.rater
    if isinstance(rater, PanelRaterConfig):
        for member in rater.members:
            alone = replace(run, config=replace(run.config, rater=member))
            yield from (warning(f"rater {member.name} of the panel: {each.line}") for each in _rate(alone))
    else:
        yield from _rate(run)


def _rate(run: Run) -> Iterator[Finding]:
    rater = run.config.rater
    columns: list[tuple[str, str]] = []
    if isinstance(rater, ColumnRaterConfig):
        columns = [("rater.column", rater.column)]
    elif isinstance(rater, SeveralRatersConfig):
        columns = [("rater.columns", column) for column in rater.columns]
    elif isinstance(rater, SimulatedRaterConfig):
        columns = [("rater.truth", rater.truth)]
    for option, column in columns:
        yield from _column(run, option, column)
    if isinstance(rater, LlmRaterConfig):
        yield from _model(run, rater)


def _column(run: Run, option: str, column: str) -> Iterator[Finding]:
    pool = run.pool  # which, where it cannot be read, says so itself
    try:
        values = column_numbers(pool, column)
    except UserError as error:
        yield problem(f"{option}={column}: {error}")
        return
    if np.isnan(values).all():
        yield problem(f"{option}={column}: no row has a value there")


def _model(run: Run, rater: LlmRaterConfig) -> Iterator[Finding]:
    """A server that questions will be put to is there and has the model; a local model's device is there."""
    if rater.backend is ChatBackend.openai:
        say = warning if run.config.plan else problem  # what it costs can be planned without the server
        unreachable = _why_unreachable(rater)
        if unreachable and _questions(run, rater):
            yield say(unreachable)
    elif not rater.backend.served:
        yield from _device("rater.runtime.device", getattr(rater.runtime, "device", "auto"))


def _why_unreachable(rater: LlmRaterConfig) -> str | None:
    from ds2.models.chat import Place
    from ds2.models.chat.served import server
    from ds2.rating import prompt

    form = prompt.answer_form(rater.reading)
    with TemporaryDirectory() as folder:
        try:
            with server.open(rater, form, None, Place(Path(folder))) as backend:
                backend.check()
        except UserError as error:
            return str(error)
    return None


def _questions(run: Run, rater: LlmRaterConfig) -> int:
    """Those that the log of answers does not answer."""
    from ds2.rating import by_model, planning

    answers = Path(run.config.paths.artifacts) / by_model.FOLDER
    model = {"served": rater.model}
    return planning.forecast(rater, run.pool, model=model, revision=None, folder=answers).questions


def embed(run: Run) -> Iterator[Finding]:
    """TF-IDF has a vocabulary; the encoder's device is there."""
    embedder = run.config.embedder
    if isinstance(embedder, TfidfEmbedderConfig):
        if embedder.dimensions < 1:
            yield problem(f"embedder.dimensions={embedder.dimensions} must be at least 1")
        texts = run.pool.contents()
        counted = texts if len(texts) <= _VOCABULARY else None
        check_vocabulary(counted, len(texts), embedder.min_df, embedder.max_df)
    elif isinstance(embedder, SentenceEmbedderConfig):
        yield from _device("embedder.runtime.device", embedder.runtime.device)
        if embedder.runtime.batch_size < 1:
            yield problem(f"embedder.runtime.batch_size={embedder.runtime.batch_size} must be at least 1")


def knn(run: Run) -> Iterator[Finding]:
    """Neighbours are counted from 1; the device is there."""
    config = run.config.knn
    if config.k < 1:
        yield problem(f"knn.k={config.k} must be at least 1")
    if config.method is KnnMethod.cuvs:
        if config.runtime.device is not Device.cuda:
            yield problem("knn=cuvs searches on a GPU only: use knn.runtime.device=cuda, or knn=approximate")
        elif line := device_problem("knn.runtime.device", "cuda", instead="knn=approximate"):
            yield problem(line)
        if find_spec("cuvs") is None:
            yield problem(
                "knn=cuvs needs the package cuvs, which is not installed: docs.rapids.ai/install has it for "
                "each CUDA; knn=exact needs none"
            )
    elif config.runtime.device is Device.cuda:
        if config.method is KnnMethod.approximate:
            yield problem(
                "knn=approximate searches on the CPU only: use knn.runtime.device=cpu, or knn=exact"
            )
        if line := device_problem("knn.runtime.device", "cuda", instead="cpu"):
            yield problem(line)


def curate(run: Run) -> Iterator[Finding]:
    """Options within their ranges, and a graph with as many neighbours as are asked for."""
    config, graph = run.config.curation, run.config.knn
    levels = min(max(run.config.scale.num_scores, 2), 11)  # others are refused as the scale's
    try:
        check_options(config.method, levels, config.k, config.confidence, config.seed)
    except (UserError, TypeError) as error:
        yield problem(f"curation.{error}")
    if config.bootstrap < 0:
        yield problem(f"curation.bootstrap={config.bootstrap} must not be negative")
    asked = config.k if config.method is CurationMethod.posterior else config.k - 1
    if asked > graph.k >= 1:
        yield problem(
            f"curation.k={config.k} reads {asked} neighbours, knn.k={graph.k} stores fewer: raise knn.k, or "
            "lower curation.k"
        )


def select(run: Run) -> Iterator[Finding]:
    """Options of the strategy and of the filter within their ranges."""
    config = run.config.selection
    options: dict[str, Any] = {f"selection.{name}": value for name, value in vars(config).items()}
    if isinstance(config, FilteredSelectionConfig):
        options |= {f"selection.filter.{name}": value for name, value in vars(config.filter).items()}
    for option, value in options.items():
        name = option.rpartition(".")[2]
        if name in _SHARES and value is not None and not 0 < value <= 1:
            yield problem(f"{option}={value:g} must be {_SHARES[name]} above 0, up to 1")
        elif name in _COUNTS and value is not None and value < 1:
            yield problem(f"{option}={value} must be at least 1")
    if not 0 <= options.get("selection.diversity_weight", 0) <= 1:
        yield problem(f"selection.diversity_weight={options['selection.diversity_weight']:g} must be in 0..1")
    k = options.get("selection.k", 0)
    if "knn" in config.needs and k > run.config.knn.k:
        yield problem(
            f"selection.k={k}: the graph stores {run.config.knn.k} neighbours; lower it, or raise knn.k"
        )
    cap = options.get("selection.filter.source_cap")
    if cap is not None and not (0 < cap < math.inf and (cap < 1 or cap == int(cap))):
        yield problem(f"selection.filter.source_cap={cap:g} must be a number of samples, or a share below 1")
    if isinstance(config, MeasuredSelectionConfig):
        yield from _device("selection.runtime.device", config.runtime.device)
        threads = config.runtime.threads
        if threads is not None and threads < 1:
            yield problem(f"selection.runtime.threads={threads} must be at least 1")
        dtype = dtype_problem("selection.dtype", config.dtype)
        if dtype:
            yield problem(dtype)


def finetune(run: Run) -> Iterator[Finding]:
    """What the recipe would refuse, and what does not fit the base model."""
    model, config = run.config.model, run.config.finetune
    if isinstance(model, PackagedModelConfig):  # its layers and template are known once it is converted
        lines = launcher.finetune_problems(config)
    elif not isinstance(model, HubModelConfig):
        lines = launcher.finetune_problems(config, base_model=None, revision=None)
    elif run.model_known:
        lines = launcher.finetune_problems(config, base_model=model.path, revision=model.revision)
    else:
        lines = launcher.finetune_problems(config)
    yield from map(problem, lines)
    if isinstance(model, MiniModelConfig):
        yield from _words(run)
    yield from _context(run)


def _words(run: Run) -> Iterator[Finding]:
    """The miniature's model, which takes minutes to make, knows the words of this pool."""
    from ds2.mini.language import vocabulary

    known = set(vocabulary())
    some = islice(run.pool.contents(), _LOOKED_AT)
    words = [word for text in some for word in re.findall(r"\w+", text.lower())]
    share = sum(word in known for word in words) / max(len(words), 1)
    if share < 0.5:
        yield problem(
            f"model=mini knows the words of the generated pool (pool=mini) and {percent(share)} of this "
            "pool's: to select only, until=select; to train, model=local model.path=FOLDER (or a hub name) "
            "finetune=paper"
        )


def _context(run: Run) -> Iterator[Finding]:
    """Samples of the pool fit the context of a base model that is here: the recipe refuses longer ones."""
    config, context = run.config.finetune, _context_of(run.config.model)
    if context is None or config.max_tokens <= context:
        return
    longest = max(estimate_tokens(text) for text in run.pool.conversations())
    if longest > context:
        yield warning(
            f"the longest sample of the pool has about {longest:,} tokens, and the base model's context is "
            f"{context:,}: finetune.max_tokens={context} cuts there"
        )


def _context_of(model: ModelConfig) -> int | None:
    """Tokens that a base model takes; None where it is not here, or does not say."""
    file = Path(model.path) / "config.json" if isinstance(model, HubModelConfig) else None
    if file is None or not file.is_file():
        return None
    said = read_json(file)
    names = ("n_positions", "max_position_embeddings", "n_ctx")
    return next((int(said[name]) for name in names if said.get(name)), None)


def prompts(run: Run) -> Iterator[Finding]:
    """Prompts of benchmarks whose data are at hand fit a base model that is here."""
    model, context = run.config.model, _context_of(run.config.model)
    if context is None or not isinstance(model, HubModelConfig) or not run.model_known:
        return
    if launcher.evaluation_problems(run.config.eval):
        return  # said by `evaluate`
    tuned = "finetune" in stages_of(run.config)
    lines = launcher.long_prompts(
        run.config.eval, base_model=model.path, revision=model.revision, context=context,
        template=run.config.finetune.template if tuned else None,
    )  # fmt: skip
    yield from map(warning, lines)


def evaluate(run: Run) -> Iterator[Finding]:
    """Tasks, their data, and how they are run."""
    yield from map(problem, launcher.evaluation_problems(run.config.eval))


def isolate(run: Run) -> Iterator[Finding]:
    """How the leaves are run is one of the ways there are."""
    chosen = run.config.runtime.isolate
    if chosen.lower() not in launcher.ISOLATE:
        yield problem(f"runtime.isolate={chosen} is none of {', '.join(launcher.ISOLATE)}")


def _device(option: str, device: str) -> Iterator[Finding]:
    line = device_problem(option, device)
    if line:
        yield problem(line)
