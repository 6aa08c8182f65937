"""What goes into the audit log: effects that are decisions or acts, and what shells note.

A flood of denials fills no disk: of each caller the first in a minute is written at once, the
others are counted, and told in one entry when the minute is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from res_federation.control.effects import BooksChanged, JobChanged, SiteChanged
from res_federation.model.audit import DENIED, AuditEntry

_MINUTE_S = 60.0
_MOST_CALLERS = 1000
"""Whose denials are counted apart within a minute; those of all others are counted together."""
_MOST_NOTES = 20_000
"""That wait to be written: more means that the disk does not take them; then they are counted."""
_OTHERS = "others"
_BROKER = "broker"


@dataclass(slots=True)
class _Counted:
    minute: int
    last: AuditEntry
    more: int = 0


class Notes:
    """Entries that no event tells of, until the next step writes them."""

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: list[AuditEntry] = []
        self._lost = 0
        self._denied: dict[str, _Counted] = {}

    def add(self, entry: AuditEntry) -> None:
        """Take an entry, or count it."""
        if entry.outcome != DENIED:
            self._keep(entry)
            return
        minute = int(entry.at // _MINUTE_S)
        caller = entry.actor
        if caller not in self._denied and len(self._denied) >= _MOST_CALLERS:
            caller = _OTHERS
        counted = self._denied.get(caller)
        if counted is not None and counted.minute == minute:
            counted.more, counted.last = counted.more + 1, replace(entry, actor=caller)
            return
        if counted is not None:
            self._tell(counted)
        self._denied[caller] = _Counted(minute, entry)
        self._keep(entry)

    def roll(self, at: float) -> None:
        """Tell of the denials that were counted in minutes that are over at *at* (UTC seconds)."""
        minute = int(at // _MINUTE_S)
        for caller, counted in list(self._denied.items()):
            if counted.minute < minute:
                self._tell(counted)
                del self._denied[caller]

    def end(self) -> None:
        """Tell of all that was counted."""
        for counted in self._denied.values():
            self._tell(counted)
        self._denied.clear()

    def take(self) -> list[AuditEntry]:
        """Return what waits, and forget it."""
        taken, self._waiting = self._waiting, []
        if self._lost and taken:
            newest = taken[-1].at
            lost = (("entries", str(self._lost)),)
            taken.append(AuditEntry(newest, _BROKER, "audit.lost", "", data=lost))
            self._lost = 0
        return taken

    def give_back(self, entries: list[AuditEntry]) -> None:
        """Take *entries* again, before all others: they could not be written."""
        self._waiting = entries + self._waiting

    def __bool__(self) -> bool:
        """Tell whether something waits."""
        return bool(self._waiting)

    def _tell(self, counted: _Counted) -> None:
        if counted.more:
            data = (*counted.last.data, ("more", str(counted.more)))
            self._keep(replace(counted.last, data=data))

    def _keep(self, entry: AuditEntry) -> None:
        if len(self._waiting) < _MOST_NOTES:
            self._waiting.append(entry)
        else:
            self._lost += 1


def told_of_site(change: SiteChanged) -> AuditEntry:
    """Return what the audit log says of a change of a site."""
    act = "site.drain" if change.drained else "site.resume"
    reason = change.reason if change.drained else ""
    return AuditEntry(change.at, change.by, act, change.site, reason=reason)


def told_of_books(change: BooksChanged) -> AuditEntry:
    """Return what the audit log says of a change of the books."""
    records = (change.pool, change.project, change.grant)
    target = next((one.id for one in records if one is not None), "")
    data: list[tuple[str, str]] = []
    member, grant = change.member, change.grant
    if member is not None:
        target = member.project
        data += (("member", f"{member.subject}@{member.issuer}"), ("role", str(member.role or "")))
    if grant is not None:
        data += (
            ("accelerator_s", str(grant.accelerator_s)), ("core_s", str(grant.core_s)),
            ("project", grant.project),
        )  # fmt: skip
    if change.entries:
        numbers = [entry.number for entry in change.entries]
        data.append(("entries", f"{numbers[0]}-{numbers[-1]}"))
    act = f"accounting.{change.kind.replace(' ', '-')}"
    return AuditEntry(change.at, change.by or _BROKER, act, target, data=tuple(sorted(data)))


def told_of_job(change: JobChanged, policy: str) -> AuditEntry | None:
    """Return what the audit log says of a change, or None where it is no decision and no act."""
    job, data = change.job, change.data
    match change.kind:
        case "submitted" if change.new:  # not the run's own, which waits at its site
            return AuditEntry(change.at, job.spec.user, "submit", job.id, data=_asked(change))
        case "placed":
            decided = (
                ("decision", sha256(job.decision).hexdigest()),
                *((("grant", str(data["grant"])),) if "grant" in data else ()),
                ("partition", str(data["partition"])),
                ("policy", policy),
            )
            return AuditEntry(change.at, _BROKER, "place", job.id, data=decided)
        case "requeued":
            reason = str(data.get("reason", ""))
            return AuditEntry(change.at, _BROKER, "requeue", job.id, reason=reason)
        case "cancelled" | "cancel_asked" if "by" in data:
            task = (("task", str(data["task"])),) if "task" in data else ()
            return AuditEntry(change.at, str(data["by"]), "cancel", job.id, data=task)
        case _:
            return None


def _asked(change: JobChanged) -> tuple[tuple[str, str], ...]:
    spec = change.job.spec
    if not (spec.project or spec.data_class or spec.jurisdictions):
        return ()
    asked = (
        ("data_class", spec.data_class),
        ("jurisdictions", ",".join(spec.jurisdictions)),
        ("project", spec.project),
    )
    return tuple(pair for pair in asked if pair[1])
