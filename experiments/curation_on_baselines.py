"""Table 5: what curated scores give other methods, and what the paper says they do."""

from __future__ import annotations

from dataclasses import replace

from experiments import grid, published
from experiments.result import Options, Result, Table

CAPTION = (
    "Table 5 of the paper: AlpaGasus and DEITA on given and on curated scores; each curated row's difference "
    "is to its given one."
)
CAPTION_MINI = (
    "Table 5 in miniature: 400 of 4,000 generated samples, a tiny base model; nothing here is comparable "
    "with the paper."
)


def run(options: Options) -> Result:
    """The grid of `sweep=curation_on_baselines`, or of `sweep=mini_curation_on_baselines`."""
    name = grid.sweep_name("curation_on_baselines", options, mini="mini_curation_on_baselines")
    ours = grid.result(
        grid.look(name, options),
        caption=CAPTION_MINI if options.mini else CAPTION,
        name="curation_on_baselines",
    )
    return ours if options.mini else replace(ours, tables=[*ours.tables, printed()])


def printed() -> Table:
    """The paper's averages; of which rater is not said, so they stand apart."""
    frame = published.read("curation_on_baselines").rename(
        columns={"average_without_curation": "without curation", "average_with_curation": "with curation"}
    )
    frame.insert(3, "gain", frame["with curation"] - frame["without curation"])
    formats = {"without curation": ".1f", "with curation": ".1f", "gain": "+.1f"}
    return Table("curation_on_baselines_paper", frame, "The paper's averages", formats)
