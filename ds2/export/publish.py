"""A subset as a data set that others can use: data, card, Croissant, checksums, how to cite it.

What DS2 cannot know is asked for (the licence) or said to be unknown (what the source holds of persons),
never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2.artifacts.record import Record, read_record
from ds2.artifacts.subset import read_report
from ds2.artifacts.subset_report import SubsetReport
from ds2.artifacts.subset_text import file_lines
from ds2.base.hashes import file_sha256
from ds2.base.json_files import write_json
from ds2.export.croissant import croissant
from ds2.export.hf import DATA, front_matter
from ds2.export.hf import write as write_data
from ds2.export.subset import Subset, open_subset
from ds2.export.tally import Tally

CARD, CROISSANT, SUMS, CITE = "README.md", "croissant.json", "SHA256SUMS", "CITATION.bib"
FILES = (DATA, CARD, CROISSANT, CITE, SUMS)
_METHOD = """\
@inproceedings{ds2_iclr2025,
  title  = {Improving Data Efficiency via Curating {LLM}-Driven Rating Systems},
  author = {Pang, Jinlong and Wei, Jiaheng and Shah, Ankit Parag and Zhu, Zhaowei and Wang, Yaxuan and
            Qian, Chen and Liu, Yang and Bao, Yujia and Wei, Wei},
  booktitle = {International Conference on Learning Representations (ICLR 2025)},
  year   = {2025},
  url    = {https://arxiv.org/abs/2410.10877},
}
"""


def write_publication(subset_folder: Path, folder: Path, *, licence: str, url: str, name: str) -> None:
    """Write `FILES` into an empty folder.

    Args:
        licence: of the source, as its owner states it.
        url: where the data set will be.
        name: what it is called.

    Raises:
        DamagedArtifact: the subset cannot be read.
    """
    subset = open_subset(subset_folder, with_scores=True)
    record, report = read_record(subset_folder), read_report(subset_folder)
    write_data(subset, folder, Tally())
    (folder / CITE).write_text(_METHOD, encoding="utf-8")
    told = {
        "name": name, "licence": licence, "url": url, "citation": _METHOD, "date": record["finished"][:10],
        "description": f"{report.title}. Instruction-tuning conversations selected with DS2.",
        "rai": _rai(record, report),
    }  # fmt: skip
    data = folder / DATA
    write_json(folder / CROISSANT, croissant(subset, told, file_sha256(data), data.stat().st_size))
    card = "\n".join(_card(subset, record, report, told))
    (folder / CARD).write_text(front_matter(subset.rows, licence=licence) + card + "\n", encoding="utf-8")
    sums = [f"{file_sha256(folder / file)}  {file}" for file in FILES if file != SUMS]
    (folder / SUMS).write_text("\n".join(sums) + "\n", encoding="utf-8")


def _rai(record: Record, report: SubsetReport) -> dict[str, Any]:
    """RAI's fields, as far as a selection can know them."""
    read_from = ", ".join(f"{name} ({digest})" for name, digest in report.files.items())
    strategy = record["config"].get("strategy", "a selection of one's own")
    return {
        "dataCollection": (
            f"{report.selected:,} of the {report.pool:,} rows of a pool, chosen by DS2's selection "
            f"`{strategy}`; how the pool itself was collected is for its owner to say."
        ),
        "dataCollectionType": ["Secondary Data Analysis", "Software Collection"],
        "dataManipulationProtocol": (
            f"Rows as the source has them. Configuration and inputs of the choice: {record['slug']}, "
            f"fingerprint {record['fingerprint']}. Read from: {read_from or 'files that were not recorded'}."
        ),
        "dataUseCases": ["Supervised fine-tuning of language models"],
        "dataLimitations": [
            "Scores, where there are any, are a rater's judgements, not people's.",
            "What the source gets wrong, the subset may hold too: facts were not checked.",
        ],
        "dataBiases": [
            "Raters prefer some lengths, styles and languages; the card says what the choice owes to length.",
            "Sources are not represented as in the pool; the card has their counts.",
        ],
        "personalSensitiveInformation": ["Not examined: what the source holds of persons, this holds too."],
    }


def _card(subset: Subset, record: Record, report: SubsetReport, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {told['name']}\n\n{told['description']}\n"
    yield f"- Rows: {report.selected:,} of {report.pool:,}"
    yield f"- Licence of the source, as stated by who published this: `{told['licence']}`"
    yield f"- Selected {told['date']} with DS2: `{record['slug']}`, fingerprint `{record['fingerprint']}`"
    yield from file_lines(report)
    yield f"- Checksums: `{SUMS}` (`sha256sum -c {SUMS}`); for machines: `{CROISSANT}`\n"
    yield "```python\nfrom datasets import load_dataset\n"
    yield f'train = load_dataset("{told["url"]}", split="train")\n```\n'
    yield "| source | pool | here |\n|---|---:|---:|"
    for name, count in report.sources.items():
        yield f"| {name.replace('|', chr(92) + '|')} | {count.pool:,} | {count.subset:,} |"
    yield "\n## Columns\n\n`id`, `source` and `messages` of each conversation, best first."
    if subset.has_tools:
        yield "`tools`: the tools that it may call, JSON."
    if subset.has_extra:
        yield "`extra`: the source row's other fields, one JSON object."
    if subset.scores:
        yield f"Of the choice: {', '.join(f'`{name}`' for name in subset.scores)}."
    for title, key in (
        ("Collection", "dataCollection"), ("Limits", "dataLimitations"), ("Biases", "dataBiases"),
        ("Persons", "personalSensitiveInformation"),
    ):  # fmt: skip
        text = told["rai"][key]
        lines = text if isinstance(text, str) else "\n".join(f"- {line}" for line in text)
        yield f"\n## {title}\n\n{lines}"
    yield "\n## How to cite\n\nThe source, as it asks to be cited, and the method:\n"
    yield f"```bibtex\n{_METHOD}```"
