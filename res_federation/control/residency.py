"""Where a job's data may go, at the two doors of the control: submission and commit."""

from __future__ import annotations

from dataclasses import replace

from res_federation.control.state import FederationState
from res_federation.errors import InvalidArgument
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
    theirs = rules.projects.get(spec.project, "") if spec.project else ""
    name = spec.data_class or theirs
    if not name:
        return spec
    mine = rules.classes.get(name)
    if mine is None:
        known = ", ".join(rules.classes) or "none: the catalogue has no data-classes.toml"
        raise InvalidArgument(
            f"no data class is called '{name[:60]}'",
            field="spec.data_class",
            way_out=f"classes: {known}",
        )
    bounds = rules.classes.get(theirs)
    laxer = "" if bounds is None else mine.laxer(bounds)
    if laxer:
        raise InvalidArgument(
            f"'{name}' is laxer in {laxer} than '{theirs}', the class of project '{spec.project}'",
            field="spec.data_class",
            way_out=f"leave it out, or name '{theirs}' or a stricter one",
        )
    return spec if name == spec.data_class else replace(spec, data_class=name)


def forbidden(state: FederationState, job: Job, site: SiteId) -> Reason | None:
    """Return why a job's data may not go to a site, whatever a plan says; None where it may."""
    known = state.sites.get(site)
    return barred(job.spec, None if known is None else known.site.governance, state.residency)


def closed_to(state: FederationState, spec: JobSpec) -> dict[str, list[SiteId]]:
    """Return the sites to which the data of a job may not go, by the code of the reason."""
    found: dict[str, list[SiteId]] = {}
    for name, site in state.sites.items():
        reason = barred(spec, site.site.governance, state.residency)
        if reason is not None:
            found.setdefault(reason.code.name, []).append(name)
    return found
