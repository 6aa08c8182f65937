"""Submit and cancel: what users ask for."""

from __future__ import annotations

from dataclasses import replace

from res_federation.control.effects import CancelRun, Effect, JobChanged, SendToSite
from res_federation.control.events import JobCancelled, JobSubmitted
from res_federation.control.history import estimated
from res_federation.control.residency import classified, told
from res_federation.control.state import FederationState
from res_federation.control.telling import tell
from res_federation.errors import AlreadyExists, InvalidArgument, NotFound
from res_federation.model.accelerators import family_in, is_any
from res_federation.model.job import Job, JobSpec
from res_federation.model.job_state import JobState
from res_federation.model.resources import accelerator_fits
from res_federation.model.sentences import memory
from res_federation.placement.pins import pin_words
from res_federation.slurm.canonical import check_origin, understood


def submit(state: FederationState, event: JobSubmitted) -> list[Effect]:
    """Queue a job; a key that was seen before changes nothing.

    Raises:
        InvalidArgument: If it is pinned to, has its input at, or is said to be written for, a
            site that does not exist; if its data class is not known, or laxer than its project's.
        AlreadyExists: If the identifier is taken.
        ResourceExhausted: If its user or its project has too many live jobs.

    """
    key = (event.spec.user, event.idempotency_key)
    if event.idempotency_key and key in state.keys:
        return []
    if event.job in state.jobs:
        raise AlreadyExists(f"job {event.job} exists already")
    spec = acceptable(state, event.spec)
    state.live.check_room(state.terms.limits, spec.user, spec.project, 1, spec.tasks)
    if state.dialects:
        spec = understood(spec, state.dialects)
    spec = state.share(_expanded(state, spec))
    job = Job(
        id=event.job,
        spec=spec,
        submitted=event.at,
        reason="waits for a round",
        idempotency_key=event.idempotency_key,
        estimate_s=estimated(state, spec),
    )
    state.take_in(job)
    state.enqueue(job)
    if event.idempotency_key:
        state.keys[key] = job.id
    job.revision = state.next_revision()
    return [JobChanged(job, job.revision, "submitted", event.at, new=True), *told(state, job)]


def acceptable(state: FederationState, spec: JobSpec) -> JobSpec:
    """Return *spec* with its class of data; every name in it is one of this federation.

    Raises:
        InvalidArgument: If one is not; asked beforehand, nothing of a chunk is taken then.

    """
    _check_names(state, spec)
    return classified(state, spec)


def _expanded(state: FederationState, spec: JobSpec) -> JobSpec:
    """Say which accelerators of the members a wish for any of them means now."""
    need = spec.request.accelerator
    if need is None or need.family or not is_any(need.asked):
        return spec
    families = {
        family_in(part.shape.accelerator)
        for site in state.sites.values()
        for part in site.site.partitions
        if accelerator_fits(need, part.shape, family_in(part.shape.accelerator)) is None
    }
    size = f" with at least {memory(need.min_memory_mib)}" if need.min_memory_mib else ""
    found = ", ".join(sorted(families)) or "no member has one"
    return replace(spec, notes=(*spec.notes, f"gpu:{need.asked}: any accelerator{size}: {found}"))


def _check_names(state: FederationState, spec: JobSpec) -> None:
    if state.dialects:
        check_origin(spec, state.dialects)
    if not (spec.clusters or spec.excluded or spec.input_site):
        return
    known = {word for site in state.sites.values() for word in pin_words(site.site)}
    listed = ", ".join(state.sites)
    for field, words in (
        ("clusters", spec.clusters),
        ("excluded", spec.excluded),
        ("input_site", (spec.input_site,) if spec.input_site else ()),
    ):
        for word in words:
            if word.lower() not in known:
                raise InvalidArgument(
                    f"no member or cluster is called '{word}'",
                    field=f"spec.{field}",
                    way_out=f"members: {listed}",
                )


def cancel(state: FederationState, event: JobCancelled) -> list[Effect]:
    """Cancel a job, or one task of it.

    A job without a run ends at once.  One with a run ends when its site says so: until then a
    payload may be running, and saying CANCELLED would be a guess.

    Raises:
        NotFound: If the job is not live.
        InvalidArgument: If the job has no such task.

    """
    job = state.jobs.get(event.job)
    if job is None:
        raise NotFound(f"job {event.job} is not live", way_out="resfed queue --all lists all")
    if event.task is not None and event.task not in job.spec.array:
        raise InvalidArgument(
            f"job {job.id} has no task {event.task}",
            field="task",
            way_out=f"its tasks: {len(job.spec.array)} from {job.spec.array[:1]}"
            if job.spec.array
            else "it is not an array",
        )
    run = job.run
    job.revision = state.next_revision()
    if job.state is JobState.QUEUED or run is None:
        if event.task is not None:
            raise InvalidArgument(
                f"job {job.id} still waits: a single task can be cancelled once it is at a site",
                field="task",
            )
        tell(state, job)
        state.dequeue(job.id)
        job.state, job.ended, job.reason = JobState.CANCELLED, event.at, f"by {event.by}"
        state.let_go(job)
        return [JobChanged(job, job.revision, "cancelled", event.at, {"by": event.by})]
    data: dict[str, str | int | float] = {"by": event.by}
    if event.task is None:
        job.cancel_asked = True
        state.leave_place(job.id)
        job.reason = f"cancel asked by {event.by}; waits for {run.site}"
    else:
        data["task"] = event.task
    return [
        JobChanged(job, job.revision, "cancel_asked", event.at, data),
        SendToSite(run.site, (CancelRun(run.token, event.task),)),
    ]
