"""`ds2 look FILE`: what was recognised in a file, before anything is rated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ds2.base.errors import UserError
from ds2.base.paths import resolved_files
from ds2.base.words import number, number_of, percent, quantity, size
from ds2.cli import console
from ds2.config import BadRows, FilesPoolConfig, RowsPoolConfig, RunConfig
from ds2.config.command_line import parse
from ds2.config.compose import compose
from ds2.models.reader import tulu_pieces
from ds2.pool import Pool, PoolSource, Sample
from ds2.pool.intake import BAD_ROWS
from ds2.pool.look import Column, Look, look, quantiles
from ds2.pool.sifting import Questions, sift
from ds2.runs.stages.sift import questions_for

_SAMPLES = 5
_CHARACTERS = 1200
"""Of each sample shown."""
_NAMED = 8
_MEMBERS = 3
_BEGINNING = 80
"""Characters of an evaluation question."""


def run(arguments: Sequence[str]) -> int:
    """ds2 look PATH... [pool.key=value ...]: shapes, roles, lengths, scores, duplicates, bad rows, and
    five samples as the rater and as training see them.

    Raises:
        UserError: no path, an option of another group, or no usable row.
    """
    paths = [a for a in arguments if a == "-" or Path(a).exists() or not (a.startswith("-") or "=" in a)]
    options = parse([a for a in arguments if a not in paths])
    known = ("pool.", "plugins=", "eval.", "eval=")
    unknown = [o for o in (*options.overrides, *options.options) if not o.startswith(known)]
    if unknown or options.sweep:
        raise UserError(f"ds2 look takes no {unknown[0] if unknown else 'sweep'}: paths, and pool.key=value")
    if not paths:
        raise UserError("ds2 look takes a file, a folder, a pattern, hf://ORG/NAME or -, and pool.key=value")
    config = compose(["pool=jsonl", "pool.path=look", *options.overrides])
    assert isinstance(config.pool, FilesPoolConfig)
    questions = questions_for(config) if config.pool.sifts else {}
    path = resolved_files(paths[0] if len(paths) == 1 else paths)
    source = PoolSource(
        replace(config.pool, path=path, on_bad_rows=BadRows.drop),
        num_scores=config.scale.num_scores,
        progress=config.runtime.progress,
    )
    pool = source.load()
    for line in _lines(source, pool, config, questions):
        console.line(line)
    for position in sorted({round(i * (len(pool) - 1) / (_SAMPLES - 1)) for i in range(_SAMPLES)}):
        _show(pool, position)
    return 0


def _lines(source: PoolSource, pool: Pool, config: RunConfig, questions: Questions) -> Iterator[str]:
    seen = look(pool)
    yield f"{source.name}: {number_of(pool.rows_read, 'row')}, {number_of(len(pool), 'sample')}" + _files(
        source
    )
    yield _row("shapes", _counts(pool.shapes))
    yield _row("turns", _spread(seen.turns, "") + f"; {_counts(seen.roles)}")
    yield _row("questions", _spread(seen.questions, " characters"))
    yield _row("answers", _spread(seen.answers, " characters"))
    shares = [f"{name} {percent(n / len(pool))}" for name, n in seen.languages.most_common(_NAMED)]
    code = (
        f"; {percent(seen.with_code / len(pool))} hold a block of code"
        if seen.with_code >= len(pool) / 1000
        else ""
    )
    yield _row("languages", ", ".join(shares) + code)
    yield _row("sources", _counts(Counter(pool.sources)))
    made = f", {seen.made_ids:,} made from content" if seen.made_ids else ""
    yield _row("ids", f"{len(pool) - seen.made_ids:,} given{made}")
    remedy = "; pool.near_duplicates=1 leaves them out" if seen.same_text else ""
    same = f"{seen.same_text:,} samples repeat the text of another, {seen.same_question:,} its question"
    yield _row("duplicates", same + remedy)
    yield from _sifted(pool, config, questions)
    yield from _scores(seen, len(pool), config)
    kept = [f"{name} ({percent(n / len(pool))})" for name, n in seen.fields.most_common()]
    yield _row(
        "kept", ", ".join(kept[:_NAMED]) + (", ..." if len(kept) > _NAMED else "") or "no other fields"
    )
    yield from _bad(pool)
    for warning in pool.warnings:
        if BAD_ROWS not in warning:  # said above, at more length
            yield _row("said", warning)


def _files(source: PoolSource) -> str:
    files = source.found.files
    if not files:
        return ""
    total = size(sum(file.stat().st_size for file in files))
    return f" ({len(files):,} files, {total})" if len(files) > 1 else f" ({total})"


def _spread(values: Sequence[int], unit: str) -> str:
    five, half, most, largest = quantiles(values)
    return f"{half:,}{unit} in the middle, {five:,} to {most:,} in 90 %, at most {largest:,}"


def _row(name: str, text: str) -> str:
    return f"  {name:<11} {text}"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = f", {len(ordered) - _NAMED:,} more" if len(ordered) > _NAMED else ""
    return ", ".join(f"{name} {count:,}" for name, count in ordered[:_NAMED]) + more


def _sifted(pool: Pool, config: RunConfig, questions: Questions) -> Iterator[str]:
    """What `pool.decontaminate` and `pool.near_duplicates` find."""
    if not config.pool.sifts:
        return
    assert isinstance(config.pool, RowsPoolConfig)
    found = sift(pool, config.pool, questions, progress=config.runtime.progress)
    if found.questions is not None:
        searched = ", ".join(f"{name} ({quantity(n)} questions)" for name, n in found.questions.items())
        yield _row("evaluation", found.in_words() or f"no question of {searched} is held")
    for hit in found.hits[:_NAMED]:
        yield _row("", f"{pool.named(hit.position)}: {hit.asked[:_BEGINNING]!r} of {hit.set}")
    if config.pool.near_duplicates is not None:
        groups = found.groups
        yield _row(
            "repeated", f"{quantity(len(found.copies))} samples repeat one of {len(groups):,} earlier ones"
        )
        for stays, copies in list(groups.items())[:_NAMED]:
            names = ", ".join(repr(pool.samples[copy.position].id) for copy in copies[:_MEMBERS])
            more = f" and {len(copies) - _MEMBERS:,} more" if len(copies) > _MEMBERS else ""
            yield _row("", f"{pool.named(stays)} stays for {names}{more}")


def _scores(seen: Look, samples: int, config: RunConfig) -> Iterator[str]:
    if not seen.columns:
        yield _row("scores", "no column of numbers: rate with a language model (rater=openai_compatible)")
    for path, column in list(seen.columns.items())[:_NAMED]:
        absent = f", absent in {samples - column.count:,}" if column.count < samples else ""
        spread = f"{number(column.low)} to {number(column.high)}{absent}"
        yield _row("scores", f"{path}, {spread}: {_use(path, column, config)}")


def _use(path: str, column: Column, config: RunConfig) -> str:
    """What a column is good for."""
    if column.low == column.high:
        return "constant, it says nothing"
    command = f"rater=from_column rater.column={path}"
    if column.whole and column.low >= 0 and column.high <= config.scale.num_scores - 1:
        return command
    if column.low >= 1 and column.high <= 10:
        return f"{command} rater.unit=ratings"
    return f"outside 1..10: bring it there, then {command} rater.unit=ratings"


def _bad(pool: Pool) -> Iterator[str]:
    if not pool.dropped:
        yield _row("bad rows", "none")
        return
    total = quantity(sum(pool.dropped.values()))
    yield _row("bad rows", f"{total} would stop a run; pool.on_bad_rows=drop leaves them out:")
    for reason, count in sorted(pool.dropped.items(), key=lambda item: -item[1]):
        yield _row("", f"{count:,} {reason}; the first: {pool.first_bad[reason]}")


def _show(pool: Pool, position: int) -> None:
    sample = pool.samples[position]
    console.heading(f"\n{sample.named}, source {sample.source}")
    console.line("  as the rater sees it")
    console.line(_indented(pool.conversation(position)))
    console.line("  as training sees it (finetune.template=tulu), what it learns between ⟦ and ⟧")
    console.line(_indented(_trained(sample)))


def _trained(sample: Sample) -> str:
    told = []
    for piece in tulu_pieces(sample.messages):
        text = piece.text + ("</s>" if piece.ends else "")
        told.append(f"⟦{text}⟧" if piece.is_answer else text)
    return "".join(told)


def _indented(text: str) -> str:
    over = len(text) - _CHARACTERS
    if over > 0:
        half = _CHARACTERS // 2
        text = f"{text[:half]} [... {over:,} more characters ...] {text[-half:]}"
    return "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n"))
