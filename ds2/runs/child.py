"""`python -m ds2.runs.child MODULE ARGUMENT...`: `python -m MODULE ARGUMENT...` that ends with its parent.

A trainer that went on alone would write beside the one that the next command starts.
"""

from __future__ import annotations

import runpy
import sys

from ds2.base.processes import end_with_parent


def main() -> None:
    """Run the module named first as the program."""
    end_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
