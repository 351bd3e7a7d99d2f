"""`ds2 anchors draw` and `ds2 anchors judge`: whom to ask, and what a hundred human scores say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ds2.base.errors import UserError
from ds2.base.paths import resolved, shown
from ds2.base.words import NOTHING, percent
from ds2.cli import console
from ds2.config.command_line import CommandLine
from ds2.config.compose import artifacts_root
from ds2.method.anchor_judgement import Judgement, order_named
from ds2.method.anchors import GIVEN
from ds2.method.curation.anchored import POSTERIOR_TOO, REFINED, REFINED_TOO
from ds2.method.curation.verdict import in_words, rater_sentence
from ds2.runs import anchors
from ds2.runs.anchors import PAPER, POSTERIOR, Judged

_USAGE = (
    "ds2 anchors draw pool=... rater=... [n=100] [out=anchors.csv] [criteria=TEXT or FILE], or ds2 anchors "
    "judge FILE"
)
_CHOICES = {
    REFINED: "selection=ds2_refined",
    REFINED_TOO: "selection=ds2_refined curation.anchors={file}",
    POSTERIOR: "selection=ds2_posterior",
    POSTERIOR_TOO: "selection=ds2_posterior curation.anchors={file}",
    PAPER: "selection=ds2",
    GIVEN: "selection=ds2_refined curation=none",
}
"""Order -> what chooses it on the command line."""


def run(given: CommandLine) -> int:
    """One subcommand; its exit code. Raises UserError."""
    refused = [*given.options, *(["sweep=" + given.sweep] if given.sweep else [])]
    if given.many or refused:
        raise UserError(f"ds2 anchors takes no {refused[0] if refused else '--multirun'}: {_USAGE}")
    match given.words:
        case ["draw"]:
            return _draw(given.overrides)
        case ["judge", file]:
            return _judge(Path(resolved(file)), given.overrides)
        case _:
            raise UserError(_USAGE)


def _draw(given: Sequence[str]) -> int:
    own, overrides = _own(given, ("n", "out", "criteria"))
    out = Path(resolved(own.get("out", "anchors.csv")))
    if not own.get("n", "100").isdigit():
        raise UserError(f"n={own['n']} must be a whole number: how many samples to ask about")
    with console.reporting() as reporter:
        drawn = anchors.draw(
            overrides,
            n=int(own.get("n", "100")),
            out=out,
            criteria=_text(own.get("criteria")),
            reporter=reporter,
        )
    counted = ", ".join(f"{count} given {score}" for score, count in drawn.by_score.items())
    file, form = shown(drawn.file), shown(drawn.form)
    console.line(f"{sum(drawn.by_score.values())} samples to ask people about: {counted}")
    console.line(f"form:   {form}   open it in a browser: a key for each score; it saves {drawn.file.name}")
    console.line(
        f"table:  {file}   or fill in its column score, {drawn.scale.low} to {drawn.scale.high}, in any "
        "spreadsheet"
    )
    if drawn.criteria is None:
        console.line(
            "asks:   in general words, for the rater's criteria are not known; criteria=TEXT or "
            "criteria=FILE puts yours on the form"
        )
    console.line(f"then:   ds2 anchors judge {file}   (20 scores are enough to begin; order matters not)")
    return 0


def _own(given: Sequence[str], keys: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """The command's own keys with their values, and what is the configuration's."""
    own = {o.partition("=")[0]: o.partition("=")[2].strip("'\"") for o in given if o.startswith(_keyed(keys))}
    return own, [o for o in given if not o.startswith(_keyed(keys))]


def _keyed(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{key}=" for key in keys)


def _text(given: str | None) -> str | None:
    """A text, or the content of the file that it names."""
    if given is None:
        return None
    path = Path(resolved(given))
    if not path.is_file():
        return given
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise UserError(f"criteria={given} is not a text in UTF-8") from None


def _judge(file: Path, overrides: Sequence[str]) -> int:
    root = artifacts_root(overrides)
    with console.reporting() as reporter:
        found = anchors.judge(file, _without_paths(overrides), root=root, reporter=reporter)
    for table in _tables(found):
        console.show(table)
    told, choice = verdict(found.judgement, found.refused)
    console.line(told)
    # Refused, anchors move nothing, and the run is judged by them all the same.
    choice = REFINED_TOO if choice == REFINED and REFINED in found.refused else choice
    chosen = _CHOICES[choice].format(file=shown(file))
    console.line(f"next:   ds2 {' '.join(found.overrides)} {chosen} until=select")
    return 0


def _without_paths(overrides: Sequence[str]) -> list[str]:
    """Nothing where only folders are named: the draw's own overrides then stand."""
    told = [o for o in overrides if not o.startswith("paths.")]
    return list(overrides) if told else []


