"""A configuration survives its record."""

from __future__ import annotations

import json

import pytest

from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.kept import keep, restore

CHOICES = {
    "default": [],
    "of another kind in every group": [
        "pool=jsonl", "pool.path=[a.jsonl,b.jsonl]", "rater=openai_compatible", "rater.model=m",
        "rater.base_url=http://127.0.0.1:1/v1", "embedder=sentence_transformers", "selection=less",
        "selection.target=t.jsonl", "model=tiny", "finetune=tiny", "eval=tiny", "budget.samples=0.1",
    ],
    "a panel": ["pool=jsonl", "pool.path=a.jsonl", "rater=panel",
                "rater.raters=[truth,{rater: from_column, column: a},gpt_4o_mini]"],
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_a_configuration_comes_back_from_json_as_it_was(name):
    config = compose(CHOICES[name])
    assert restore(json.loads(json.dumps(keep(config)))) == config


@pytest.mark.parametrize(
    ("group", "key", "value", "said"),
    [("rater", "kind", "GoneRaterConfig", "GoneRaterConfig"), ("knn", "gone", 3, "gone")],
)
def test_one_that_this_version_cannot_read_is_refused_by_name(group, key, value, said):
    kept = keep(compose([]))
    kept[group][key] = value
    with pytest.raises(UserError, match=said):
        restore(kept)
