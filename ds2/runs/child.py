"""`python -m ds2.runs.child MODULE ARGUMENT...`: `python -m MODULE ARGUMENT...` that ends with its parent,
after the seconds that a checkpoint takes.

A trainer that went on alone would write beside the one that the next command starts.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

from ds2.base.drafts import is_disk_full
from ds2.base.errors import first_line, lacks_memory
from ds2.base.processes import end_with_parent

PARENT = "DS2_PARENT"
"""Environment variable: the pid of the command that started this process."""
_SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of <linux/prctl.h>."""
_ORPHANED = signal.SIGURG
"""A signal that nobody else uses, and whose number, 23, is about `LAST_WORDS`."""


def main() -> None:
    """Run the module named first as the program; an interrupt ends it without a word. A launcher ends with
    the exit code of the first of its processes that failed, 128 + N where signal N ended it.
    """
    # A launcher's own processes are not told of it.
    end_with_parent(int(os.environ.pop(PARENT, os.getppid())))
    _end_by_the_kernel_too()
    del sys.argv[0]
    name = sys.argv[0]
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # the terminal's, which the parent has too: it says so
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "get_first_failure"):  # torch.distributed's, of the processes that it started
            code = error.get_first_failure()[1].exitcode
            sys.exit(code if code >= 0 else 128 - code)
        lacks = "space on the disk" if is_disk_full(error) else "memory" if lacks_memory(error) else None
        if lacks is None:
            raise
        print(f"{name}: too little {lacks}: {first_line(error)}", file=sys.stderr)
        sys.exit(2)


def _end_by_the_kernel_too() -> None:
    """A library that holds the interpreter's lock for long, or for ever, stops the thread that looks for the
    parent, and Python's own handlers. On Linux the kernel sends a signal when the thread that started this
    process has ended, which waits for it. The handler is C's `alarm`, which takes the signal's number for
    seconds, and ends the process after them.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal.restype = ctypes.c_void_p
        libc.signal(_ORPHANED, ctypes.cast(libc.alarm, ctypes.c_void_p))
        libc.prctl(_SET_DEATH_SIGNAL, _ORPHANED)


if __name__ == "__main__":
    main()
