"""What sites say of runs, and what follows for their jobs."""

from __future__ import annotations

from dataclasses import replace

from res_federation.accounting.ledger import Entry
from res_federation.control import paying
from res_federation.control.effects import Effect, JobChanged
from res_federation.control.forecasts import started
from res_federation.control.history import learn, spend
from res_federation.control.state import FederationState
from res_federation.model.job import Job, Run, RunObservation
from res_federation.model.job_state import JobState, may_move


def observe(
    state: FederationState, job: Job, observation: RunObservation, at: float
) -> list[Effect]:
    """Follow what the agent says of the newest run of *job*."""
    run = job.run
    assert run is not None, f"{job.id} has no run"
    _count(state, run, observation)
    run.script_sha256 = observation.script_sha256 or run.script_sha256
    if observation.asks and not run.begun:
        return _let_begin(state, job, run, at)
    fence_news = observation.fenced and not run.begun and not run.fenced
    run.begun = run.begun or observation.begun or observation.state is JobState.RUNNING
    run.fenced = (run.fenced or observation.fenced) and not run.begun
    if run.begun:
        state.leave_place(job.id)
    elif fence_news and not observation.state.final:
        _may_be_taken_back(state, job, run)
    if observation.withdrawn:  # the agent has proved it, whatever was allowed meanwhile
        return _withdrawn(state, job, run, observation, at)
    if observation.refused and not run.begun:
        return _refused(state, job, run, observation, at)
    if observation.state.final:
        return _ended(state, job, run, observation, at)
    moved = observation.state is not run.state and may_move(job.state, observation.state)
    said = (run.reason, run.tasks)
    if not moved and not fence_news and (observation.reason, observation.tasks) == said:
        return []
    run.reason = observation.reason
    run.tasks = observation.tasks
    run.started = observation.started if observation.started is not None else run.started
    if moved:
        run.state = job.state = observation.state
        job.started = run.started
    if not job.cancel_asked and not run.barred:
        job.reason = observation.reason
    return [changed(state, job, str(run.state).lower(), at)]


def _may_be_taken_back(state: FederationState, job: Job, run: Run) -> None:
    """Let a run that its site fenced, as it waits, hold its place as others do."""
    if state.policy.late is not None and not job.cancel_asked:
        run.held = True
        state.take_place(job)


def _count(state: FederationState, run: Run, observation: RunObservation) -> None:
    """Note whether the figures of the report have the run in them."""
    site = state.sites[run.site]
    counted = observation.counted and observation.state is not JobState.PLACED
    if counted and site.uncounted.pop(run.token, 0) is None:
        state.version += 1  # what was set aside for it is there again, though no figure changed
    elif not counted and run.token not in site.uncounted:
        # in the order of placement, as the others
        among = {*site.uncounted, run.token}
        site.uncounted = {token: None for token in site.runs if token in among}
    run.confirmed, run.counted = True, counted


def _ended(
    state: FederationState, job: Job, run: Run, observation: RunObservation, at: float
) -> list[Effect]:
    run.state, run.reason = observation.state, observation.reason
    run.tasks, run.exit_code = observation.tasks, observation.exit_code
    run.started = observation.started if observation.started is not None else run.started
    run.ended = observation.ended if observation.ended is not None else at
    why = _why(job, observation)
    return [finish(state, job, observation.state, at, why)]


def _why(job: Job, observation: RunObservation) -> str:
    """Return the reason: the site's own, but for what we asked for and what it does not say."""
    if observation.state is JobState.CANCELLED and job.cancel_asked:
        return "cancelled as asked"
    if observation.reason or observation.state is JobState.COMPLETED:
        return observation.reason
    if observation.state is JobState.CANCELLED:
        return "cancelled at the site"
    if observation.exit_code is not None:
        return f"exit code {observation.exit_code}"
    return f"{observation.state.value.lower()} at the site, which gave no reason"


def _let_begin(state: FederationState, job: Job, run: Run, at: float) -> list[Effect]:
    """Write down that a fenced run begins, before it is let; one that must end is not let.

    From here on the job is never placed elsewhere unless its user said ``--requeue``.
    """
    if job.cancel_asked or run.barred:
        return []
    run.begun, run.fenced = True, False
    state.leave_place(job.id)
    return [changed(state, job, "beginning", at)]


