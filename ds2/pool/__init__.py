"""Pools: conversations with an id, a source and whatever columns came with them."""

from ds2.pool.messages import Message
from ds2.pool.pool import Pool
from ds2.pool.samples import Sample
from ds2.pool.source import PoolSource

__all__ = ["Message", "Pool", "PoolSource", "Sample"]
