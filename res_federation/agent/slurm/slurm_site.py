"""`SlurmBatch`: a real Slurm behind the agent's small interface.

A run is known by its token, in the job's name and comment, never by its number alone: a controller
that was killed hard gives numbers away again.  What a payload did is read from the run's directory;
what Slurm says comes from one look at the whole cluster (`view`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from res_federation.agent.batch import (
    Accepted,
    Found,
    Measured,
    NotSent,
    Refused,
    RunRequest,
    SubmitOutcome,
    Unsettled,
    View,
)
from res_federation.agent.clock import Clock
from res_federation.agent.commands import end_leftovers
from res_federation.agent.disk import closed, there
from res_federation.agent.fences import Fence
from res_federation.agent.slurm import records
from res_federation.agent.slurm.bell import Bell
from res_federation.agent.slurm.calls import Calls, last_words
from res_federation.agent.slurm.handing_over import Handing, charged
from res_federation.agent.slurm.owners import Owners
from res_federation.agent.slurm.pieces import Piece, pieces
from res_federation.agent.slurm.places import rearranged
from res_federation.agent.slurm.tasks import TaskBook
from res_federation.agent.slurm.view import ClusterView
from res_federation.errors import FailedPrecondition, InvalidArgument, Unavailable
from res_federation.model.identifiers import PartitionId, RunToken, is_run_token
from res_federation.model.job import script_bytes
from res_federation.model.site import Partition, Site
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.render import Unrenderable, render_understood
from res_federation.slurm.slurm_states import Phase

_STALE_AFTER_S = 20.0
_SHAKEN_S = 600.0
"""How long after its start a controller may still end jobs for numbers that it gave away twice."""


class SlurmBatch:
    """One Slurm cluster. Needs a running event loop."""

    fences = True
    settle_grace_s = 15.0

    def __init__(
        self, site: Site, dialect: Dialect, state: Path, *, calls: Calls, now: Clock
    ) -> None:
        """Begin to look at the cluster.

        Args:
            site: The member, with its partitions as declared.
            dialect: How it wants its scripts.
            state: The agent's directory, on a file system that the compute nodes share.
            calls: Runs Slurm's commands.
            now: Reads the clock.

        Raises:
            FailedPrecondition: If others could change the directories of other accounts' runs.

        """
        self._site, self._dialect, self._calls, self._now = site, dialect, calls, now
        self._partitions = {partition.id: partition for partition in site.partitions}
        self._charged = site.slurm.account if site.slurm is not None else ""
        self._runs = state / "runs"
        self._runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = calls.account.other or bool(site.identity and os.geteuid() == 0)
        if shared:
            closed(self._runs)
        if shared:  # other accounts work below it; its own runs alone are each one's own
            for path in (state, self._runs):
                path.chmod(0o711)
        self._bell = Bell(state, shared=shared)
        self._owners = Owners(self._runs)
        self._view = ClusterView(calls, site, self._owners, now=now)
        self._books: dict[RunToken, TaskBook] = {}
        self._found: dict[RunToken, Found] = {}
        self._dirty: set[RunToken] = set()
        self._authors: set[RunToken] = set()
        self._seen_at = -1.0
        self._log = structlog.get_logger("resfed.agent")
        self._tasks = [
            asyncio.create_task(self._view.watch()),
            asyncio.create_task(self._cancel_strays()),
        ]

    # --- submit

    async def submit(self, request: RunRequest) -> SubmitOutcome:
        """Submit what of a run the cluster does not have yet."""
        partition = self._partitions.get(request.partition)
        if partition is None:
            return Refused(f"{request.partition} is not in this site's file")
        try:
            rendered = render_understood(
                charged(request.spec, request), self._dialect, self._offering(partition),
                account=self._charge_of(request),
            )  # fmt: skip
        except InvalidArgument as error:  # a script that no client of ours lets pass
            return Refused(str(error))
        except (ValueError, LookupError) as error:  # options that no script of it says
            return Refused(f"its options cannot be written as directives: {error!r}"[:300])
        if isinstance(rendered, Unrenderable):
            return Refused("; ".join(rendered.reasons))
        script = rendered.script
        run = TaskBook(request.token, request.spec, request.directory, {})
        self._books.setdefault(request.token, run)
        cut = pieces(request.spec.array, self._view.max_array_size, request.spec.array_throttle)
        account = request.identity.account if request.identity is not None else None
        handing = Handing(request, account or self._calls.account, self._site.id, cut)
        handing.write(script)
        nice = round(request.yields_s * self._view.age_points_per_s)
        have = records.numbers_of_pieces(self._listed(request.token))
        last = ""
        for piece in cut:
            if piece.number in have:
                last = str(have[piece.number])
                continue
            after = last if request.spec.array_throttle and piece.number > 1 else ""
            said = await handing.submit(self._calls, piece, after=after, nice=nice)
            if not isinstance(said, Accepted):
                if piece.number > 1 and isinstance(said, Refused | NotSent):
                    return Unsettled(said.text)  # a part of it is there: come again
                return said
            last = said.batch_id
        self._view.soon()
        return Accepted(last, hashlib.sha256(script_bytes(script)).hexdigest())

    def _charge_of(self, request: RunRequest) -> str:
        """Return the Slurm account that is charged where the script names none."""
        said = request.identity.charge if request.identity is not None else ""
        return said or self._charged

    def _offering(self, partition: Partition) -> Partition:
        """Return *partition* with the licences that Slurm counts now."""
        picture = self._view.picture
        counted = () if picture is None else picture.licenses
        names = tuple(f"license/{one.name}" for one in counted)
        return replace(partition, features=(*partition.features, *names)) if names else partition

    def _listed(self, token: RunToken) -> records.Listed:
        picture = self._view.picture
        jobs = picture.ours.get(token, ()) if picture is not None else ()
        return records.listed(token, jobs, self._view.accounted(token))

    # --- look

    async def find(self, tokens: Sequence[RunToken], *, since: float) -> View:
        """Look for runs; raises Unavailable when a fresh look is wanted and not to be had."""
        if since > 0:
            end_leftovers("sbatch", [f"--job-name={token}" for token in tokens])
            self._view.ask_accounting(tokens)
            await self._view.look(since=since)
        picture = self._view.picture
        if picture is None:
            return View({}, 0.0)
        if picture.taken_at != self._seen_at:
            self._seen_at = picture.taken_at
            self._dirty.update(self._found)
        found = {token: each for token in tokens if (each := self._one(token)) is not None}
        if since <= 0:
            gone = {t for t in tokens if t not in picture.ours}
            self._view.ask_accounting(gone | (self._authors & set(tokens)))
            self._forget(set(tokens))
        return View(found, picture.taken_at)

    def _one(self, token: RunToken) -> Found | None:
        if token in self._found and token not in self._dirty:
            return self._found[token]
        self._dirty.discard(token)
        book = self._books.get(token)
        if book is None:
            try:
                book = self._books[token] = TaskBook.read(token, self._runs / token)
            except FailedPrecondition as error:  # of this run alone: the others go on
                self._log.error("a run cannot be followed", token=token, reason=str(error))
                return None
        listed = self._listed(token)
        cut = pieces(book.spec.array, self._view.max_array_size, book.spec.array_throttle)
        if self._wants_author(token, listed):
            self._dirty.add(token)
            self._authors.add(token)
            return self._found.get(token) or Found(token, listed.number, ())
        self._authors.discard(token)
        book.shaken = self._view.booted is not None and (
            self._now() - self._view.booted < _SHAKEN_S
        )
        tasks, waiting = records.by_task(listed, cut)
        book.looked_at = self._seen_at
        found = book.look(tasks, waiting, listed.number, self._now())
        if book.settling:
            self._view.soon()
        over = len(book.over) == book.spec.tasks
        if not listed.jobs and not over and not self._younger(found):
            self._found.pop(token, None)
            return replace(found, gone=True)  # the caller counts the seconds
        missing = len(records.numbers_of_pieces(listed)) < len(cut)
        found = records.with_partial(found, partial=missing and not over)
        self._found[token] = found
        return found

    def _wants_author(self, token: RunToken, listed: records.Listed) -> bool:
        """Tell whether to wait a little for the accounting: who cancelled, if it was not we?"""
        if not self._view.accounting or there(self._runs / token / "cancel"):
            return False
        return records.without_author(listed, self._now())

    def _younger(self, found: Found) -> bool:
        """Tell whether a payload began so late that the last look could not show it."""
        return any(
            task.started is not None and task.started >= self._seen_at - 2.0 for task in found.tasks
        )

    def _forget(self, live: set[RunToken]) -> None:
        for token in [token for token in self._books if token not in live]:
            if token in self._found:
                del self._books[token]
                del self._found[token]
                self._authors.discard(token)

    # --- act, measure

    async def cancel(self, token: RunToken, task: int | None) -> None:
        """Cancel by name: a number alone may be another's job by now.

        One task is the exception: with a name beside its number scancel (22.05) takes every task
        that waits with it. A look that is not older than the wish shows that the number is its own.

        Raises:
            Unavailable: If the controller does not answer: it is to be tried again.

        """
        words = [f"--name={token}"]
        if task is not None:
            await self._view.look(since=self._now())
            words = records.cancel_words(self._listed(token), self._cut(token), task)
        for word in words:
            done = await self._calls.act(
                ["scancel", word], deadline_s=20.0, account=self._owners.account(token)
            )
            text = last_words(done)
            if done.code != 0 and "Invalid job id" not in text:
                raise Unavailable(f"scancel: {text}")
        self._view.soon()

    def withdraw(self, token: RunToken) -> bool:
        """Take a run back by its fence: a controller need not answer for that."""
        return Fence(self._runs / token).withdraw()

    async def arrange(self, partition: PartitionId, tokens: Sequence[RunToken]) -> None:
        """Deal the places of waiting runs anew among them, where the site lets its users do so.

        Each account can do so among its own jobs alone.

        Raises:
            Unavailable: With Slurm's own words; all stand as they stood.

        """
        if partition not in self._partitions or not self._view.user_top:
            return
        picture = await self._view.look(since=self._now())
        for name, theirs in self._by_account(tokens).items():
            account = self._owners.account(theirs[0])
            jobs = [job for job in picture.mine if job.user == name]
            for numbers in rearranged(jobs, theirs):
                words = ["scontrol", "top", ",".join(map(str, numbers))]
                done = await self._calls.act(words, deadline_s=20.0, account=account)
                self._view.soon()
                if done.code != 0:
                    raise Unavailable(f"scontrol top: {last_words(done)}")

    def _by_account(self, tokens: Sequence[RunToken]) -> dict[str, list[RunToken]]:
        found: dict[str, list[RunToken]] = {}
        for token, name in self._owners.named(tokens).items():
            found.setdefault(name, []).append(RunToken(token))
        return found

    def _cut(self, token: RunToken) -> tuple[Piece, ...]:
        book = self._books.get(token) or TaskBook.read(token, self._runs / token)
        return pieces(book.spec.array, self._view.max_array_size, book.spec.array_throttle)

    async def _cancel_strays(self) -> None:
        """Cancel what waits at Slurm though it can never begin: withdrawn while it was dark."""
        while True:
            await self._view.fresh_for_strays.wait()
            self._view.fresh_for_strays.clear()
            picture = self._view.picture
            for name, jobs in picture.ours.items() if picture is not None else ():
                waits = any(job.state.phase is Phase.WAITING for job in jobs)
                if waits and is_run_token(name) and there(self._runs / name / "cancel"):
                    account = self._owners.account(RunToken(name))
                    words = ["scancel", f"--name={name}"]
                    await self._calls.act(words, deadline_s=20.0, account=account)

    async def capacity(self) -> Measured:
        """Return what was last seen; old figures say why they are old."""
        if self._view.picture is None and not self._view.failure:
            with contextlib.suppress(Unavailable):
                await self._view.look(since=0.0)
        picture, since = self._view.picture, self._view.failing_since
        problem = ""
        if since is not None and (picture is None or self._now() - since > _STALE_AFTER_S):
            problem = (
                f"slurm has not answered for {self._now() - since:.0f} s: {self._view.failure}"
            )
        if picture is None:
            return Measured((), self._now(), problem=problem or "slurm was not looked at yet")
        return Measured(
            picture.partitions, picture.taken_at, picture.licenses, problem,
            needs_account=not (self._charged or self._site.identity),
            arranges=self._view.user_top,
        )  # fmt: skip

    async def changed(self) -> None:
        """Return when a wrapper rang, or the cluster was looked at again."""
        for task in self._tasks:
            if task.done():
                task.result()  # it was to go on for ever: let the agent end, and be started anew
        fresh = asyncio.create_task(self._view.fresh.wait())
        rung = asyncio.create_task(self._bell.rung(busy=bool(self._books)))
        try:
            await asyncio.wait({fresh, rung}, return_when=asyncio.FIRST_COMPLETED)
            if rung.done():
                self._dirty.update(rung.result() & self._books.keys())
            self._view.fresh.clear()
        finally:
            fresh.cancel()
            rung.cancel()

    async def close(self) -> None:
        """Let go; everything at Slurm goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
