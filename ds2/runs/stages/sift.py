"""Stage `sift`: what of the pool may be used."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ds2.artifacts.sifted import contamination_file, read_sifted, write_sifted
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.store import ArtifactStore
from ds2.artifacts.versions import version
from ds2.base.errors import UserError
from ds2.base.hashes import fingerprint
from ds2.base.paths import shown
from ds2.config import EvalConfig, OnContamination, RowsPoolConfig, RunConfig
from ds2.pool import PoolSource
from ds2.pool.questions import read_questions
from ds2.pool.sifting import Sifted, sieve_of, sift
from ds2.runs import launcher
from ds2.runs.context import Context

OWN = "eval"
"""Stands for the tasks of the run's own evaluation."""
_SHOWN = 3
"""Contaminated samples that a refusal names."""


def step(run: Context) -> Step:
    """The step that looks through the pool."""
    return step_of(run.config, run.pool.whole)


def step_of(config: RunConfig, whole: PoolSource) -> Step:
    """The step, of a run's choices and its pool before anything is left out."""
    rows = config.pool
    assert isinstance(rows, RowsPoolConfig)
    questions = questions_for(config)
    identity = {
        "near_duplicates": rows.near_duplicates,
        "questions": {name: fingerprint(asked) for name, asked in questions.items()},
    }

    def compute(folder: Path) -> Outcome:
        pool = whole.load()
        found = _sifted(this.fingerprint, whole, config)
        write_sifted(folder, found, pool)
        counts = {
            "samples": len(pool), "contaminated": len(found.contaminated),
            "near_duplicates": len(found.copies),
        }  # fmt: skip
        return Outcome(counts)

    this = Step("sift", version("sift"), whole.name, identity, {"pool": whole.fingerprint}, compute)
    return this


def sifted_pool(config: RunConfig, whole: PoolSource, store: ArtifactStore) -> PoolSource:
    """The run's pool: what its choices leave of the whole one.

    Raises:
        UserError: a set of questions that cannot be had.
    """
    if not config.pool.sifts:
        return whole
    this = step_of(config, whole)

    def found() -> Sifted:
        done = store.find(this)
        return _sifted(this.fingerprint, whole, config) if done is None else read_sifted(done)

    return whole.through(sieve_of(config.pool, this.fingerprint, found))


def check(config: RunConfig, folder: Path) -> str | None:
    """What the run is told of a contaminated pool that is used as it is.

    Raises:
        UserError: it is contaminated, and `pool.on_contamination=fail`.
    """
    rows = config.pool
    assert isinstance(rows, RowsPoolConfig)
    if rows.on_contamination is OnContamination.drop:
        return None
    found = read_sifted(folder)
    if not found.hits:
        return None
    where = f"{shown(contamination_file(folder))} lists them; pool.on_contamination=drop leaves them out"
    if rows.on_contamination is OnContamination.warn:
        return f"{found.in_words()}: {where}"
    first = "; ".join(f"{hit.asked[:80]!r} of {hit.set}" for hit in found.hits[:_SHOWN])
    raise UserError(f"{found.in_words()} ({first}): {where}")


def questions_for(config: RunConfig) -> dict[str, list[str]]:
    """The questions of the sets that `pool.decontaminate` names. Raises UserError."""
    rows, asked = config.pool, config.eval
    assert isinstance(rows, RowsPoolConfig)
    questions: dict[str, list[str]] = {}
    for name in _names(rows.evaluation_sets, config):
        if Path(name).is_file():
            questions[Path(name).name] = read_questions(Path(name))
        elif Path(name).is_absolute():
            raise UserError(f"pool.decontaminate={name}: no such file")
        else:
            questions[name] = _questions(name, asked.data_dir, asked.data_samples, asked.data_seed)
    return questions


def _names(named: list[str], config: RunConfig) -> list[str]:
    """The names, the run's own tasks in place of `eval`."""
    if OWN not in named:
        return named
    tasks = [*config.eval.tasks, *config.eval.companions] if config.eval.enabled else []
    if not tasks:
        raise UserError(f"pool.decontaminate={OWN}: this run evaluates nothing; name the sets")
    return list(dict.fromkeys(name for each in named for name in (tasks if each == OWN else [each])))


@cache
def _questions(name: str, data_dir: str | None, data_samples: int, data_seed: int) -> list[str]:
    config = EvalConfig(data_dir=data_dir, data_samples=data_samples, data_seed=data_seed)
    return launcher.evaluation_questions(name, config)


_LAST: dict[str, Sifted] = {}
"""What this process found last, by fingerprint: what is looked at before a run is not looked for again."""


def _sifted(key: str, whole: PoolSource, config: RunConfig) -> Sifted:
    if key not in _LAST:
        assert isinstance(config.pool, RowsPoolConfig)
        pool, questions = whole.load(), questions_for(config)
        _LAST.clear()
        _LAST[key] = sift(pool, config.pool, questions, progress=config.runtime.progress)
    return _LAST[key]
