"""Who pays for a run: hours are reserved where it begins to exist, and settled when it ends.

Both happen in the step that changes the job, and are written in its transaction: whatever kills
the broker, the ledger and the jobs agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from res_federation.accounting import exchange, ledger, usage
from res_federation.accounting.funds import Funds, Purse, cost, payer
from res_federation.accounting.ledger import Amount, Entry
from res_federation.control.state import FederationState
from res_federation.model.identifiers import PartitionId, site_of
from res_federation.model.job import Job, JobSpec, Run
from res_federation.model.job_state import JobState
from res_federation.model.reason import Reason
from res_federation.model.resources import NodeShape


def project_of(state: FederationState, spec: JobSpec) -> str:
    """Return whose hours a job uses: what it names, else that of developer mode, else ""."""
    return spec.project or state.books.default


def funds(state: FederationState, at: float) -> Funds | None:
    """Return what each project has left where, and what begins later; None where all may."""
    books = state.books
    if not books.bounded:
        return None
    found: dict[tuple[str, PartitionId], list[Purse]] = {}
    parts = sorted({part for part, _ in _shapes(state)})
    covered: dict[str, list[PartitionId]] = {}
    for grant in (*books.paying(at), *books.coming(at)):
        if grant.machine not in covered:
            covered[grant.machine] = [part for part in parts if grant.covers(part)]
        purse = books.purse(grant)
        if grant.begins > at:
            purse = replace(purse, begins=grant.begins)
        for part in covered[grant.machine]:
            found.setdefault((grant.project, part), []).append(purse)
    purses = {key: tuple(one) for key, one in found.items()}
    if books.default:
        purses |= {("", part): one for (name, part), one in purses.items() if name == books.default}
    return purses


def _shapes(state: FederationState) -> Iterator[tuple[PartitionId, NodeShape]]:
    for site in state.sites.values():
        for declared in site.site.partitions:
            yield declared.id, declared.shape
        for reported in () if site.report is None else site.report.partitions:
            yield reported.id, reported.shape


def _shapes_of(state: FederationState, partition: PartitionId) -> list[NodeShape]:
    """Return the shapes of a partition as its site reports them, else as it declares them."""
    site = state.sites.get(site_of(partition))
    if site is None:
        return []
    if site.report is not None:
        found = [part.shape for part in site.report.partitions if part.id == partition]
        if found:
            return found
    declared = site.declared.get(partition)
    return [] if declared is None else [declared.shape]


def amount_of(state: FederationState, spec: JobSpec, partition: PartitionId) -> Amount:
    """Return what a job costs at a partition at its time limit.

    Where nodes of several shapes are there, on the shape where it costs most.
    """
    found = [
        one
        for shape in _shapes_of(state, partition)
        if not isinstance(one := cost(spec.request, shape, spec.time_limit_s, spec.tasks), Reason)
    ]
    return max(found, default=(0, 0))


def reserve(state: FederationState, job: Job, run: Run, at: float) -> Entry | str:
    """Set aside what *run* may cost at its time limit, or say why nobody can pay for it."""
    books = state.books
    project = project_of(state, job.spec)
    amount = amount_of(state, job.spec, run.partition)
    grant = payer(books.payers(project, run.partition, at), *amount)
    if grant is None:
        whose = f"no grant of project {project}" if project else "it names no project, and none"
        return f"waits: {whose} can pay for it at {run.partition}"
    run.grant = grant
    run.reserved_core_s, run.reserved_accelerator_s = amount
    return ledger.reserve(books, books.grant(grant), amount, at, run.token)


def settle(state: FederationState, job: Job, at: float) -> tuple[Entry, ...]:
    """Charge the newest run of *job* if it has just ended; () where there is nothing to settle."""
    run = job.run
    if run is None or not run.state.final or not run.grant or run.settled:
        return ()
    reserved = (run.reserved_core_s, run.reserved_accelerator_s)
    used = _used(job, run, reserved)
    run.used_core_s, run.used_accelerator_s, run.settled = *used, True
    books = state.books
    grant = books.grant(run.grant)
    state.version += books.bounded  # what it did not use is there for others
    note = str(run.state).lower() if run.state is JobState.LOST else ""
    given = _given(state, grant.project, run, used)
    return (ledger.settle(books, grant, reserved, used, at, run.token, note=note, given=given),)


def _used(job: Job, run: Run, reserved: Amount) -> Amount:
    """Return what a run used: its tasks' seconds times what each of them holds.

    Of a run that was lost nobody knows more than that it was seen to start: it is charged until it
    was given up, and never more than was set aside.
    """
    whole = max(1, job.spec.time_limit_s * job.spec.tasks)
    ran = usage.seconds(run)
    if run.state is JobState.LOST:
        ran = min(ran, whole)
    return reserved[0] // whole * ran, reserved[1] // whole * ran


def _given(
    state: FederationState, project: str, run: Run, used: Amount
) -> tuple[str, str, int] | None:
    owner = state.books.projects.get(project)
    if owner is None or not owner.home or owner.home == run.site:
        return None
    shapes = _shapes_of(state, run.partition)
    accelerator = shapes[0].accelerator if shapes else ""
    worth = exchange.units(state.books.rates, run.partition, accelerator, used)
    return (str(run.site), owner.home, worth) if worth else None


def parity(state: FederationState) -> dict[str, float]:
    """Return what members gave beyond what they took, where the policy weighs it."""
    return exchange.parity(state.books) if state.policy.weights.parity.rate else {}
