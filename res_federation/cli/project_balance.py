"""`resfed project show`: what a project has, what is left of it, and who used it where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from res_federation.accounting.records import LOCAL
from res_federation.cli import output
from res_federation.cli.documents import grant_document
from res_federation.cli.grant_table import show_grants
from res_federation.cli.options import Broker, Json, connected
from res_federation.client import Federation
from res_federation.errors import PermissionDenied
from res_federation.model.job import Job
from res_federation.model.sentences import hours
from res_federation.wire.accounting import GrantView

_ALWAYS = 1e18
_IMPORTED = "(imported)"


@dataclass(slots=True)
class _Use:
    """What one user used of one grant at one site; and what runs of theirs may still use."""

    runs: int = 0
    core_s: int = 0
    accelerator_s: int = 0
    reserved_core_s: int = 0


_Uses = dict[tuple[str, str, str], _Use]
"""By user, site and grant."""


def show(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its identifier.")],
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Who used it: only what ended from then on; UTC.")
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="TIME", help="Who used it: only what ended before; UTC.")
    ] = "",
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Show a project's grants with what is left of each, and who used how much where."""
    from res_federation.config.accounts import instant  # pydantic

    begin = instant(since, "--since") if since else 0.0
    end = instant(until, "--until") if until else _ALWAYS
    with connected(broker) as federation:
        found = federation.accounting.project(project)
        grants = federation.accounting.grants(project)
        uses = _uses(federation, project, grants, (begin, end))
    if uses is not None and not since and not until:
        _add_imported(uses, grants)
    if as_json:
        output.document({
            "project": found.id, "title": found.title, "home": found.home,
            "closed": found.closed, "grants": [grant_document(view) for view in grants],
            "usage": None if uses is None else [_document(*one) for one in uses.items()],
        })  # fmt: skip
        return
    home = f", of {found.home}" if found.home else ""
    output.say(f"{found.id}{home}: {found.title or 'no title'}{', closed' if found.closed else ''}")
    show_grants(grants, project=False, empty="it has no grants")
    output.say()
    _tell(uses)


def _uses(
    federation: Federation, project: str, grants: Iterable[GrantView], period: tuple[float, float]
) -> _Uses | None:
    """Return who used the grants of a project; None where the caller may see no jobs."""
    names = {view.grant.id for view in grants}
    found: _Uses = {}
    try:
        for job in federation.jobs(project="" if project == LOCAL else project):
            _add(found, job, names, period)
    except PermissionDenied:
        return None
    return dict(sorted(found.items()))


def _add(found: _Uses, job: Job, grants: set[str], period: tuple[float, float]) -> None:
    for run in job.runs:
        if run.grant not in grants:
            continue
        if run.settled and not period[0] <= (run.ended or run.placed) < period[1]:
            continue
        one = found.setdefault((job.spec.user, str(run.site), run.grant), _Use())
        one.runs += 1
        if run.settled:
            one.core_s += run.used_core_s
            one.accelerator_s += run.used_accelerator_s
        else:
            one.reserved_core_s += run.reserved_core_s


def _add_imported(uses: _Uses, grants: Iterable[GrantView]) -> None:
    """Add what was charged without a run of the federation."""
    for view in grants:
        mine = [one for key, one in uses.items() if key[2] == view.grant.id]
        core_s = view.used[0] - sum(one.core_s for one in mine)
        accelerator_s = view.used[1] - sum(one.accelerator_s for one in mine)
        if core_s > 0 or accelerator_s > 0:
            uses[_IMPORTED, "", view.grant.id] = _Use(0, core_s, accelerator_s)


def _document(key: tuple[str, str, str], one: _Use) -> dict[str, Any]:
    user, site, grant = key
    return {
        "user": None if user == _IMPORTED else user, "site": site or None, "grant": grant,
        "runs": one.runs, "core_s": one.core_s, "accelerator_s": one.accelerator_s,
        "reserved_core_s": one.reserved_core_s,
    }  # fmt: skip


def _tell(uses: _Uses | None) -> None:
    if uses is None:
        output.say("who used them is for those who may see the project's jobs")
        return
    rows = (
        (user, site, grant, str(one.runs), hours(one.core_s), hours(one.accelerator_s),
         hours(one.reserved_core_s))
        for (user, site, grant), one in uses.items()
    )  # fmt: skip
    heads = ("USER", "SITE", "GRANT", ">RUNS", ">CORE-HOURS", ">ACCEL-HOURS", ">CORE-H RESERVED")
    output.table(heads, rows, empty="nobody has used any of it")
