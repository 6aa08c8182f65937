"""What a recording says of people, taken out: names become numbers, equal ones the same."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

from res_federation.accounting.books import Books
from res_federation.accounting.records import Grant, Project
from res_federation.control.events import (
    Exchanged,
    GrantClosed,
    GrantMade,
    JobSubmitted,
    MembershipSet,
    PoolSaved,
    ProjectSaved,
    UsageImported,
)
from res_federation.control.live import Live
from res_federation.control.state import FederationState
from res_federation.model.data_class import Residency
from res_federation.model.job import JobSpec


def hidden(text: str) -> str:
    """Return what stands in the place of a name; nothing stands for nothing."""
    return blake2b(text.encode(), digest_size=6).hexdigest() if text else ""


def event(one: Any) -> Any:
    """Return an event without names."""
    match one:
        case JobSubmitted():
            return replace(one, spec=_spec(one.spec), idempotency_key=hidden(one.idempotency_key))
        case ProjectSaved():
            return replace(one, project=_named(one.project), by="")
        case PoolSaved():
            return replace(one, pool=replace(one.pool, title=""), by="")
        case MembershipSet(member=member):
            member = replace(member, project=hidden(member.project), subject=hidden(member.subject))
            return replace(one, member=member, by="")
        case GrantMade():
            return replace(one, grant=_grant(one.grant), by="")
        case GrantClosed():
            return replace(one, grant=hidden(one.grant), by="")
        case UsageImported():
            usage = tuple(
                replace(use, grant=hidden(use.grant), once=hidden(use.once), note="")
                for use in one.usage
            )
            return replace(one, usage=usage, by="")
        case Exchanged():
            return replace(one, note="", by="")
        case _:
            return one


def state(one: FederationState) -> FederationState:
    """Return a state without names."""
    jobs = {}
    for name, job in one.jobs.items():
        runs = [replace(run, grant=hidden(run.grant), reason="") for run in job.runs]
        key = hidden(job.idempotency_key)
        jobs[name] = replace(job, spec=_spec(job.spec), idempotency_key=key, reason="", runs=runs)
    keys = {(hidden(user), hidden(key)): job for (user, key), job in one.keys.items()}
    history = {hidden(user): ratios for user, ratios in one.history.items()}
    return replace(
        one, jobs=jobs, keys=keys, history=history, books=_books(one.books),
        live=Live.of(jobs.values()), residency=_residency(one.residency),
    )  # fmt: skip


def _books(books: Books) -> Books:
    """Return the books without names; no decision looks at members."""
    found = replace(
        books,
        pools={name: replace(one, title="") for name, one in books.pools.items()},
        projects={hidden(name): _named(one) for name, one in books.projects.items()},
        members={},
        grants={},
        owned={},
        balances={_account(name): amounts for name, amounts in books.balances.items()},
        default=hidden(books.default),
    )
    for grant in books.grants.values():
        found.put_grant(_grant(grant))
    return found


def _residency(one: Residency) -> Residency:
    return replace(
        one,
        projects={hidden(name): kind for name, kind in one.projects.items()},
        recorded={hidden(name): said for name, said in one.recorded.items()},
    )


def _account(account: str) -> str:
    kind, _, rest = account.partition(":")
    if kind != "grant":
        return account
    name, _, which = rest.rpartition(":")
    return f"grant:{hidden(name)}:{which}"


def _named(project: Project) -> Project:
    return replace(project, id=hidden(project.id), title="")


def _grant(grant: Grant) -> Grant:
    return replace(grant, id=hidden(grant.id), project=hidden(grant.project), activity="")


def _spec(spec: JobSpec) -> JobSpec:
    return replace(
        spec, user=hidden(spec.user), name="job", arguments=(), environment=(), output="",
        error="", directory="", notes=(), issuer="", subject="", project=hidden(spec.project),
        options=tuple((name, value) for name, value in spec.options if name == "tmp"),
    )  # fmt: skip
