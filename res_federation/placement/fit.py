"""The one fit test, `slurm.site_rules.ruled` over `layout_numbers`, compiled as it stands."""

from __future__ import annotations

import numpy as np

from res_federation.model.resources import layout_numbers
from res_federation.placement.compiling import compiled
from res_federation.placement.kernels import Ints
from res_federation.slurm.site_rules import ruled

layout = compiled(ruled(compiled(layout_numbers)))


@compiled
def lay_out(numbers: Ints, fixed: Ints) -> Ints:
    """Lay every shape out on a node of every row.

    Args:
        numbers: (shapes, 16) as `shapes.Shapes.numbers`.
        fixed: (rows, 16) as `rows.RowArrays.fixed`.

    Returns:
        (shapes, rows, 7) the first seven of what `ruled_layout` returns.

    """
    laid = np.zeros((numbers.shape[0], fixed.shape[0], 7), np.int64)
    for s in range(numbers.shape[0]):
        n = numbers[s]
        for r in range(fixed.shape[0]):
            f = fixed[r]
            found = layout(
                n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11],
                f[0], f[1], f[2], f[11], f[12], f[13], f[14], n[14], 1 if n[15] == f[15] else 0,
            )  # fmt: skip
            for k in range(7):
                laid[s, r, k] = found[k]
    return laid
