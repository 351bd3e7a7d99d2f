"""Reading a large pool: seconds and peak memory of 1,000,000 rows of 1 kB, read and validated.

    python benchmarks/pools.py [--rows 1000000] [--bytes 1000] [--folder /tmp]

Rows are generated (words of a fixed list, ids, a source, a score), written as JSON Lines and read in a
process of its own, so that its peak memory is the reading's. Prints one line; the bars are 60 s and 4 GiB on
two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_READ = """
import resource, sys, time
from ds2.config import FilesPoolConfig
from ds2.pool import PoolSource
began = time.perf_counter()
source = PoolSource(FilesPoolConfig(name="large", path=sys.argv[1]), num_scores=6)
source.fingerprint
hashed = time.perf_counter()
pool = source.load()
done = time.perf_counter()
print(len(pool), hashed - began, done - hashed, time.process_time(),
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def write_rows(path: Path, rows: int, size: int) -> None:
    """JSON Lines of `rows` conversations, `size` bytes each."""
    rng = random.Random(0)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 10))) for _ in range(2000)]
    texts = [" ".join(rng.choices(words, k=size // 4)) for _ in range(500)]
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            asked, told = texts[i % 500], texts[(7 * i + i // 500) % 500]
            row = {"id": f"row-{i}", "source": f"s{i % 7}", "score": i % 6}
            frame = len(json.dumps(row | {"messages": [{"role": "user", "content": ""},
                                                       {"role": "assistant", "content": ""}]}))  # fmt: skip
            left = size - 1 - frame
            row["messages"] = [
                {"role": "user", "content": asked[: left // 4]},
                {"role": "assistant", "content": told[: left - left // 4]},
            ]
            file.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=1_000)
    parser.add_argument("--folder", default=None, help="where the rows are written for a while")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "large.jsonl"
        write_rows(path, options.rows, options.bytes)
        began = time.perf_counter()
        command = [sys.executable, "-c", _READ, str(path)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        wall = time.perf_counter() - began
        rows, hashed, read, cpu, memory = map(float, told)
        print(
            f"{rows:,.0f} rows of {options.bytes:,} B ({path.stat().st_size / 1e6:,.0f} MB): hashed in "
            f"{hashed:.1f} s, read and validated in {read:.1f} s, {wall:.1f} s in all ({cpu:.1f} s of CPU), "
            f"peak memory {memory / 2**30:.2f} GiB"
        )


if __name__ == "__main__":
    main()
