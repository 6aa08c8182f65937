"""What a job that stays is told: the newest reason, and of hours by the names of grants.

Rounds know of hours that they lack; which grants those are, and when one begins, is looked up
when somebody is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import SupportsBytes

from res_federation.accounting.books import AVAILABLE, RESERVED, Books
from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.records import Grant
from res_federation.control import paying
from res_federation.control.state import FederationState
from res_federation.model.identifiers import JobId, PartitionId
from res_federation.model.job import Job
from res_federation.model.reason import Code, Reason
from res_federation.model.sentences import hours, moment, sentence
from res_federation.placement.packing import frame_of, rows_with

_MOST_NAMED = 3
_UNITS = ("core", "accelerator")


def tell(state: FederationState, job: Job) -> Job:
    """Return *job*, which learns the newest answer if it is held."""
    answer = None
    if state.late is not None and job.id in state.held:
        answer = state.late.answer_of(job.id)
    if answer is not None:
        job.reason = waits(state, job, answer.reason, answer.decision, answer.at)
        state.decide(job, answer.decision, answer.at)
    return job


def held_of(
    state: FederationState, kinds: frozenset[int], jobs: Iterable[JobId] | None
) -> Iterator[Job]:
    """Yield those of *jobs* (or of all) that are held in these classes, told the newest."""
    if state.late is not None:
        for job in state.late.among(kinds, state.held if jobs is None else jobs):
            if job in state.held:
                yield tell(state, state.jobs[job])


def waits(
    state: FederationState, job: Job, reason: Reason, decision: SupportsBytes, at: float
) -> str:
    """Return what a job waits for, as its reason says it."""
    return f"waits: {_said(state, job, reason, decision, at)}"


def never(
    state: FederationState, job: Job, reason: Reason, decision: SupportsBytes, at: float
) -> str:
    """Return why no member can run a job."""
    return f"no member can run it; the nearest: {_said(state, job, reason, decision, at)}"


def _said(
    state: FederationState, job: Job, reason: Reason, decision: SupportsBytes, at: float
) -> str:
    match reason.code:
        case Code.NO_GRANT:
            return _without(state.books, paying.project_of(state, job.spec), at)
        case Code.GRANT_NOT_BEGUN:
            found = _coming(state, job, _parts(state, decision, reason.code), at)
            return _begins(found) if found else sentence(reason)
        case Code.GRANT_SPENT:
            return _spent(state, job, _parts(state, decision, reason.code), at) or sentence(reason)
        case _:
            return sentence(reason)


def _parts(state: FederationState, decision: SupportsBytes, code: Code) -> list[PartitionId]:
    """Return the partitions that a decision closed for a reason."""
    frame = state.frames.get(frame_of(decision), ())
    return [frame[row] for row in rows_with(decision, code) if row < len(frame)]


def _coming(
    state: FederationState, job: Job, parts: Iterable[PartitionId], at: float
) -> Grant | None:
    """Return the first grant to begin that will pay for a job at one of *parts*."""
    project, where = paying.project_of(state, job.spec), tuple(parts)
    mine = (one for one in state.books.coming(at) if one.project == project)
    return next((one for one in mine if any(map(one.covers, where))), None)


def _begins(grant: Grant) -> str:
    return f"grant {grant.id} begins {moment(grant.begins)}"


def _spent(state: FederationState, job: Job, parts: list[PartitionId], at: float) -> str:
    """Say which grant has too little left, what is set aside of it, and what comes after it."""
    project, books = paying.project_of(state, job.spec), state.books
    for part in parts:
        asked = paying.amount_of(state, job.spec, part)
        for purse in books.payers(project, part, at):
            short = _short(books, books.grant(purse.grant), asked)
            later = _coming(state, job, parts, at)
            if short:
                return f"{short}; {_begins(later)}" if later else short
    return ""


def _short(books: Books, grant: Grant, asked: tuple[int, int]) -> str:
    parts = books.accounts_of(grant.id)
    granted = (grant.core_s, grant.accelerator_s)
    for unit, name in enumerate(_UNITS):
        left = max(0, parts[AVAILABLE][unit])
        if granted[unit] == UNLIMITED or asked[unit] <= left:
            continue
        back = parts[RESERVED][unit]
        found = (
            f"grant {grant.id} has {hours(left)} {name}-hours left, and at its time limit the job "
            f"may use {hours(asked[unit])}"
        )
        if asked[unit] > left + back:
            return f"{found}: it needs more hours or a shorter limit"
        return f"{found}; {hours(back)} more are set aside for runs and may come back"
    return ""


def _without(books: Books, project: str, at: float) -> str:
    """Say why nobody pays for the jobs of a project where they could run."""
    if not project:
        return "it names no project whose grants could pay (--project)"
    owner = books.projects.get(project)
    if owner is None:
        return f"there is no project '{project}' (resfed project list)"
    if owner.closed:
        return f"project {project} is closed: its grants pay no more"
    mine = sorted((books.grants[one] for one in books.owned.get(project, ())), key=_ended_last)
    if not mine:
        return f"project {project} has no grants"
    said = [_state_of(one, at) for one in mine[-_MOST_NAMED:]]
    return f"no grant of project {project} pays where it could run ({'; '.join(reversed(said))})"


def _ended_last(grant: Grant) -> tuple[float, str]:
    return grant.ends, grant.id


def _state_of(grant: Grant, at: float) -> str:
    where = f"for {grant.machine or 'all sites'}"
    if grant.closed:
        return f"{grant.id}, {where}, was closed"
    if grant.ends <= at:
        return f"{grant.id}, {where}, ended {moment(grant.ends)}"
    if grant.begins > at:
        return f"{grant.id}, {where}, begins {moment(grant.begins)}"
    return f"{grant.id} is {where}"
