"""With whom jobs are shared: asked at each look at a job, written down at each change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from res_federation.errors import ResourceExhausted
from res_federation.model.audit import AuditEntry
from res_federation.model.identifiers import JobId
from res_federation.model.share import Share, ShareKind
from res_federation.store.shares import StoredShares

log = structlog.get_logger(__name__)

_MOST_OF_A_JOB = 100
_MOST_BY_ONE = 10_000
"""All shares are in memory: nobody fills it alone."""


class Sharing:
    """Every share, in memory; changes are on disk when they return."""

    def __init__(
        self, stored: StoredShares, known: Iterable[Share], note: Callable[[AuditEntry], None]
    ) -> None:
        """Know what is *stored*, which *known* was read from; *note* changes in the audit log."""
        self._stored = stored
        self._note = note
        self._turn = asyncio.Lock()
        self._changes: set[asyncio.Future[None]] = set()
        self._by_job: dict[JobId, dict[tuple[ShareKind, str], Share]] = {}
        self._by_one: Counter[str] = Counter()
        for share in known:
            self._put(share)

    def of(self, job: JobId) -> tuple[Share, ...]:
        """Return with whom *job* is shared, the oldest share first."""
        return tuple(self._by_job.get(job, {}).values())

    async def begin(self, share: Share) -> None:
        """Share a job; with whom it is shared already nothing changes.

        Raises:
            ResourceExhausted: If the job, or who shares it, has too many shares.

        """
        await self._whole(self._begin(share))

    async def end(self, share: Share) -> None:
        """Take a share back (its *by* and *at* say who does, and when); one not there is none."""
        await self._whole(self._end(share))

    async def _whole(self, change: Coroutine[Any, Any, None]) -> None:
        """Make a change to its end, also if the caller hangs up: memory and disk stay alike."""
        task = asyncio.ensure_future(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        await asyncio.shield(task)

    async def _begin(self, share: Share) -> None:
        async with self._turn:
            there = self._by_job.get(share.job, {})
            if (share.kind, share.name) in there:
                return
            if len(there) >= _MOST_OF_A_JOB:
                raise ResourceExhausted(
                    f"job {share.job} is shared {_MOST_OF_A_JOB} times, the most of a job",
                    way_out="share it with a project, or take some back: --end",
                )
            if self._by_one[share.by] >= _MOST_BY_ONE:
                raise ResourceExhausted(
                    f"you share {_MOST_BY_ONE} times, the most of one user",
                    way_out="take some back: --end",
                )
            await self._stored.add(share)
            self._put(share)
            self._tell("job.share", share)

    async def _end(self, share: Share) -> None:
        async with self._turn:
            # memory first: from here on it opens nothing, even if the disk is slow
            there = self._by_job.get(share.job, {})
            found = there.pop((share.kind, share.name), None)
            if found is not None:
                self._by_one[found.by] -= 1
            if not there:
                self._by_job.pop(share.job, None)
            # also if memory knows none: an earlier try may have failed at the disk
            if await self._stored.remove(share) or found is not None:
                self._tell("job.unshare", share)

    def _put(self, share: Share) -> None:
        self._by_job.setdefault(share.job, {})[share.kind, share.name] = share
        self._by_one[share.by] += 1

    def _tell(self, act: str, share: Share) -> None:
        log.info(act, job=share.job, by=share.by, **{str(share.kind): share.name})
        data = ((str(share.kind), share.name),)
        self._note(AuditEntry(share.at, share.by, act, share.job, data=data))
