"""Whether a partition of the local batch system takes a job: the common fit test, then limits."""

from __future__ import annotations

from dataclasses import replace

from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import family_in
from res_federation.model.job import JobSpec
from res_federation.model.reason import Reason
from res_federation.model.resources import Layout, accelerator_fits, layout
from res_federation.model.site import Partition
from res_federation.slurm.dialect import Dialect, Use
from res_federation.slurm.render import Unrenderable, render_understood

_CHARGED = "embedded"
"""Stands for an account where a site wants one: nothing is charged here."""


def written(partition: Partition, spec: JobSpec, dialect: Dialect | None) -> JobSpec | str:
    """Return *spec* as the site would be given it, or the text of the refusal.

    The payload gets the very script that Slurm would get there, so that what the federation does
    to scripts is seen before any of them reaches a real machine.
    """
    if dialect is None:
        return spec
    wanted = dialect.account.use is Use.MUST and not spec.account
    try:
        found = render_understood(spec, dialect, partition, account=_CHARGED if wanted else "")
    except InvalidArgument as error:  # a script that no client of ours lets pass
        return str(error)
    if isinstance(found, Unrenderable):
        return "; ".join(found.reasons)
    return replace(spec, script=found.script, request=found.request)


def admit(partition: Partition, spec: JobSpec) -> Layout | str:
    """Lay the job out on the partition's nodes, or return the text of the refusal."""
    shape = partition.shape
    family = family_in(shape.accelerator)
    wrong = accelerator_fits(spec.request.accelerator, shape, family)
    need = wrong or layout(spec.request, shape)
    if isinstance(need, Reason):
        short = "" if need.needed < 0 else f": {need.needed} needed, {max(need.have, 0)} there"
        what = need.code.name.lower().replace("_", " ")
        return f"Requested node configuration is not available ({what}{short})"
    for asked, most, what in (
        (need.nodes, partition.nodes, "nodes"),
        (need.nodes, partition.max_nodes, "nodes of one job"),
        (spec.time_limit_s, partition.max_time_s, "seconds of time limit"),
        (len(spec.array), partition.max_array, "tasks of an array"),
    ):
        if most is not None and asked > most:
            return f"{partition.id} has a limit of {most} {what}: {asked} asked"
    return need
