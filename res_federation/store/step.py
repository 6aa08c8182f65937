"""What one transaction writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from res_federation.accounting.ledger import Entry
from res_federation.control.effects import BooksChanged, JobChanged, SiteChanged
from res_federation.model.audit import AuditEntry
from res_federation.model.forecast import Forecast, Outcome
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job


@dataclass(slots=True)
class Step:
    """Everything that follows from the events of one turn of the loop.

    Attributes:
        jobs: Jobs whose rows change, as they stand at the end of the turn.
        new: Those of them that have no row yet.
        events: Appended to the log.
        frames: Lists of partitions that decisions refer to.
        history: Run time over limit of each user's newest ended jobs, where that changes.
        forecasts: What jobs were told of when they start.
        outcomes: What became of that, by the number of the event.
        books: Pools, projects, members and grants that change.
        entries: Appended to the ledger, in this order.
        audit: Appended to the audit log, in this order.
        sign_at: UTC seconds at which the audit log's new head is signed, or None where it is not.

    """

    jobs: dict[JobId, Job] = field(default_factory=dict)
    new: set[JobId] = field(default_factory=set)
    events: list[JobChanged | SiteChanged] = field(default_factory=list)
    frames: dict[bytes, tuple[PartitionId, ...]] = field(default_factory=dict)
    history: dict[str, tuple[float, ...]] = field(default_factory=dict)
    forecasts: dict[JobId, Forecast] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    books: list[BooksChanged] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    sign_at: float | None = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(
            self.events
            or self.frames
            or self.forecasts
            or self.audit
            or self.books
            or self.sign_at is not None
        )
