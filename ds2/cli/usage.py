"""The text of `ds2 --help`, with the choices that stand under `conf/` and in plugins."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ds2.config import plugins

GROUPS = (
    "pool", "rater", "embedder", "knn", "curation", "selection", "budget", "model", "finetune", "eval",
    "tracking", "engine", "experiment", "sweep",
)  # fmt: skip
"""Groups of choices, in the order of the chain."""

WELCOME = """\
ds2 selects instruction-tuning data: it rates, corrects the ratings, keeps the best and the rare; on request
fine-tunes on the subset and evaluates.

  ds2 demo                                          the paper's main table in miniature: 2 CPU cores, minutes
  ds2 pool=jsonl pool.path=mine.jsonl rater=from_column rater.column=score budget=10k until=select
                                                    the best 10,000 rows of a file, by its column `score`
  ds2 experiment=paper rater=mistral_7b_v0_3 model=llama_3_1_8b plan=true
                                                    what one cell of the paper's Table 3 would compute

Go on with: ds2 --help (every switch and choice), README.md, docs/. `ds2 doctor` looks at this machine."""
"""What `ds2` alone prints."""

_TEXT = """\
ds2: select instruction-tuning data (rate, curate, select, fine-tune, evaluate)

usage
  ds2 key=value ...                 run one chain; finished stages are reused
  ds2 -m key=a,b other=c,d ...      run every combination
  ds2 sweep=NAME [key=value ...]    run a named grid and print its table
  ds2 demo                          the same as sweep=demo: the paper's main table in miniature
  ds2 experiments [NAME ...]        the paper's tables and figures (python -m experiments in a clone)
  ds2 init [FOLDER]                 a folder to start from: configuration, a rater of your own, a README
  ds2 look FILE [pool.key=value]    what is in a file: shapes, scores, duplicates, bad rows, five samples
  ds2 anchors draw pool=... rater=... n=100 | judge FILE           ask people about a hundred samples
  ds2 export SUBSET --to TRAINER [--out DIR] [--with-scores]       for llama_factory, axolotl, trl,
                                    open_instruct, openai or hf, with what to paste into its configuration
  ds2 publish SUBSET --to DIR|hf://ORG/NAME --licence ID [--yes]   as a data set: card, Croissant, checksums
  ds2 list choices [GROUP]          what can be chosen, and the package that it comes with
  ds2 list [STAGE] | show FINGERPRINT [--json] | doctor | gc   look after the artifact store
  ds2 gc [older] [newer] [delete] [paths.store=URL]   what crashed runs left, artifacts of other versions
  ds2 verify ARTIFACT [chain] | RUN compute it once more, and compare
  ds2 diff RUN RUN [--json]         choices, versions, inputs and results in which two runs differ
  ds2 doctor rater=NAME [key=value ...]   ask the rater's model twice: what it can do, and what it costs
  ds2 help GROUP | GROUP=CHOICE     what can be chosen, and what of a choice can be set
  ds2 completion bash|zsh|fish      completes choices at the prompt: eval "$(ds2 completion bash)"
  ds2 --help | --version

switches
  until=STAGE     stop after rate, embed, knn, curate, select, finetune, evaluate or report
  plan=true       print the chain with what is cached and what would be computed
  prepare=true    fetch what the run needs, for machines without network
  seed=N          fine-tuning and random choices
  plugins=[PKG]   packages of your own that add choices (docs/plugins.md)
  on_warning=fail a warning makes the run fail
  --fail-fast     of several runs: stop at the first that fails
  --cfg job       print the composed configuration

examples
  ds2 pool=jsonl pool.path=mine.jsonl rater=from_column rater.column=score budget=10k until=select
  ds2 experiment=paper rater=mistral_7b_v0_3 model=llama_3_1_8b plan=true
  ds2 -m experiment=mini rater=simulated_gpt_4o_mini,simulated_mistral_7b selection=ds2,random

choices (group=choice; a choice's own fields as group.field=value)
"""


def usage(arguments: Sequence[str] = ()) -> str:
    """The help text; plugins that `arguments` name are looked into, not imported. Raises UserError."""
    packages, lines = plugins.names(arguments), []
    for group in GROUPS:
        names = ", ".join(
            choice if package == plugins.OWN else f"{choice} ({package})"
            for choice, package in plugins.choices(group, packages).items()
        )
        lines.append(textwrap.fill(names, 110, initial_indent=f"  {group:<11} ", subsequent_indent=" " * 14))
    return _TEXT + "\n".join(lines)
