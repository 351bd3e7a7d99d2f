"""Where a pool comes from: known by its content before it is read.

A pool's fingerprint is its content. Moving a file changes nothing; editing one changes everything downstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json, file_sha256, fingerprint
from ds2.base.load import load_function
from ds2.base.progress import Bar
from ds2.config import FilesPoolConfig, HubPoolConfig, MiniPoolConfig, PoolConfig, RowsPoolConfig, World
from ds2.pool import hub
from ds2.pool.columns import Renaming
from ds2.pool.files import Found, find_files
from ds2.pool.hashed import HashedFiles
from ds2.pool.ids import prefixes, short_names
from ds2.pool.intake import read_pool
from ds2.pool.opening import Meter
from ds2.pool.pool import Origin, Pool
from ds2.pool.reading import MAX_ROW_BYTES, read_file
from ds2.pool.samples import Place
from ds2.pool.shapes import has_shape

_SINCE = {"columns": None, "turns": "all", "on_duplicate_ids": "refuse", "max_row_bytes": MAX_ROW_BYTES}
"""Fields that came later: part of the content where they are not as usual, so that a pool that does not use
them keeps its fingerprint.
"""

MINI = "mini pool"
"""Where the rows of a generated pool stand, for `Place`."""
_SHOWN = 50 * 1000**2
"""Bytes from which on reading shows a bar."""
_SLOW = 1.0
"""Seconds of hashing that show none: a remembered hash is there at once."""


@dataclass(frozen=True)
class Sieve:
    """Samples that are left out of a pool once it is read."""

    fingerprint: str
    """Of what decides which."""
    left_out: Callable[[], Mapping[int, str]]
    """Position in the whole pool -> why."""


class PoolSource:
    """A pool that is known but not yet read: its fingerprint, and the samples when somebody asks."""

    def __init__(
        self,
        config: PoolConfig,
        *,
        num_scores: int,
        offline: bool = False,
        progress: bool = False,
        hash_file: Callable[..., str] = file_sha256,
        trust_times: bool = True,
        sieve: Sieve | None = None,
    ) -> None:
        """`progress` shows a bar while a large pool is hashed or read. `hash_file` gives a file's SHA-256 and
        takes what `file_sha256` takes; one that remembers spares a sweep from reading a large pool again.
        Without `trust_times` a file is hashed once more when it has been read.
        """
        if isinstance(config, FilesPoolConfig) and str(config.path).startswith(hub.SCHEME):
            config = hub.from_path(config)
        self.config = config
        self._hash_file, self._trust_times = hash_file, trust_times
        self._hashed = HashedFiles(hash_file, trust_times=trust_times)
        self.num_scores = num_scores
        self.offline = offline
        self.progress = progress
        self._sieve = sieve

    @cached_property
    def whole(self) -> PoolSource:
        """The pool before anything is left out of it."""
        return self if self._sieve is None else self.through(None)

    def through(self, sieve: Sieve | None) -> PoolSource:
        """The pool without what a sieve leaves out."""
        return PoolSource(
            self.config, num_scores=self.num_scores, offline=self.offline, progress=self.progress,
            hash_file=self._hash_file, trust_times=self._trust_times, sieve=sieve,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """Short name for slugs and tables."""
        return self.config.label

    @cached_property
    def fingerprint(self) -> str:
        """The hash of the content and of what decides which rows are kept."""
        if self._sieve is not None:
            return fingerprint({"pool": self.whole.fingerprint, "sieve": self._sieve.fingerprint})
        return fingerprint({"pool": self._content()})

    def load(self) -> Pool:
        """The samples, validated. A process keeps the last pool, so a sweep reads it once.

        Raises:
            UserError: no file, no row, or, under `on_bad_rows=fail`, a bad row (named with file and field);
                a file that changed since its fingerprint was taken.
        """
        return _load(self) if self._sieve is None else self._sifted

    @cached_property
    def _sifted(self) -> Pool:
        assert self._sieve is not None
        return self.whole.load().without(self._sieve.left_out())

    def __hash__(self) -> int:
        return hash((self.fingerprint, self.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PoolSource) and (self.fingerprint, self.name) == (
            other.fingerprint,
            other.name,
        )

    def _content(self) -> dict[str, Any]:
        config = self.config
        if config.implementation is not None:
            left_out = {"name", *config.files}
            fields = {key: value for key, value in to_plain(config).items() if key not in left_out}
            content = {
                name: self._hashed.sha256(Path(getattr(config, name)).expanduser()) for name in config.files
            }
            return {"kind": type(config).__name__} | config.implementation_identity() | fields | content
        if isinstance(config, MiniPoolConfig):
            # The rows are cheap to make, so their content is the identity: a changed generator is a new pool.
            return {"rows": _mini_content(config.samples, config.seed, self.num_scores, config.world)}
        assert isinstance(config, RowsPoolConfig)
        kept = to_plain(config)
        content = {key: kept[key] for key in ("format", "on_bad_rows", "limit", "source")}
        content |= {key: kept[key] for key, usual in _SINCE.items() if kept.get(key, usual) != usual}
        if isinstance(config, FilesPoolConfig):
            return content | {"files": list(self._hashes.values())}
        assert isinstance(config, HubPoolConfig)
        commit = hub.resolve_dataset(config.dataset, config.revision, offline=self.offline)
        return content | {
            "dataset": config.dataset,
            "subset": config.subset,
            "split": config.split,
            "commit": commit,
        }

    @cached_property
    def _hashes(self) -> Mapping[Path, str]:
        """File -> its SHA-256."""
        with self._meter("hashing", delay=_SLOW) as meter:
            return {path: self._hashed.sha256(path, meter.add) for path in self.found.files}

    @property
    def origins(self) -> Mapping[str, Origin]:
        """What the pool was read from, by `Place.file`."""
        if self.found.files:
            names = short_names(map(str, self.found.files))
            return {str(path): Origin(names[str(path)], f"sha256:{h}") for path, h in self._hashes.items()}
        config = self.config
        if isinstance(config, HubPoolConfig) and config.implementation is None:
            commit = self._content()["commit"]
            parts = "/".join(filter(None, [config.dataset, config.subset, config.split]))
            return {config.dataset: Origin(f"{hub.SCHEME}{parts}", f"commit:{commit}")}
        place = MINI if isinstance(config, MiniPoolConfig) else str(config.implementation)
        return {place: Origin(place, f"rows:{self.fingerprint}")}

    @cached_property
    def found(self) -> Found:
        """The pool's files; none of a pool that is not made of files."""
        if not isinstance(self.config, FilesPoolConfig):
            return Found()
        rename = Renaming(self.config.columns)

        def known(raw: Any) -> bool:
            return has_shape(rename.apply(raw) if rename and isinstance(raw, dict) else raw)

        return find_files(self.config.paths, known)

    def refuse_changed(self) -> None:
        """Raises UserError where a file is no longer what the fingerprint was taken of."""
        self._hashed.refuse_changed()

    @contextmanager
    def _meter(self, doing: str, delay: float = 0.0) -> Iterator[Meter]:
        """A bar over the bytes of the files, where they are many."""
        total = sum(map(_size, self.found.files))
        hidden = not self.progress or total < _SHOWN
        name = f"{doing} {self.name}"
        with Bar(desc=name, total=total, unit="B", unit_scale=True, delay=delay, disable=hidden) as bar:
            yield Meter(bar)

    def raw_rows(self) -> Iterator[tuple[Place, Any]]:
        """`(place, row)` for each row as it stands in the file."""
        config = self.config
        if config.implementation is not None:
            read = cast(Iterable[Any], load_function(config.implementation)(config))
            yield from ((Place(str(config.implementation), i), row) for i, row in enumerate(read, 1))
        elif isinstance(config, MiniPoolConfig):
            rows = _mini_rows(config.samples, config.seed, self.num_scores, config.world)
            yield from ((Place(MINI, i), row) for i, row in enumerate(rows, 1))
        elif isinstance(config, FilesPoolConfig):
            with self._meter("reading") as meter:
                for path in self.found.files:
                    yield from read_file(path, config.max_row_bytes, meter)
        elif isinstance(config, HubPoolConfig):
            commit = hub.resolve_dataset(config.dataset, config.revision, offline=self.offline)
            yield from hub.read_dataset(config.dataset, config.subset, config.split, commit)
        else:
            raise TypeError(f"unknown kind of pool: {type(config).__name__}")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # said when it is read
        return 0


def _mini_rows(samples: int, seed: int, num_scores: int, world: World) -> list[dict[str, Any]]:
    from ds2.mini import generate_pool

    if samples < 1:
        raise UserError(f"pool.samples={samples} must be at least 1")
    return generate_pool(samples=samples, seed=seed, num_scores=num_scores, world=world)


@cache
def _mini_content(samples: int, seed: int, num_scores: int, world: World) -> str:
    rows = _mini_rows(samples, seed, num_scores, world)
    return fingerprint([canonical_json(row).decode() for row in rows])


@lru_cache(maxsize=1)
def _load(source: PoolSource) -> Pool:
    config = source.config if isinstance(source.config, RowsPoolConfig) else RowsPoolConfig(name=source.name)
    prefix = prefixes(map(str, source.found.files))
    pool = read_pool(source.raw_rows(), config, source.name, prefix, source.found.notes)
    source.refuse_changed()
    return replace(pool, origins=source.origins)
