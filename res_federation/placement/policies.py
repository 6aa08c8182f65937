"""Policies by name."""

from __future__ import annotations

from collections.abc import Callable

from res_federation.errors import InvalidArgument
from res_federation.placement.policy import LateStart, Policy, Weight, Weights

_PARITY = Weight(10.0, 900.0)
"""Less than a grade of accelerator whatever a member gave: it chooses among what is as good."""


def _earliest_start(seed: int) -> Policy:
    return Policy(seed=seed)


def _federated(seed: int) -> Policy:
    return Policy(name="federated", late=LateStart(), weights=Weights(parity=_PARITY), seed=seed)


_MADE: dict[str, Callable[[int], Policy]] = {
    "earliest-start": _earliest_start,
    "federated": _federated,
}
NAMES = tuple(_MADE)


def named(name: str, seed: int = 0) -> Policy:
    """Return the policy called *name*.

    ``earliest-start`` sends each job at once to where it should complete first; ``federated``
    holds jobs, and sends each when its turn has come and it can start.

    Raises:
        InvalidArgument: If there is no such policy.

    """
    if name not in _MADE:
        raise InvalidArgument(
            f"there is no policy '{name}'", field="policy", way_out=", ".join(NAMES)
        )
    return _MADE[name](seed)
