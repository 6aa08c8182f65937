"""How the broker looks for rings of objects that nobody holds any more: seldom."""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 50, 200
"""Objects more than before until the youngest are looked through, and rounds of each until the
next older ones are too."""


def settle() -> None:
    """Leave out of every search what is there now, and search seldom.

    A long queue is millions of objects that are in no ring: jobs go when their count of references
    says so.  By Python's own measure all of them are looked through again and again as the queue
    grows, and for a second nobody is answered and no order goes out.  Rings are made by tasks and
    by errors, and those are young when they are left.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