def _withdrawn(
    state: FederationState, job: Job, run: Run, observation: RunObservation, at: float
) -> list[Effect]:
    """Place the job again: its run surely did not begin, and the site does not mind such jobs."""
    run.state, run.ended, run.begun = JobState.CANCELLED, at, False
    run.reason = observation.reason or "withdrawn before it began"
    _leave(state, run)
    if job.cancel_asked:
        return [finish(state, job, JobState.CANCELLED, at, "cancelled before it began")]
    if sum(not past.leaving for past in job.runs) >= state.terms.max_attempts:
        why = f"{len(job.runs)} attempts ended before they began; the last: {run.reason}"
        return [finish(state, job, JobState.FAILED, at, why)]
    return requeue(state, job, at, f"withdrawn from {run.site}: {run.barred or run.reason}")


def _refused(
    state: FederationState, job: Job, run: Run, observation: RunObservation, at: float
) -> list[Effect]:
    """Place the job elsewhere: the site surely did not take it."""
    run.state, run.ended = JobState.FAILED, at
    run.reason = observation.reason or "the site refused it"
    _leave(state, run)
    refusals = sum(1 for past in job.runs if past.state is JobState.FAILED and not past.begun)
    if job.cancel_asked:
        return [finish(state, job, JobState.CANCELLED, at, "cancelled before it began")]
    if refusals >= state.terms.max_refusals:
        return [finish(state, job, JobState.FAILED, at, f"refused by {run.site}: {run.reason}")]
    job.refused = (*job.refused, run.partition)
    return requeue(state, job, at, f"{run.site} refused it: {run.reason}")


def requeue(state: FederationState, job: Job, at: float, reason: str) -> list[Effect]:
    """Put a job whose newest run has ended without a payload back into the queue."""
    job.state, job.reason = JobState.QUEUED, reason
    job.started = None
    state.enqueue(job)
    state.version += 1
    return [changed(state, job, "requeued", at, {"reason": reason})]


def lose(state: FederationState, job: Job, at: float, evidence: str) -> list[Effect]:
    """End the newest run as lost; its payload may have begun, so it is not tried again.

    Another attempt is for a run that was fenced (it cannot have begun unasked) and for a user who
    allowed a second beginning (``--requeue``).
    """
    run = job.run
    assert run is not None, f"{job.id} has no run"
    run.state, run.reason, run.ended = JobState.LOST, evidence, at
    if (run.fenced or job.spec.requeue) and not job.cancel_asked:
        _leave(state, run)
        return requeue(state, job, at, evidence)
    return [finish(state, job, JobState.LOST, at, evidence)]


def finish(state: FederationState, job: Job, end: JobState, at: float, reason: str) -> Effect:
    """End a job; it leaves the live ones, and the store keeps it."""
    run = job.run
    job.state, job.reason = end, reason
    if run is not None:
        job.started, job.exit_code = run.started, run.exit_code
        job.ended = run.ended if run.ended is not None else at
        _leave(state, run)
    else:
        job.ended = at
    state.dequeue(job.id)
    state.let_go(job)
    data: dict[str, str | int | float] = {"site": job.site, "reason": reason}
    if job.exit_code is not None:
        data["exit_code"] = job.exit_code
    spend(state, job, at)
    return replace(changed(state, job, end.value.lower(), at, data), learnt=learn(state, job))


def _leave(state: FederationState, run: Run) -> None:
    site = state.sites.get(run.site)
    if site is not None:
        site.runs.pop(run.token, None)
        site.sent.pop(run.token, None)
        if site.uncounted.pop(run.token, 0) is None:
            state.version += 1


def changed(
    state: FederationState,
    job: Job,
    kind: str,
    at: float,
    data: dict[str, str | int | float] | None = None,
    entries: tuple[Entry, ...] = (),
) -> JobChanged:
    """Number an event about *job*; the effect carries the job, which may have left the state.

    A job that has just started has its forecast scored; one whose run has just ended is charged,
    and *entries* are what else is posted with it.
    """
    job.revision = state.next_revision()
    run = job.run
    outcome = None if run is None else started(state.forecasts, state.jobs, job, run, at)
    entries += paying.settle(state, job, at)
    return JobChanged(job, job.revision, kind, at, data or {}, outcome=outcome, entries=entries)
