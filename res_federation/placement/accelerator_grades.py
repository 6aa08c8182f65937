"""How good accelerators are, one against another: what a job should not be given without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from res_federation.model.resources import NodeShape

NONE = 0
"""The grade of nodes without accelerators."""
_WITHOUT = (False, 0.0, 0, 0)


def accelerator_grades(
    nodes: Sequence[tuple[NodeShape, int, str]], speed: Mapping[str, float]
) -> npt.NDArray[np.int64]:
    """Return (partitions,) the grade of each one's accelerator: NONE, then the least first.

    A faster model is better; of equal ones that with more memory in a device (memory that is not
    known counts for none); of those that are alike still, the one of which there are fewer.

    Args:
        nodes: Of each partition: shape, nodes (-1 where not known), family of its accelerator.
        speed: Of a family relative to an A100; 1.0 where not listed.

    """
    devices: Counter[str] = Counter()
    for shape, count, _ in nodes:
        devices[shape.accelerator] += shape.accelerators * max(count, 0)
    found = [
        (
            True,
            float(speed.get(family, 1.0)) if family else 1.0,
            shape.accelerator_memory_mib or 0,
            -devices[shape.accelerator],
        )
        if shape.accelerators > 0
        else _WITHOUT
        for shape, _, family in nodes
    ]
    ranks = {one: rank for rank, one in enumerate(sorted({_WITHOUT, *found}))}
    return np.array([ranks[one] for one in found], np.int64)
