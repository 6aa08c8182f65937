"""The whole way of a job on a real cluster, step by step, until one fails.

It goes through the same driver as the agent, in a directory of its own, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from res_federation.agent.accounts import account_for, own_account
from res_federation.agent.batch import Accepted, NotSent, Refused, RunRequest
from res_federation.agent.clock import Clock
from res_federation.agent.disk import saying, write_whole
from res_federation.agent.identity import MappedAccounts
from res_federation.agent.rundir import RunDirectory
from res_federation.agent.slurm.calls import Calls, last_words
from res_federation.agent.slurm.discover import Live, look_at, readable
from res_federation.agent.slurm.slurm_site import SlurmBatch
from res_federation.errors import FailedPrecondition, FederationError, Unavailable
from res_federation.model.identifiers import JobId, RunToken, run_token
from res_federation.model.job import JobSpec, TaskOutcome, script_bytes
from res_federation.model.job_state import JobState
from res_federation.model.site import Partition, Site, SlurmAccess
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.render import Unrenderable, render

_SCRIPT = """\
#!/bin/sh
printf 'probe %s %s\\n' "$RESFED_RUN" "$(date +%s)"
"""
_LONG_SCRIPT = """\
#!/bin/sh
exec sleep 600
"""
_LEASE_S = 86400.0
_SKEW_S = 5.0
_LOOK_S = 1.0
_SHARED = (
    "the directory must lie on a file system that the compute nodes share, under the same path, "
    "and the account must be able to enter it: name such a one with --state"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way.

    Attributes:
        name: Word for it.
        state: ``ok``, ``hint`` (worth a look, the way goes on) or ``failed``.
        message: What was found, in one line.
        way_out: What to do about it, or "".
        seconds: How long it took.

    """

    name: str
    state: str
    message: str
    way_out: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Hint:
    """What a step returns that found something worth a look."""

    message: str
    way_out: str = ""


