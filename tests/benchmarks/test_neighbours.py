"""`benchmarks/neighbours.py` on few rows: every index answers, and DS2's find what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ds2.base.paths import project_root


def test_each_index_has_its_row(tmp_path: Path) -> None:
    script = project_root() / "benchmarks" / "neighbours.py"
    command = [sys.executable, str(script), "--rows", "1500", "--width", "16", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=250)
    rows = json.loads((tmp_path / "neighbours.json").read_text())["rows"]
    best = {row["index"]: row["recall"] or 0 for row in rows if row["at least"] == 0.95}
    assert best["DS2, exact"] == 1.0
    assert best["DS2, approximate"] >= 0.95
    assert {"FAISS HNSW", "FAISS NN-descent"} <= {row["index"] for row in rows}
    assert "rows per core-second" in (tmp_path / "neighbours.md").read_text()
