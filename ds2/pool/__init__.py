"""Pools: conversations with an id, a source and whatever columns came with them."""

from ds2.pool.pool import Pool, PoolSource, Sample
from ds2.pool.rows import Message

__all__ = ["Message", "Pool", "PoolSource", "Sample"]
