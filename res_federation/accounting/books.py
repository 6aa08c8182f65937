"""The books of the federation: records, balances, and the grants in the order in which they pay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from res_federation.accounting.funds import UNLIMITED, Purse
from res_federation.accounting.records import (
    LOCAL,
    Grant,
    Membership,
    Pool,
    PoolKind,
    Project,
)
from res_federation.model.identifiers import PartitionId
from res_federation.model.principal import Role

Balance = tuple[int, int, int]
"""Core-seconds, accelerator-seconds, and thousandths of exchange units."""
NOTHING: Balance = (0, 0, 0)
AVAILABLE, RESERVED, USED = "available", "reserved", "used"
_ALWAYS = 1e18


def of_grant(grant: str, which: str) -> str:
    """Name an account of a grant."""
    return f"grant:{grant}:{which}"


def of_pool(pool: str) -> str:
    """Name the account that a pool's grants come out of: negative by what it has given."""
    return f"pool:{pool}:granted"


def of_member(site: str) -> str:
    """Name the account of a member: positive by what it has given beyond what it took."""
    return f"member:{site}:exchange"


@dataclass(slots=True)
class Books:
    """Everything that the accounting knows.

    Attributes:
        pools: By identifier; so are projects and grants.
        projects: The same.
        members: Memberships by project, issuer and subject.
        grants: The same as pools.
        balances: Of each account that was ever posted to.
        entries: Number of the newest entry of the ledger.
        kept: Whether hours are kept at all; nothing is reserved and all may where they are not.
        default: Project that pays for jobs that name none, or "" where each must name one.
        rates: Thousandths of an exchange unit, as `exchange.units` reads them.
        owned: Grants by project; `put_grant` keeps it.

    """

    pools: dict[str, Pool] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    members: dict[tuple[str, str, str], Membership] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    balances: dict[str, Balance] = field(default_factory=dict)
    entries: int = 0
    kept: bool = False
    default: str = ""
    rates: dict[str, int] = field(default_factory=dict)
    owned: dict[str, list[str]] = field(default_factory=dict)

    def put_grant(self, grant: Grant) -> None:
        """Keep a new grant, or one that changed; its project never changes."""
        if grant.id not in self.grants:
            self.owned.setdefault(grant.project, []).append(grant.id)
        self.grants[grant.id] = grant

    def balance(self, account: str) -> Balance:
        """Return what stands in an account."""
        return self.balances.get(account, NOTHING)

    @property
    def bounded(self) -> bool:
        """Tell whether anything but the grant of developer mode is there to pay."""
        return self.kept and (not self.default or len(self.projects) > 1 or len(self.grants) > 1)

    def grant(self, grant: str) -> Grant:
        """Return a grant; one that nobody knows any more as the unlimited one that it was."""
        found = self.grants.get(grant)
        return found or Grant(grant, LOCAL, LOCAL, "", 0.0, _ALWAYS, UNLIMITED, UNLIMITED)

    def payers(self, project: str, partition: PartitionId, at: float) -> tuple[Purse, ...]:
        """Return what *project* has for *partition* in the order in which it pays."""
        grants = [self.grants[one] for one in self.owned.get(project, ())]
        found = [one for one in grants if self._pays(one, at) and one.covers(partition)]
        return tuple(self.purse(one) for one in sorted(found, key=_turn))

    def paying(self, at: float) -> list[Grant]:
        """Return the grants that pay at *at*, in the order in which each project's pay."""
        return sorted((one for one in self.grants.values() if self._pays(one, at)), key=_turn)

    def coming(self, at: float) -> list[Grant]:
        """Return the grants that begin to pay after *at*, the first to begin first."""
        later = [one for one in self.grants.values() if one.begins > at]
        return sorted((one for one in later if self._pays(one, one.begins)), key=_beginning)

    def _pays(self, grant: Grant, at: float) -> bool:
        owner = self.projects.get(grant.project)
        return grant.valid(at) and owner is not None and not owner.closed

    def purse(self, grant: Grant) -> Purse:
        """Return what a grant has left; nothing after an overdraft."""
        core_s, accelerator_s, _ = self.balance(of_grant(grant.id, AVAILABLE))
        return Purse(
            grant.id,
            UNLIMITED if grant.core_s == UNLIMITED else max(0, core_s),
            UNLIMITED if grant.accelerator_s == UNLIMITED else max(0, accelerator_s),
            grant.priority,
        )

    def turns(self, after: float) -> float:
        """Return when the next grant begins or ends to pay after *after*."""
        times = [time for one in self.grants.values() for time in (one.begins, one.ends)]
        return min((time for time in times if time > after), default=_ALWAYS)

    def accounts_of(self, grant: str) -> dict[str, Balance]:
        """Return the balances of a grant by what they are."""
        return {
            which: self.balance(of_grant(grant, which)) for which in (AVAILABLE, RESERVED, USED)
        }

    def memberships(self, issuer: str, subject: str) -> Iterator[tuple[str, Role]]:
        """Yield the projects of somebody, with the role in each."""
        for one in self.members.values():
            if (one.issuer, one.subject) == (issuer, subject) and one.role is not None:
                yield one.project, one.role

    def check(self) -> None:
        """Assert that the books balance.

        Raises:
            AssertionError: Naming what does not.

        """
        for unit, name in enumerate(("core_s", "accelerator_s", "units")):
            total = sum(one[unit] for one in self.balances.values())
            assert total == 0, f"the books do not balance: {name} sums to {total}"
        for grant in self.grants.values():
            parts = self.accounts_of(grant.id)
            for unit, granted in enumerate((grant.core_s, grant.accelerator_s)):
                total = sum(one[unit] for one in parts.values())
                if granted != UNLIMITED and not grant.closed:
                    assert total == granted, f"grant {grant.id}: {total} of {granted}"
                assert parts[RESERVED][unit] >= 0, f"grant {grant.id} has less than none reserved"


def _turn(grant: Grant) -> tuple[int, float, str]:
    """Sort by priority class, within one what ends first: it is lost first."""
    return grant.priority, grant.ends, grant.id


def _beginning(grant: Grant) -> tuple[float, int, float, str]:
    return grant.begins, *_turn(grant)


def with_local(books: Books) -> Books:
    """Let the project of developer mode pay for whoever names none, everywhere, without bound."""
    books.pools[LOCAL] = Pool(LOCAL, PoolKind.LOCAL, title="this machine")
    books.projects[LOCAL] = Project(LOCAL, "developer mode")
    books.put_grant(Grant(LOCAL, LOCAL, LOCAL, "", 0.0, _ALWAYS, UNLIMITED, UNLIMITED))
    books.kept, books.default = True, LOCAL
    return books
