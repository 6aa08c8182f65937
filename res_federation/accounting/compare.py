"""What a site says that its batch system charged, beside what the ledger says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from res_federation.accounting.books import USED
from res_federation.accounting.ledger import Amount, Entry


@dataclass(frozen=True, slots=True)
class Charged:
    """One job (or task of an array) as the site accounts for it.

    Attributes:
        run: Token of the federation's run that it is, or "" for a job of somebody else.
        once: Names it for all time.
        core_s: Core-seconds.
        accelerator_s: Accelerator-seconds.
        account: Account that the site charged, or "".

    """

    run: str
    once: str
    core_s: int
    accelerator_s: int
    account: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A run in both books.

    Attributes:
        run: Token.
        ledger: Core- and accelerator-seconds that its project paid; None where the ledger has no
            such run, or it has not ended.
        site: What the site charged.

    """

    run: str
    ledger: Amount | None
    site: Amount

    @property
    def same(self) -> bool:
        """Tell whether both say the same, to the second."""
        return self.ledger == self.site


def used_by_run(entries: Iterable[Entry]) -> dict[str, Amount]:
    """Return what each run that was settled used, by its token."""
    found: dict[str, Amount] = {}
    for entry in entries:
        if entry.kind not in ("settled", "released"):
            continue
        used = [one for one in entry.lines if one.account.endswith(f":{USED}")]
        core_s, accelerator_s = found.get(entry.run, (0, 0))
        found[entry.run] = (
            core_s + sum(one.core_s for one in used),
            accelerator_s + sum(one.accelerator_s for one in used),
        )
    return found


def compare(ledger: Mapping[str, Amount], charged: Iterable[Charged]) -> list[Compared]:
    """Return the federation's runs among *charged*, each beside what the ledger has, by token."""
    site: dict[str, Amount] = {}
    for one in charged:
        if one.run:
            core_s, accelerator_s = site.get(one.run, (0, 0))
            site[one.run] = (core_s + one.core_s, accelerator_s + one.accelerator_s)
    return [Compared(run, ledger.get(run), amount) for run, amount in sorted(site.items())]
