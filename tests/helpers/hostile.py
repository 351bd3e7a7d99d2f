"""What comes from outside, damaged or hostile: each reader takes any bytes and comes to a result or says in a
line what is wrong with them. Anything else is raised: a finding.

    python tests/helpers/hostile.py --minutes 10 [--target pool] [--seed 0]

Changes what a reader usually gets, by chance or, where atheris is installed (`make fuzz`), by which code it
reaches, and says how many inputs each reader was given.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ds2.artifacts.record import RECORD, checksum, read_record
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json
from ds2.config import BadRows, FilesPoolConfig, Reading
from ds2.config.compose import compose
from ds2.config.hydra_errors import explain
from ds2.models.chat import Answer
from ds2.pool import PoolSource
from ds2.pool.anchors_file import AnswerScale, name_anchors, read_anchors
from ds2.rating.parse import read as read_answer
from ds2.rating.rubric import PAPER

ROW = (
    b'{"id": "a", "score": 3, "messages": [{"role": "user", "content": "why?"}, '
    b'{"role": "assistant", "content": "because \\u00e9"}]}\n'
)
ANSWER = '{"rarity": 3, "complexity": 4, "informativeness": 5, "overall_rating": 6}'
_IDS = [f"s{i}" for i in range(40)]
_ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".arrow", ".jsonl.gz", ".txt")
_HANGS = 40
"""Seconds: longer for one input is a finding."""


def one_line(error: Exception) -> str:
    """What the command says of it. Raises AssertionError where that is no line, or holds control codes."""
    said = explain(error) if isinstance(error, HydraException | OmegaConfBaseException) else str(error)
    assert said.strip(), f"{type(error).__name__} without a word"
    return said


def read_pool(path: Path, bad_rows: BadRows = BadRows.drop, max_bytes: int = 1 << 20) -> int:
    """The rows that are kept of a file. Raises UserError."""
    config = FilesPoolConfig(name="p", path=str(path), on_bad_rows=bad_rows, max_row_bytes=max_bytes)
    return len(PoolSource(config, num_scores=6).load())


def pool(data: bytes, folder: Path) -> None:
    """A pool of one file, whose ending the first byte chooses."""
    path = folder / f"pool{_ENDINGS[data[0] % len(_ENDINGS)] if data else '.jsonl'}"
    path.write_bytes(data[1:])
    for bad_rows in BadRows:
        try:
            read_pool(path, bad_rows)
        except UserError as error:
            one_line(error)


def answer(data: bytes, _: Path) -> None:
    """A language model's answer, as every kind of text."""
    text = data.decode("utf-8", "surrogateescape")
    for finish in ("stop", "length"):
        verdict = read_answer(Answer("k", text, finish), Reading.answer, PAPER)
        assert verdict.outcome.rated == (1 <= verdict.rating <= 10), verdict


def record(data: bytes, folder: Path) -> None:
    """An artifact whose record is these bytes; read, verified and listed."""
    artifact = folder / "select" / "x-0123456789abcdef"
    artifact.mkdir(parents=True, exist_ok=True)
    (artifact / "subset.jsonl").write_text("{}\n")
    (artifact / RECORD).write_bytes(data)
    try:
        read_record(artifact)
        ArtifactStore(folder).verify(artifact)
    except UserError as error:
        one_line(error)


def anchors(data: bytes, folder: Path) -> None:
    """A file of people's scores."""
    path = folder / "anchors.csv"
    path.write_bytes(data)
    for reader in (name_anchors, lambda path: read_anchors(path, _IDS, "0" * 16, AnswerScale(1, 10, 4, 6))):
        try:
            reader(path)
        except UserError as error:
            one_line(error)


def plugin(data: bytes, folder: Path) -> None:
    """A plugin's choice of a rater."""
    path = folder / "hostile_plugin" / "conf" / "rater" / "odd.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "hostile_plugin" / "__init__.py").touch()
    path.write_bytes(data)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        compose(["plugins=[hostile_plugin]", "rater=odd", "pool=jsonl", "pool.path=x", "until=select"])
    except (UserError, HydraException, OmegaConfBaseException) as error:
        one_line(error)


