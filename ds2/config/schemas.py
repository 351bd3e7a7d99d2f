"""The schema that each YAML file of `conf/` starts from."""

from __future__ import annotations

from collections.abc import Mapping

from ds2.config.curation import CurationConfig, KnnConfig, SentenceEmbedderConfig, TfidfEmbedderConfig
from ds2.config.pool import FilesPoolConfig, HubPoolConfig, MiniPoolConfig
from ds2.config.rating import (
    ColumnRaterConfig,
    LlmRaterConfig,
    ReleasedRaterConfig,
    SeveralRatersConfig,
    SimulatedRaterConfig,
)
from ds2.config.run import EngineConfig, RunConfig, TrackingConfig
from ds2.config.selection import SCHEMAS, BudgetConfig
from ds2.config.training import EvalConfig, FinetuneConfig, HubModelConfig, MiniModelConfig, TinyModelConfig


def register_schemas() -> None:
    """Give Hydra each group's schema, under the name that the group's YAML files start from."""
    from hydra.core.config_store import ConfigStore

    schemas: Mapping[str, Mapping[str, type]] = {
        "pool": {"files_pool": FilesPoolConfig, "hub_pool": HubPoolConfig, "mini_pool": MiniPoolConfig},
        "rater": {
            "released_rater": ReleasedRaterConfig,
            "column_rater": ColumnRaterConfig,
            "several_raters": SeveralRatersConfig,
            "simulated_rater": SimulatedRaterConfig,
            "llm_rater": LlmRaterConfig,
        },
        "embedder": {"sentence_embedder": SentenceEmbedderConfig, "tfidf_embedder": TfidfEmbedderConfig},
        "knn": {"knn": KnnConfig},
        "curation": {"curation": CurationConfig},
        "selection": SCHEMAS,
        "budget": {"budget": BudgetConfig},
        "model": {"hub_model": HubModelConfig, "tiny_model": TinyModelConfig, "mini_model": MiniModelConfig},
        "finetune": {"finetune": FinetuneConfig},
        "eval": {"eval": EvalConfig},
        "tracking": {"tracking": TrackingConfig},
        "engine": {"engine": EngineConfig},
    }
    store = ConfigStore.instance()
    store.store(name="run_schema", node=RunConfig)
    for group, nodes in schemas.items():
        for name, node in nodes.items():
            store.store(group=group, name=f"{name}_schema", node=node)
