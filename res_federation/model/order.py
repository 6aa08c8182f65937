"""Orders from the broker to an agent, as the agent sees them."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.model.identifiers import PartitionId, RunToken
from res_federation.model.job import JobSpec


@dataclass(frozen=True, slots=True)
class Start:
    """Start this run, once, whatever happens; a fenced one only begins after `Begin`.

    It gives way to others that come to the queue within *yields_s* seconds, if the site can do so.
    """

    token: RunToken
    partition: PartitionId
    spec: JobSpec
    fenced: bool = False
    yields_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Cancel:
    """End this run, or one task of it."""

    token: RunToken
    task: int | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take these runs back that surely have not begun; one that may have begun stays as it is.

    They end ``withdrawn``, and may be placed elsewhere.
    """

    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class Arrange:
    """Let waiting runs of a partition stand in this order, in the places that they have together.

    The first gets the place (the age, the priority) of whichever of them is looked at first, and
    so on: jobs of others lose nothing and gain nothing.  Runs that are not named, or that do not
    wait any more, stay as they are.
    """

    partition: PartitionId
    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Leases of the runs in the report *sequence* run *lease_s* from when it was sent."""

    sequence: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class Begin:
    """The broker has written down that payloads of these fenced runs begin: let them."""

    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """The broker has the end of these runs on disk."""

    tokens: tuple[RunToken, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Send output of a run: at most *limit* bytes from *offset*; *task* -1 for no array."""

    request_id: str
    token: RunToken
    task: int
    standard_error: bool
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class Certify:
    """From the next dial on use this certificate, signed by that authority (both PEM)."""

    certificate_pem: str
    ca_pem: str


Order = Start | Cancel | Withdraw | Arrange | Renew | Begin | Forget | Read | Certify


@dataclass(frozen=True, slots=True)
class Piece:
    """Output that was asked for; *end* says that there is no more at present."""

    request_id: str
    data: bytes
    offset: int
    end: bool
    error: str = ""