@dataclass(frozen=True)
class Target:
    """A reader, and what it usually gets."""

    read: Callable[[bytes, Path], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()
    """What means something to it."""


def _record_seed() -> bytes:
    made = {
        "stage": "select", "version": 1, "fingerprint": "0123456789abcdef", "slug": "x", "config": {"a": 1},
        "inputs": {"pool": "00"}, "counts": {}, "warnings": [], "wall_seconds": 1.0,
        "run": None, "finished": "2026-01-01T00:00:00+00:00", "versions": {}, "host": {},
        "files": {"subset.jsonl": {
            "sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356", "bytes": 3}},
    }  # fmt: skip
    return canonical_json(made | {"checksum": checksum(made)})  # type: ignore[arg-type]


_JSON_WORDS = (b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"NaN", b"1e999", b"\\ud83d", b"[" * 3000)
TARGETS: Mapping[str, Target] = {
    "pool": Target(
        pool,
        (b"\x00" + ROW * 3, b"\x01[" + ROW + b"," + ROW + b"]", b'\x02question,answer\n"a ""b""",c\nd,e\n',
         b'\x01{"data": [' + ROW + b"]}", b'\x00{"instruction": "a", "output": "b"}\n{"prompt": "a"}\n'),
        (*_JSON_WORDS, b'"role"', b'"content"', b'"messages"', b'"conversations"', b'"from"', b'"weight"',
         b'"tool_calls"', b"user", b"assistant", b"system", b"tool", b"\xef\xbb\xbf", b"\xff\xfe", b"\n",
         b"PAR1", b"ARROW1", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"),
    ),
    "answer": Target(
        answer,
        (ANSWER.encode(), f"```json\n{ANSWER}\n```".encode(), b"Overall rating: 7/10", b"<think>a</think>7"),
        (*_JSON_WORDS, b"overall_rating", b"Overall Rating", b"</think>", b"<think>", b"```", b"out of", b"/",
         b"'", b"10", b"-1", b"7,5", b"sorry", b"{" * 500),
    ),
    "record": Target(
        record,
        (_record_seed(), b'{"checksum": ""}', b"[]"),
        (*_JSON_WORDS, b'"files"', b'"sha256"', b'"bytes"', b'"checksum"', b'"../../x"', b'"stage"'),
    ),
    "anchors": Target(
        anchors,
        (b"id,row,score,weight,pool\n" + b"".join(b"s%d,%d,%d,1.5,%s\n" % (i, i, 1 + i % 10, b"0" * 16)
                                                  for i in range(30)),
         b"id;score\n" + b"".join(b"s%d;%d\n" % (i, 1 + i % 10) for i in range(30))),
        (b"id", b"row", b"score", b"weight", b"pool", b",", b";", b"\n", b'"', b"nan", b"inf", b"1e999",
         b"-1", b"\x00", b"\xef\xbb\xbf", b"0" * 5000),
    ),
    "plugin": Target(
        plugin,
        (b"defaults: [simulated_rater_schema, _self_]\nname: odd\n",
         b"# comment\ndefaults:\n  - llm_rater_schema\n  - _self_\nname: odd\nmodel: m\nbackend: openai\n"),
        (b"defaults", b"_self_", b"[", b"]", b"{", b"}", b": ", b"&a ", b"*a", b"!!python/object:os.system ",
         b"${oc.env:HOME}", b"${a}", b"???", b"_target_", b"\t", b"- ", b"override ", b"@_global_", b"null",
         b"1_000", b"0x1f", b"2001-01-01", b"<<: ", b"? ", b"|", b">", b"%TAG", b"---", b"...", b"\x00"),
    ),
}  # fmt: skip


def changed(data: bytes, words: Sequence[bytes], rng: random.Random) -> bytes:
    """One to six changes: a bit, a piece taken out, doubled, moved or put in, a word that means something."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        piece = out[at : at + rng.choice((1, 2, 8, 64))]
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + len(piece)]
            case 2:
                out[at:at] = piece * rng.choice((1, 3, 50))
            case 3:
                to = rng.randrange(len(out) + 1)
                out[to:to] = piece
            case 4:
                out[at:at] = rng.randbytes(rng.choice((1, 4, 16)))
            case _ if words:
                word = rng.choice(words)
                out[at : at + rng.choice((0, len(word)))] = word
    return bytes(out)


class _Watch:
    """Gives a reader its inputs: how many, and one for each place where something came of it that is no
    line.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.target, self.folder, self.count = TARGETS[name], folder, 0
        self.found: dict[str, tuple[bytes, str]] = {}

    def give(self, data: bytes) -> None:
        started = time.process_time()
        try:
            self.target.read(data, self.folder)
        except Exception as error:  # noqa: BLE001 any is a finding, and is said
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} {last.filename}:{last.lineno}"
            self.found.setdefault(place, (data, traceback.format_exc()))
        took = time.process_time() - started
        if took > _HANGS:
            self.found.setdefault("slow", (data, f"took {took:.0f} s"))
        self.count += 1


def _by_chance(watch: _Watch, seconds: float, seed: int) -> None:
    rng, until = random.Random(seed), time.monotonic() + seconds
    known = list(watch.target.seeds)
    while time.monotonic() < until:
        data = changed(rng.choice(known), watch.target.words, rng)
        watch.give(data)
        if watch.count % 50 == 0 and len(data) < 20_000:
            known = [*watch.target.seeds, *known[-200:], data]


def _by_code(watch: _Watch, seconds: float, seed: int, ended: Callable[[], None]) -> None:
    """libFuzzer never returns: `ended` is called when the time is over, and ends the process."""
    import atheris

    corpus, words = watch.folder / "corpus", watch.folder / "words"
    corpus.mkdir()
    for i, data in enumerate(watch.target.seeds):
        (corpus / str(i)).write_bytes(data)
    hexes = ("".join(f"\\x{byte:02x}" for byte in word) for word in watch.target.words if len(word) < 64)
    words.write_text("".join(f'"{word}"\n' for word in hexes))
    for function in _functions():
        atheris.instrument_func(function)
    until = time.monotonic() + seconds

    def take(data: bytes) -> None:
        if time.monotonic() > until:
            ended()
        watch.give(data)

    atheris.Setup(["ds2", f"-seed={seed + 1}", f"-dict={words}", "-max_len=8192", "-verbosity=0",
                   "-rss_limit_mb=8000", "-timeout=600", str(corpus)], take)  # fmt: skip
    atheris.Fuzz()


def _functions() -> Iterator[FunctionType]:
    """DS2's own, of all modules that are loaded."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ds2."):
            holders = [module, *(each for each in vars(module).values() if isinstance(each, type))]
            for holder in holders:
                own = (each for each in vars(holder).values() if isinstance(each, FunctionType))
                yield from (each for each in own if each.__module__ == name)


def _search(name: str, seconds: float, seed: int, said: multiprocessing.Queue) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watch = _Watch(name, Path(folder))

        def ended() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            said.put((watch.count, list(watch.found.values())))
            said.close()
            said.join_thread()
            os._exit(0)

        if find_spec("atheris") is None:
            _by_chance(watch, seconds, seed)
        else:
            _by_code(watch, seconds, seed, ended)
        ended()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="for all readers together")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names, wrong = given.target or list(TARGETS), 0
    for name in names:
        said: multiprocessing.Queue = multiprocessing.Queue()
        seconds = 60 * given.minutes / len(names)
        child = multiprocessing.Process(target=_search, args=(name, seconds, given.seed, said))
        child.start()
        count, found = said.get(timeout=seconds + 900)
        child.join()
        wrong += len(found)
        print(f"{name}: {count:,} inputs in {seconds:.0f} s, {len(found)} findings", flush=True)
        for i, (data, how) in enumerate(found):
            where = Path(tempfile.gettempdir()) / f"hostile-{name}-{os.getpid()}-{i}"
            where.write_bytes(data)
            print(f"{how}\nthe input: {where}", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
