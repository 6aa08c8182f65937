"""How much of what is drawn a run looks at: a part each time, all of it in `make long`."""

from __future__ import annotations

import os

LONG = os.environ.get("RESFED_HYPOTHESIS") == "long"
_PART, _FEWEST = 5, 10


def examples(whole: int) -> int:
    """Return how many of *whole* examples are drawn in this run."""
    return whole if LONG else min(whole, max(_FEWEST, whole // _PART))