def _tables(found: Judged) -> list[Table]:
    said, first = found.judgement, found.scale.first
    rater = Table("the rater, by people", title_justify="left")
    rater.add_column("95 %", justify="right")
    rater.add_row("scores by people that it scored too", str(said.rater.num_anchors))
    rater.add_row("right", said.rater.accuracy.words(_share))
    rater.add_row("lenient by (points)", said.rater.bias.words())
    levels = [str(first + j) for j in range(len(said.rater.transition))]
    matrix = Table("people \\ rated", *levels)
    for i, level in enumerate(levels):
        matrix.add_row(level, *(said.rater.entry(i, j).words() for j in range(len(levels))))
    evidence = Table("beside the given score", "error removed, out of sample", "standard errors", "shown")
    for test in said.evidence:
        shown_or_not = "yes" if test.shown else "no"
        evidence.add_row(test.name, percent(test.gain), f"{test.z:+.1f}", shown_or_not)
    orders = Table(
        f"first {percent(said.share, 3 if said.share < 0.001 else 0)} by", "mean human score",
        "gain over given", "shown",
    )  # fmt: skip
    ends = first, first + len(levels) - 1
    for order in said.orders:
        orders.add_row(
            order.name,
            order.top_mean.on_scale(*ends).words() if order.top_mean else NOTHING,
            order.gain.words("{:+.2f}".format) if order.gain else "",
            "" if order.name == GIVEN else "yes" if order.shown else "no",
        )
    return [rater, matrix, evidence, orders]


def verdict(said: Judgement, refused: Sequence[str]) -> tuple[str, str]:
    """What to do, in plain sentences, and the order to select by.

    refused: curations whose correction by the anchors was.
    """
    parts = [rater_sentence(said.rater), _of_evidence(said)]
    if refused:
        parts.append(
            f"No correction of {in_words(list(refused))} by these scores can be shown on samples left out: "
            "it was refused."
        )
    best, refined = (order_named(said.orders, name) for name in (said.chosen, REFINED))
    if best.gain is not None:
        parts.append(
            f"Select by {best.name}: it gains {best.gain.words('{:+.2f}'.format)} points over the given "
            "scores."
        )
        return " ".join(parts), best.name
    if refined.gain is not None and refined.gain.high is not None and refined.gain.high < 0:
        parts.append("The refined order selects worse than the given scores: stay with these.")
        return " ".join(parts), GIVEN
    parts.append(
        "No order is shown to select better than the given scores. The default, curation=refine, orders "
        "only what they leave equal and has done no harm on real raters (docs/truth.md): it stands. More "
        "scores by people would tell more."
    )
    return " ".join(parts), REFINED


def _of_evidence(said: Judgement) -> str:
    shown_ones = [test.name for test in said.evidence if test.shown]
    if not shown_ones:
        return "Nothing is shown to add to the given score."
    verb = "adds" if len(shown_ones) == 1 else "add"
    return f"Beside the given score, {in_words(shown_ones)} {verb} to what predicts people."


def _share(value: float) -> str:
    return percent(value, 0)
