"""`python -m finetune SPEC.json`: one fine-tuning; under `accelerate launch -m finetune SPEC.json` on several
devices.
"""

from __future__ import annotations

import os
import sys
import time

from ds2.base.errors import UserError
from ds2.base.processes import Terminated
from ds2.base.progress import clock

_WAIT = 20.0
"""Seconds until another process than the first says what stopped it."""


def main(arguments: list[str]) -> int:
    """Exit code 0, 2 with one line on stderr where the user has something to change, or 143 where it was
    asked to end (SIGTERM).
    """
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print("usage: python -m finetune SPEC.json", file=sys.stderr)
        return 2
    from finetune.spec import read_spec
    from finetune.train import train

    try:
        spec = read_spec(arguments[0])
    except (OSError, ValueError) as error:
        print(f"finetune: {arguments[0]}: {error}", file=sys.stderr)
        return 2
    try:
        with clock("fine-tune", shown=spec.progress and os.environ.get("RANK", "0") == "0"):
            train(spec)
    except UserError as error:
        if os.environ.get("RANK", "0") != "0":  # the first says it for all, and the launcher ends the others
            time.sleep(_WAIT)
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    except Terminated as end:
        print(f"finetune: asked to end by {end}; a checkpoint is kept", file=sys.stderr)
        return end.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
