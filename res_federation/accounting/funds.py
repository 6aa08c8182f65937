"""What a project can still pay with at a partition, and what a job costs there at its time limit.

Amounts are integers: core-seconds and accelerator-seconds.  A job pays for both with one grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from res_federation.model.identifiers import PartitionId
from res_federation.model.reason import Reason
from res_federation.model.resources import NodeShape, ResourceRequest, layout

UNLIMITED = -1
"""Stands for an amount that has no bound."""


@dataclass(frozen=True, slots=True)
class Purse:
    """What one grant has left.

    Attributes:
        grant: Identifier of the grant.
        core_s: Core-seconds left, or UNLIMITED.
        accelerator_s: Accelerator-seconds left, or UNLIMITED.
        priority: Its priority class as a number: 0 is the first (class A), more comes later.
        begins: UTC seconds when it begins to pay; 0.0 for one that pays already.

    """

    grant: str
    core_s: int
    accelerator_s: int
    priority: int = 0
    begins: float = 0.0

    def pays(self, core_s: int, accelerator_s: int) -> bool:
        """Tell whether it pays already, and this much is left of both."""
        enough = _enough(self.core_s, core_s) and _enough(self.accelerator_s, accelerator_s)
        return enough and not self.begins

    @property
    def bottomless(self) -> bool:
        """Tell whether it pays whatever is asked."""
        return not self.begins and self.core_s == UNLIMITED and self.accelerator_s == UNLIMITED


Funds = Mapping[tuple[str, PartitionId], tuple[Purse, ...]]
"""By project and partition, the purses in the order in which they pay; who begins later is last."""


def _enough(left: int, wanted: int) -> bool:
    return wanted <= 0 or left == UNLIMITED or left >= wanted


def payer(purses: Sequence[Purse], core_s: int, accelerator_s: int) -> str | None:
    """Return the grant that pays: the first whose purse has enough of both, or None."""
    return next((one.grant for one in purses if one.pays(core_s, accelerator_s)), None)


def cost(
    request: ResourceRequest, shape: NodeShape, time_limit_s: int, tasks: int = 1
) -> tuple[int, int] | Reason:
    """Return core- and accelerator-seconds of a job on nodes of *shape* at its time limit.

    Whole nodes where the job asks for them.  *tasks* is the length of its array: each task has a
    layout of its own.  A reason where the request does not lie on such nodes.
    """
    place = layout(request, shape)
    if isinstance(place, Reason):
        return place
    seconds = time_limit_s * tasks * place.nodes
    return place.cores_per_node * seconds, place.accelerators_per_node * seconds
