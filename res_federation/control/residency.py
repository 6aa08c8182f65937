"""Where a job's data may go, at the two doors of the control: submission and commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from res_federation.accounting.records import Project
from res_federation.control.state import FederationState
from res_federation.errors import InvalidArgument
from res_federation.model.audit import DENIED, AuditEntry
from res_federation.model.data_class import DataClass, Residency
from res_federation.model.identifiers import SiteId
from res_federation.model.job import Job, JobSpec
from res_federation.model.reason import Reason
from res_federation.placement.residency import barred


def classified(state: FederationState, spec: JobSpec) -> JobSpec:
    """Return *spec* with the class that binds it: its own, or else that of its project.

    Raises:
        InvalidArgument: If the class is not known, or allows what that of the project does not.

    """
    rules = state.residency
    theirs = rules.of_project(spec.project)
    name = spec.data_class or next(iter(theirs), "")
    if not name:
        return spec
    mine = _known(rules, name, "spec.data_class")
    for other in theirs if spec.data_class else ():
        bounds = rules.classes.get(other)
        laxer = "" if bounds is None else mine.laxer(bounds)
        if laxer:
            raise InvalidArgument(
                f"'{name}' is laxer in {laxer} than '{other}', a class of project '{spec.project}'",
                field="spec.data_class",
                way_out=f"leave it out, or name '{other}' or a stricter one",
            )
    return spec if name == spec.data_class else replace(spec, data_class=name)


def _known(rules: Residency, name: str, field: str) -> DataClass:
    found = rules.classes.get(name)
    if found is None:
        known = ", ".join(rules.classes) or "none: the catalogue has no data-classes.toml"
        raise InvalidArgument(
            f"no data class is called '{name[:60]}'", field=field, way_out=f"classes: {known}"
        )
    return found


def check_project(rules: Residency, project: Project) -> None:
    """Check the class of a project's data; raises InvalidArgument where there is no such class."""
    if project.data_class:
        _known(rules, project.data_class, "data_class")


def with_records(rules: Residency, projects: Mapping[str, Project]) -> Residency:
    """Return *rules* with what the records of *projects* say of their data."""
    recorded = {
        name: (one.data_class, one.jurisdictions)
        for name, one in projects.items()
        if one.data_class or one.jurisdictions
    }
    return rules if recorded == rules.recorded else replace(rules, recorded=recorded)


def forbidden(state: FederationState, job: Job, site: SiteId) -> Reason | None:
    """Return why a job's data may not go to a site, whatever a plan says; None where it may."""
    known = state.sites.get(site)
    return barred(job.spec, None if known is None else known.site.governance, state.residency)


def told(state: FederationState, job: Job) -> list[AuditEntry]:
    """Return what the audit log is told of the sites to which a job's data may not go: once a job.

    Nothing where every site is open to it.
    """
    if not state.residency.of(job.spec) and not state.residency.grounds(job.spec):
        return []
    barred_at: dict[str, list[SiteId]] = {}
    for name in state.sites:
        reason = forbidden(state, job, name)
        if reason is not None:
            barred_at.setdefault(reason.code.name, []).append(name)
    if not barred_at:
        return []
    spec = job.spec
    asked = {
        "data_class": " ".join(state.residency.of(spec)),
        "jurisdictions": " ".join(",".join(one) for one in state.residency.grounds(spec)),
    }
    data = {**asked, **{code: ",".join(sites) for code, sites in sorted(barred_at.items())}}
    count = sum(len(sites) for sites in barred_at.values())
    return [
        AuditEntry(
            job.submitted, "broker", "data.bar", job.id, DENIED,
            f"its data may not go to {count} of {len(state.sites)} sites",
            tuple((key, value) for key, value in data.items() if value),
        )
    ]  # fmt: skip
