"""The hub is lost in the middle of a file: one line, no half model is used, and the same command goes on."""

from __future__ import annotations

import pytest
from helpers.encoders import tiny_encoder
from helpers.faults import CHAINS, Place
from helpers.hub_server import hub

pytest.importorskip("sentence_transformers", reason="sentence_transformers is not installed")

NAME = "some/encoder"
OPTIONS = (*CHAINS["select"][:2], "until=embed", "embedder=sentence_transformers", f"embedder.model={NAME}")


def test_a_hub_lost_in_the_middle_of_a_model_is_one_line(tmp_path, moments, tally):
    encoder = tiny_encoder(tmp_path)
    total = sum(file.stat().st_size for file in encoder.iterdir())
    with hub(NAME, encoder) as server:

        def places(name: str) -> tuple[Place, Place]:
            """Where it is prepared, and where it runs."""
            folder = tmp_path / name
            environment = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "0"}
            stages = ("embed", "report")
            return (Place(folder, (*OPTIONS, "prepare=true"), stages, environment),
                    Place(folder, OPTIONS, stages, environment | {"HF_HUB_OFFLINE": "1"}))  # fmt: skip

        first, whole = places("whole")
        assert first.run()[0] == 0
        assert whole.run()[0] == 0
        for i, share in enumerate(moments):
            server.sent, server.lose_after = 0, min(int(share / 1.1 * total), total - 1)
            prepared, place = places(str(i))
            code, output = prepared.run()
            last = output.strip().splitlines()[-1]
            one_line = code == 2 and "Traceback" not in output and last.startswith("error missing: embedder")
            early, said = place.run()
            refused = early == 2 and "Traceback" not in said and not list(place.store.glob("embed/*-*"))
            sent, server.lose_after = server.sent, None
            code, output = prepared.run()
            became = place.rerun(whole) if code == 0 else output[-600:]
            again = server.sent - sent
            fine = one_line and refused and became == "equal" and again <= total
            tally(
                "hub lost in the middle", "a model that is fetched",
                "one line, no half model used, then equal" if fine else f"{last}; {said}; {became}", fine,
            )  # fmt: skip
