"""A run's files and the sbatch of each of its pieces, as the account that it runs as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from res_federation.agent.accounts import Account
from res_federation.agent.batch import (
    Accepted,
    NotSent,
    Refused,
    RunRequest,
    SubmitOutcome,
    Unsettled,
)
from res_federation.agent.rundir import RunDirectory
from res_federation.agent.slurm.calls import Calls
from res_federation.agent.slurm.pieces import Piece
from res_federation.agent.slurm.wrapper import batch_file
from res_federation.model.identifiers import SiteId
from res_federation.model.job import JobSpec, script_bytes
from res_federation.slurm import outcome

_MOST_NICE = 2_147_483_645
"""As sbatch takes it."""


@dataclass(frozen=True, slots=True)
class Handing:
    """One run on its way to Slurm.

    Attributes:
        request: What was ordered.
        account: As whom it is submitted.
        site: For ``RESFED_SITE``.
        cut: Its pieces.

    """

    request: RunRequest
    account: Account
    site: SiteId
    cut: Sequence[Piece]

    @property
    def charge(self) -> str:
        """Slurm account that the site's mapping says, "" where it says none."""
        return self.request.identity.charge if self.request.identity is not None else ""

    def write(self, script: str) -> None:
        """Write script, batch files and lists of indices into the run's directory.

        Raises:
            FederationError: If the disk does not let it be, or something lies in the way.

        """
        request, spec = self.request, self.request.spec
        path, run = request.directory, RunDirectory(request.directory)
        run.write_for_payload("script", script_bytes(script), mode=0o700)
        array = spec.array or (-1,)
        run.write_for_payload("array", f"{len(array)} {array[0]} {array[-1]}\n".encode())
        keeps = request.identity is None or (request.identity.own_charge and not self.charge)
        for piece in self.cut:
            tasks = f"tasks.{piece.number}" if piece.mapped else ""
            if tasks:
                text = "".join(f"{index}\n" for index in piece.indices)
                run.write_for_payload(tasks, text.encode())
            text = batch_file(
                script, run=path, token=request.token, name=spec.name, site=self.site,
                partition=request.partition, arguments=spec.arguments, tasks=tasks,
                repeat=spec.requeue, without=() if keeps else ("account",),
            )  # fmt: skip
            run.write_for_payload(f"batch.{piece.number}", script_bytes(text), mode=0o700)
        run.give(self.account)

    async def submit(self, calls: Calls, piece: Piece, *, after: str, nice: int) -> SubmitOutcome:
        """Submit one piece, behind the job *after*, with *nice* taken off its priority."""
        directory, spec = self.request.directory, self.request.spec
        token, path = self.request.token, str(directory).replace("%", "%%")
        word = "batch" if not spec.array else "%a"
        if piece.mapped:
            word = f"piece{piece.number}.%a"  # the wrapper writes to the user's own index
        argv = [
            "sbatch", "--parsable", f"--job-name={token}",
            f"--comment={token} {piece.number}/{len(self.cut)}",
            f"--output={path}/out.{word}", f"--error={path}/err.{word}", "--open-mode=append",
            f"--chdir={directory}/work", "--requeue" if spec.requeue else "--no-requeue",
        ]  # fmt: skip
        argv += [f"--account={self.charge}"] if self.charge else []
        argv += [f"--array={piece.array}"] if piece.array else []
        argv += [f"--dependency=afterany:{after}"] if after else []
        argv += [f"--nice={min(nice, _MOST_NICE)}"] if nice > 0 else []
        argv.append(f"{directory}/batch.{piece.number}")
        done = await calls.act(argv, environment=dict(spec.environment), account=self.account)
        what, text = outcome.of_submission(done.code, done.out, done.err)
        match what:
            case outcome.Outcome.ACCEPTED:
                return Accepted(text)
            case outcome.Outcome.REFUSED:
                return Refused(text)
            case outcome.Outcome.NOT_SENT:
                return NotSent(text)
            case _:
                return Unsettled(text)


def charged(spec: JobSpec, request: RunRequest) -> JobSpec:
    """Return *spec* with the Slurm account that the site's mapping lets it have."""
    identity = request.identity
    if identity is None or (identity.own_charge and not identity.charge):
        return spec
    return replace(spec, account=identity.charge)