class Probe:
    """Walks once. Needs a running event loop."""

    def __init__(
        self,
        site: Site,
        access: SlurmAccess,
        dialect: Dialect,
        directory: Path,
        *,
        job: Callable[[], JobId],
        now: Clock,
        timeout_s: float = 60.0,
        partition: str = "",
    ) -> None:
        """Prepare the way; nothing is done yet.

        Args:
            site: The site's file.
            access: How its Slurm is reached.
            dialect: How it wants its scripts.
            directory: Where a directory for the probe is made: shared with the compute nodes.
            job: Makes identifiers.
            now: Reads the clock.
            timeout_s: Bound of each step.
            partition: Where; the cluster's default partition, or the first that is up.

        """
        self._site, self._access, self._dialect = site, access, dialect
        self._directory, self._job, self._now = directory.absolute(), job, now
        self._timeout_s, self._wish = timeout_s, partition
        self._calls = Calls(access.conf, own_account(), programs=access.programs)
        self._live: Live | None = None
        self._part: Partition | None = None
        self._state: Path | None = None
        self._batch: SlurmBatch | None = None
        self._spec = JobSpec(name="resfed-probe", user="", script=_SCRIPT, time_limit_s=300)
        self._open: list[RunToken] = []
        self._sent: RunToken | None = None
        self._sent_at = 0.0
        self._waits = ""

    async def walk(self) -> AsyncIterator[Step]:
        """Yield each step as it is done; the first that fails is the last but for tidying up."""
        way: tuple[tuple[str, Callable[[], Awaitable[str | Hint]]], ...] = (
            ("programs", self._programs),
            ("configuration", self._configuration),
            ("controller", self._controller),
            ("account", self._account),
            ("directory", self._make_directory),
            ("partition", self._partition),
            ("render", self._render),
            ("test-only", self._test_only),
            ("submit", self._submit),
            ("run", self._run),
            ("output", self._output),
            ("cancel", self._cancel),
        )
        try:
            for name, work in way:
                step = await self._step(name, work)
                yield step
                if step.state == "failed":
                    break
        finally:
            tidied = await self._step("tidy up", self._tidy)
        yield tidied

    async def _step(self, name: str, work: Callable[[], Awaitable[str | Hint]]) -> Step:
        began = self._now()
        self._waits = ""
        try:
            async with asyncio.timeout(self._timeout_s):
                said = await work()
        except TimeoutError:
            waits = f"; {self._waits}" if self._waits else ""
            words = f"not done within {self._timeout_s:g} s{waits}"
            return Step(name, "failed", words, "give it longer with --timeout", self._now() - began)
        except FederationError as error:
            return Step(name, "failed", error.message, error.way_out, self._now() - began)
        took = self._now() - began
        if isinstance(said, Hint):
            return Step(name, "hint", said.message, said.way_out, took)
        return Step(name, "ok", said, seconds=took)

    # --- what is there

    async def _programs(self) -> str:
        self._calls.check()
        return "sbatch, squeue, scontrol and scancel are here"

    async def _configuration(self) -> str:
        return f"{readable(Path(self._access.conf))} can be read"

    async def _controller(self) -> str:
        try:
            live = await look_at(self._calls, declared=self._site.partitions)
        except Unavailable as error:
            way = "see whether slurmctld and munge run, and which cluster the slurm.conf is of"
            raise Unavailable(error.message, way_out=way) from None
        cluster = live.config.cluster
        if cluster not in self._site.clusters:
            raise FailedPrecondition(
                f"this is cluster {cluster}, and the file is of {', '.join(self._site.clusters)}",
                way_out="name the right slurm.conf as conf in [slurm], or discover the site anew",
            )
        self._live = live
        return f"cluster {cluster} answers, Slurm {live.config.version}"

    async def _account(self) -> str | Hint:
        account = account_for(self._access.user)
        self._calls = Calls(self._access.conf, account, programs=self._access.programs)
        done = await self._calls.act(["test", "-r", self._access.conf])
        if done.code != 0:
            raise FailedPrecondition(
                f"account {account.name} cannot read {self._access.conf}",
                way_out="let it read the file and enter its directories",
            )
        said = f"jobs are submitted as {account.name} (uid {account.uid})"
        if self._site.identity:
            people = MappedAccounts(Path(self._site.identity))
            if people.problem:
                raise FailedPrecondition(people.problem, way_out="docs/identity.md has the form")
            return f"this probe is submitted as {account.name}, people's jobs as {people.file} says"
        if account.uid == 0:
            return Hint(said, "name an account without rights as user in [slurm]")
        return said

    async def _make_directory(self) -> str:
        with saying(self._directory):
            made = tempfile.mkdtemp(prefix="resfed-probe-", dir=self._directory)
        self._state = Path(made)
        account = self._calls.account
        if account.other:
            self._state.chmod(0o711)
        done = await self._calls.act(["test", "-x", str(self._state)])
        if done.code != 0:
            raise FailedPrecondition(
                f"account {account.name} cannot enter {self._state}", way_out=_SHARED
            )
        return f"{self._state} is made; the nodes have yet to see it"

    async def _partition(self) -> str:
        live = self._live
        parts = {part.name: part for part in live.partitions} if live is not None else {}
        mine = [part for part in self._site.partitions if self._wish in ("", part.name)]
        if not mine:
            named = ", ".join(part.name for part in self._site.partitions)
            raise FailedPrecondition(
                f"the file has no partition '{self._wish}'", way_out=f"it has: {named}"
            )
        there = [(part, parts[part.name]) for part in mine if part.name in parts]
        up = [(part, slurm) for part, slurm in there if slurm.up]
        if not up:
            states = ", ".join(f"{part.name} is {slurm.state}" for part, slurm in there)
            raise FailedPrecondition(
                f"no partition takes jobs: {states or 'Slurm has none of the file'}",
                way_out="'resfed site check --live FILE' lists what differs",
            )
        self._part = next((part for part, slurm in up if slurm.default), up[0][0])
        return f"{self._part.id} takes jobs"

    # --- one job

    @property
    def _chosen(self) -> tuple[Path, Partition]:
        if self._state is None or self._part is None:  # the steps before have failed
            raise FailedPrecondition("the way did not come so far")
        return self._state, self._part

    async def _render(self) -> str:
        _, part = self._chosen
        made = render(self._spec, None, self._dialect, part, account=self._access.account)
        if isinstance(made, Unrenderable):
            raise FailedPrecondition(
                "; ".join(made.reasons), way_out="look at dialect.toml beside the file"
            )
        lines = [line for line in made.script.splitlines() if line.startswith("#SBATCH")]
        return f"the script has {len(lines)} directives: {'; '.join(lines)}"

    async def _test_only(self) -> str | Hint:
        state, part = self._chosen
        made = render(self._spec, None, self._dialect, part, account=self._access.account)
        script = made.script if not isinstance(made, Unrenderable) else _SCRIPT
        file = state / "test-only"
        with saying(state):
            write_whole(file, script_bytes(script), mode=0o755)
        argv = ["sbatch", "--test-only", f"--partition={part.name}", f"--chdir={state}", str(file)]
        done = await self._calls.act(argv)
        said = last_words(done)
        if done.code == 0:
            return said
        return Hint(f"it says no: {said}", "only a hint: it refuses some jobs that then run")

    async def _submit(self) -> str:
        state, _ = self._chosen
        self._batch = SlurmBatch(self._site, self._dialect, state, calls=self._calls, now=self._now)
        await self._batch.find((), since=self._now())  # MaxArraySize and the queue are known
        self._sent_at = self._now()
        self._sent, number = await self._hand_over(self._batch, _SCRIPT)
        return f"Slurm took it as job {number}"

    async def _hand_over(self, batch: SlurmBatch, script: str) -> tuple[RunToken, str]:
        state, part = self._chosen
        spec = JobSpec(name="resfed-probe", user="", script=script, time_limit_s=900)
        token = run_token(self._job(), 1)
        run = RunDirectory.of(state / "runs", token)
        run.prepare(spec)
        run.write_lease(self._now() + _LEASE_S)
        self._open.append(token)
        outcome = await batch.submit(RunRequest(token, part.id, spec, run.path))
        if isinstance(outcome, Accepted):
            return token, outcome.batch_id
        if isinstance(outcome, Refused):
            way = "what it asks for belongs into dialect.toml (account, qos, memory…)"
            raise FailedPrecondition(f"Slurm refuses it: {outcome.text}", way_out=way)
        if isinstance(outcome, NotSent):
            raise Unavailable(f"not submitted: {outcome.text}", way_out="look at slurmctld, munge")
        raise Unavailable(f"nobody knows whether it was submitted: {outcome.text}")

    async def _stands(self, token: RunToken) -> TaskOutcome | None:
        """Return how the run's task stands once anything happened; None while it waits."""
        if self._batch is None:
            raise FailedPrecondition("nothing was submitted")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._batch.changed()
        view = await self._batch.find([token], since=0.0)
        found = view.found.get(token)
        if found is None:
            self._waits = "Slurm does not list it"
            return None
        self._waits = f"it waits: {found.reason or 'no reason is given'}"
        return found.tasks[0] if found.tasks else None

    async def _run(self) -> str:
        state, _ = self._chosen
        token = self._sent or RunToken("")
        while True:
            task = await self._stands(token)
            if task is None or (task.started is None and not task.state.final):
                continue
            if task.started is None:
                raise FailedPrecondition(
                    f"it ended and the payload never began: {task.state} {task.reason}".strip(),
                    way_out=f"most often {state} is not what the node sees: {_SHARED}",
                )
            waited = max(0.0, task.started - self._sent_at)
            return f"the payload began on {task.nodes or '?'} after about {waited:.0f} s"

    async def _output(self) -> str | Hint:
        state, _ = self._chosen
        token = self._sent or RunToken("")
        task = await self._stands(token)
        while task is None or not task.state.final:
            self._waits = "it runs and does not end"
            task = await self._stands(token)
        run = RunDirectory.of(state / "runs", token)
        if task.state is not JobState.COMPLETED:
            errors, _ = run.read_output(-1, error=True, offset=0, limit=400)
            said = " ".join(errors.decode(errors="replace").split())
            raise FailedPrecondition(
                f"it ended as {task.state} {task.reason} (exit code {task.exit_code}): {said}",
                way_out="look at the node's slurmd.log",
            )
        while True:
            out, _ = run.read_output(-1, error=False, offset=0, limit=4096)
            words = out.decode(errors="replace").split()
            if len(words) == 3 and words[1] == token:
                self._open.remove(token)
                return self._clock_of(task, words[2])
            self._waits = f"its output is not in {run.path}: {_SHARED}"
            await asyncio.sleep(_LOOK_S)

    def _clock_of(self, task: TaskOutcome, told: str) -> str | Hint:
        """Compare the node's clock: leases of jobs that wait end by it."""
        at, said = float(told) if told.isdigit() else self._now(), "its output is read"
        behind, ahead = self._sent_at - at, at - self._now()
        off = max(behind, ahead)
        if off <= _SKEW_S:
            return f"{said}; the clock of {task.nodes} agrees"
        word = "behind" if behind > 0 else "ahead"
        return Hint(
            f"{said}, but the clock of {task.nodes} is {off:.0f} s {word}",
            "let NTP set the clocks of nodes and of this machine: leases end by them",
        )

    async def _cancel(self) -> str:
        if self._batch is None:
            raise FailedPrecondition("nothing was submitted")
        token, number = await self._hand_over(self._batch, _LONG_SCRIPT)
        await self._batch.find([token], since=self._now())
        await self._batch.cancel(token, None)
        while True:
            task = await self._stands(token)
            if task is not None and task.state.final:
                self._open.remove(token)
                return f"job {number} was cancelled, and is {task.state}"
            self._waits = f"scancel was told, and job {number} is still there"

    async def _tidy(self) -> str:
        """Cancel what is left, wait until Slurm has let go of it, remove the directory."""
        left = list(self._open)
        try:
            for token in left:
                await self._calls.act(["scancel", f"--name={token}"], deadline_s=20.0)
            while left:
                argv = ("squeue", "-h", f"--name={','.join(left)}", "-o", "%A")
                if not (await self._calls.look(*argv)).strip():
                    break
                await asyncio.sleep(_LOOK_S)
        except FederationError as error:
            raise FailedPrecondition(
                f"jobs named {', '.join(left)} may still be there: {error.message}",
                way_out=f"scancel --name={','.join(left)}; rm -r {self._state}",
            ) from None
        finally:
            if self._batch is not None:
                await self._batch.close()
        if self._state is not None:
            with saying(self._state):
                shutil.rmtree(self._state)
        return "nothing is left behind"
