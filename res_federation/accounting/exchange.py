"""What members give one another, in a unit that all machines share.

A unit is a core-second of the reference core, counted in thousandths.  A factor says how many
thousandths a core-second of a partition, or a second of an accelerator, is worth.
"""

from __future__ import annotations

from collections.abc import Mapping

from res_federation.accounting.books import Books
from res_federation.model.accelerators import family_in
from res_federation.model.identifiers import PartitionId

CORE = "core"
"""Key of the factor of a core where its partition has none of its own."""
ACCELERATOR = "accelerator"
"""Key of the factor of an accelerator that has none of its own."""
THOUSAND = 1000


def units(
    rates: Mapping[str, int], partition: PartitionId, accelerator: str, used: tuple[int, int]
) -> int:
    """Return what *used* core- and accelerator-seconds are worth, in thousandths of units.

    The scarcer of the two counts: who holds the accelerators of a node holds its cores as well.
    """
    core = rates.get(partition, rates.get(CORE, THOUSAND))
    device = rates.get(f"{partition}:{ACCELERATOR}")
    if device is None:
        device = rates.get(family_in(accelerator), rates.get(ACCELERATOR, 0))
    return max(used[0] * core, used[1] * device)


def balances(books: Books) -> dict[str, int]:
    """Return each member's balance in thousandths of units: given less taken."""
    found = {}
    for account, (_, _, amount) in sorted(books.balances.items()):
        kind, _, rest = account.partition(":")
        if kind == "member":
            found[rest.partition(":")[0]] = amount
    return found


def parity(books: Books) -> dict[str, float]:
    """Return each member's balance in core hours of the reference, by hundreds of them.

    By hundreds, so that what rests on it is not computed anew with every job that ends.
    """
    hours = {site: amount / THOUSAND / 3600.0 for site, amount in balances(books).items()}
    return {site: round(given / 100.0) * 100.0 for site, given in hours.items()}
