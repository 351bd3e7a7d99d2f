"""A disk that is full in a stage (no file may grow beyond a limit): one line; with room, the same
command goes on.
"""

from __future__ import annotations

import resource
import shutil

import pytest
from helpers.faults import ISOLATED, SHORTEST, TUNED, Place
from helpers.worlds import artifacts


@pytest.mark.parametrize("stage", TUNED)
def test_a_full_disk_is_one_line_and_the_rerun_goes_on(stage, tmp_path, quiet, rng, moments, tally):
    whole = quiet(SHORTEST[stage])
    (folder,) = (
        path for name, path in artifacts(whole.store, pages=True).items() if name.startswith(f"{stage}/")
    )
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    for i, share in enumerate(moments):
        apart = ISOLATED if stage in ("finetune", "evaluate") and i % 2 else ()
        place = Place(tmp_path / str(i), (*whole.options, *apart), whole.stages)
        place.holding(whole, before=stage)
        code, said = place.run({resource.RLIMIT_FSIZE: int(share / 1.1 * max(sizes))})
        errors = [line for line in said.splitlines() if line.startswith("error")]
        again = place.rerun(whole)
        one_line = code == 2 and "Traceback" not in said and 1 <= len(errors) <= 1 + len(apart)
        fine = again == "equal" and one_line
        tally("full disk", stage, "one line, then equal" if fine else f"{code}: {said[-900:]}; {again}", fine)
        shutil.rmtree(place.folder)
