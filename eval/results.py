"""lm-eval's output as this project keeps it: one row a metric, one row an answered question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

COLUMNS = ("task", "doc_id", "prompt", "target", "answer", "score")


def metric_rows(task: str, output: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each metric of the task, and of its members where it is a group; the first row is the task's
    own score.

    Values and standard errors are shares in 0..1 wherever lm-eval's are.
    """
    names = sorted(output["results"], key=lambda name: name != task)  # a group before its members
    rows = []
    for name in names:
        scores = output["results"][name]
        for key, value in scores.items():
            metric, comma, filter_name = key.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            rows.append(
                {
                    "task": name,
                    "metric": metric,
                    "filter": filter_name,
                    "value": _number(value),
                    "stderr": _number(scores.get(f"{metric}_stderr,{filter_name}")),
                    "n": _count(name, output),
                    "num_fewshot": output["n-shot"].get(name),
                    "version": _number(output["versions"].get(name)),
                }
            )
    return rows


def sample_rows(output: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Each question with the model's answer: generated text, or the choice of highest likelihood."""
    for task, samples in output["samples"].items():
        multiple_choice = output["configs"][task].get("output_type") == "multiple_choice"
        first_filter = samples[0]["filter"] if samples else None
        for sample in samples:
            if sample["filter"] != first_filter:
                continue  # the same question again, its answer extracted in another way
            prompt = str(sample["arguments"][0][0])
            answer = _chosen(sample) if multiple_choice else _text(sample["filtered_resps"][0])
            score = _number(sample[sample["metrics"][0]])
            target = _text(sample["target"])
            values = (task, int(sample["doc_id"]), prompt, target, answer, score)
            yield dict(zip(COLUMNS, values, strict=True))


def write_samples(rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string(), pa.float64())
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(list(zip(COLUMNS, types, strict=True)))), path)


def _count(name: str, output: Mapping[str, Any]) -> int:
    members = output.get("group_subtasks", {}).get(name)
    if members:
        return sum(_count(member, output) for member in members)
    return int(output["n-samples"][name]["effective"]) if name in output["n-samples"] else 0


def _chosen(sample: Mapping[str, Any]) -> str:
    likelihoods = [response[0] for response in sample["filtered_resps"]]
    return str(sample["arguments"][max(range(len(likelihoods)), key=likelihoods.__getitem__)][1]).strip()


def _text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else str(value[0] if isinstance(value, list | tuple) and value else value)
    )


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None  # lm-eval writes "N/A" where a figure has no standard error
    return number if math.isfinite(number) else None
