"""Ties a child of `resfed up` to its parent, so that none is left behind by a kill -9."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "RESFED_UP_PID"
_PR_SET_PDEATHSIG = 1


def follow_parent() -> None:
    """Ask the kernel for SIGTERM when the `resfed up` that started this process dies.

    Does nothing in a process that no `resfed up` started.  The variable is taken out of the
    environment: jobs that an agent starts must not inherit it.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if str(os.getppid()) != parent:  # it died before the request was in force
        sys.exit(0)
