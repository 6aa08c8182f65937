"""Names of things, with one parser each."""

from __future__ import annotations

import re
from typing import NewType

from res_federation.errors import InvalidArgument

JobId = NewType("JobId", str)
"""A ULID in Crockford's base 32: 26 characters, sorts by time of submission."""
SiteId = NewType("SiteId", str)
"""A member's site: a lower-case word such as ``csuc``."""
PartitionId = NewType("PartitionId", str)
"""``site/cluster/partition``, such as ``csuc/pirineus3/gpu``."""
RunToken = NewType("RunToken", str)
"""``JOB-ATTEMPT``: names one attempt of a job everywhere, for ever."""

_ULID = re.compile(r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
_WORD = re.compile(r"^[a-z0-9][a-z0-9._-]{0,62}$")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def job_id(text: str) -> JobId:
    """Read a job identifier.

    Raises:
        InvalidArgument: If *text* is not a ULID.

    """
    if not _ULID.match(text):
        raise InvalidArgument(
            f"'{text}' is not a job identifier", way_out="resfed queue --all lists them"
        )
    return JobId(text)


def new_job_id(unix_ms: int, entropy: bytes) -> JobId:
    """Make a ULID from the time in milliseconds and ten bytes of *entropy*."""
    number = (unix_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(entropy[:10], "big")
    return JobId("".join([_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5)]))


def word(text: str, field: str) -> str:
    """Read a lower-case word that is safe as part of an identifier.

    Raises:
        InvalidArgument: If *text* has anything but ``a-z 0-9 . _ -``.

    """
    if not _WORD.match(text):
        raise InvalidArgument(
            f"'{text}' is not a lower-case word of letters, digits, '.', '_' and '-'", field=field
        )
    return text


def site_id(text: str, field: str = "site") -> SiteId:
    """Read a site identifier; raises InvalidArgument."""
    return SiteId(word(text, field))


def partition_id(site: str, cluster: str, partition: str) -> PartitionId:
    """Put the three parts together; the parts are checked where they are read."""
    return PartitionId(f"{site}/{cluster}/{partition}")


def site_of(partition: PartitionId) -> SiteId:
    """Return the site part of a partition's identifier."""
    return SiteId(partition.split("/", 1)[0])


def run_token(job: JobId, attempt: int) -> RunToken:
    """Name attempt number *attempt* (from 1) of a job."""
    return RunToken(f"{job}-{attempt}")


def is_run_token(text: str) -> bool:
    """Tell whether *text* could be a token: a ULID, a dash, a number."""
    job, dash, attempt = text.rpartition("-")
    return bool(dash) and _ULID.match(job) is not None and attempt.isdigit()


def job_of(token: RunToken) -> JobId:
    """Return the job of which *token* names an attempt."""
    return JobId(token.rsplit("-", 1)[0])
