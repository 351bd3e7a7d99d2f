"""Stage `tokens`: what each response token of the subset is worth to a fine-tune (Token Cleaning).

Where no reference model is given, two are fine-tuned on half of the subset each, and each judges the half
that it has not seen: a model that has learned noise by heart would call it worth learning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2.artifacts import adapter, subset, token_scores
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.base.errors import MissingInput, UserError
from ds2.config.training import FOLDS, TOKEN_FIELDS
from ds2.models.compute import Meter
from ds2.runs import launcher
from ds2.runs.context import Context, identity
from ds2.runs.stages.model import base_model


def step(run: Context) -> Step:
    """The step that measures the tokens."""
    config = run.config.finetune
    base = base_model(run)
    reference = config.token_reference
    if reference is not None and not Path(reference).is_dir():
        raise MissingInput(f"finetune.token_reference={reference}: no such folder of a PEFT adapter")

    def compute(folder: Path) -> Outcome:
        where: dict[str, Any] = {
            "base_model": base.locate(), "base_name": base.made, "revision": base.revision,
            "seed": run.config.seed, "config": config, "runtime": run.config.runtime,
        }  # fmt: skip
        rows = subset.conversations(run.path("select"))
        few = config.too_few(subset.subset_size(run.path("select")))
        if few is not None:
            raise UserError(few)
        meter = Meter()
        if reference is not None:
            adapters = [Path(reference)]
        else:
            known = {**where, "base_fingerprint": base.fingerprint}
            adapters = _references(folder, rows, known, meter)
        scores, counts = launcher.score_tokens(train_file=rows, adapters=adapters, **where)
        token_scores.write(folder, scores)
        meter.read(counts["parameters"], counts["read"])
        return Outcome(counts, compute=meter.total("auto"))

    values: dict[str, Any] = {"weights": config.token_weights.value, **base.identity}
    if reference is None:
        values |= {"finetune": identity(config, drop=TOKEN_FIELDS), "seed": run.config.seed, "folds": FOLDS}
    else:
        read = ("template", "max_tokens", "dtype", "quantization")
        kept = {name: value for name, value in identity(config).items() if name in read}
        values |= {"finetune": kept, "reference": run.hashes.of(Path(reference))}
    slug = f"{run.config.model.name}-{run.config.selection.strategy}-s{run.config.seed}"
    return Step(
        "tokens",
        version("tokens"),
        slug,
        values,
        run.inputs("model", "select"),
        compute,
        scratch=(token_scores.REFERENCES,),
    )


def _references(folder: Path, rows: Path, where: dict[str, Any], meter: Meter) -> list[Path]:
    """Adapters of the subset without every `FOLDS`-th row, from the f-th on; `meter` is told what they
    took.
    """
    lines = rows.read_bytes().splitlines(keepends=True)
    adapters = []
    for fold in range(FOLDS):
        file, output = token_scores.reference(folder, fold)
        file.write_bytes(b"".join(line for i, line in enumerate(lines) if i % FOLDS != fold))
        output.mkdir(exist_ok=True)
        launcher.finetune(train_file=file, output_dir=output, **where)
        meter.add(adapter.compute_of(adapter.read_metrics(output)))
        adapters.append(adapter.weights(output))
    return adapters
