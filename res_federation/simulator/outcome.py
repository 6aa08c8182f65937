"""What a replay found: where and when each job ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from res_federation.model import forecast
from res_federation.model.site import Partition
from res_federation.simulator.workload import Ints, Workload


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs can run: a partition of a site, or the one pool of ``--machine``.

    Attributes:
        site: Identifier of the site; "machine" for ``--machine``.
        partition: ``site/cluster/partition``; "machine" for ``--machine``.
        processors: In all.
        declared: The partition as it is declared; None where there is none.

    """

    site: str
    partition: str
    processors: int
    declared: Partition | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A replay's result, in the order of its workload.

    Attributes:
        workload: What was replayed.
        places: Where jobs could run.
        place: (jobs,) index into *places*, -1 for a job that never ran.
        start: (jobs,) seconds, -1 for a job that never ran.
        end: (jobs,) seconds, -1 for a job that never ran.
        local: (jobs,) whether the job was submitted at its site by a local user.
        left_out: Jobs that could not run anywhere, by reason.
        told: By number of the job: what it was told of its start, and what it then waited.

    """

    workload: Workload
    places: tuple[Place, ...]
    place: Ints
    start: Ints
    end: Ints
    local: npt.NDArray[np.bool_]
    left_out: dict[str, int]
    told: Mapping[int, forecast.Outcome] = field(default_factory=dict)
