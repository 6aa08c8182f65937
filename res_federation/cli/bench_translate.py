"""The measure of `resfed bench translate`: scripts read and judged for every site, one core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.job import JobSpec
from res_federation.model.site import Site
from res_federation.slurm.adapt import Refusal, fit
from res_federation.slurm.canonical import Need, need_of, recognise
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.directives import own_options
from res_federation.slurm.job_spec import read_job
from res_federation.slurm.render import Rendered, render_need

_HEADERS = (
    "--qos=acc_resa --account=uv00 --gres=gpu:{gpus} -c {cpus} -t {time}",
    "--constraint=dgx --gres=gpu:{gpus} -c 16 --mem={cpus}G --time={time}",
    "--gres=gpu:a100:{gpus} --cpus-per-task=32 --mem-per-cpu=3G -t {time}",
    "-p std -n {cpus} --time={time} --array=1-{cpus}",
    "--partition=standard -N {gpus} --ntasks-per-node={cpus} --mem=64G -t {time}",
    "--constraint=cal -n 1 -c {cpus} --mem={cpus}gb -t {time}",
    "-N {gpus} --exclusive -t {time} -o logs/%x-%j.out -e logs/%x-%j.err",
)


def scripts(many: int) -> list[str]:
    """Return *many* scripts in the manners of several sites, the same ones at each call."""
    return [_script(number) for number in range(many)]


def _script(number: int) -> str:
    words = _HEADERS[number % len(_HEADERS)].format(
        gpus=1 + number % 3, cpus=1 + number % 47, time=f"{1 + number % 90}:00:00"
    )
    lines = words.replace(" -", "\n#SBATCH -")
    return (
        f"#!/bin/bash\n#SBATCH --job-name=job{number}\n#SBATCH {lines}\n"
        "module load app\nsrun ./app\n"
    )


def measure(
    texts: Sequence[str], sites: Path, *, check: bool = False, account: str = "uv00"
) -> dict[str, Any]:
    """Read every script, free its need of its site's words, and judge it for every site.

    Args:
        texts: The scripts.
        sites: The catalogue.
        check: Also write the text of each feasible one, and look for a resource that it has
            lost; this is not part of the judging, so it is not a measure of its speed.
        account: Account of the user wherever one is wanted.

    Returns:
        Keys ``scripts, sites, refused, feasible, rendered, lost, seconds, cpu_seconds,
        scripts_per_second``; ``rendered`` and ``lost`` only say something with *check*, and
        ``cpu_seconds`` is what a core works, however busy the machine is.

    """
    members = load_sites(sites)
    dialects = load_dialects(sites, members)
    feasible = refused = rendered = 0
    lost: list[str] = []
    begin, cpu = perf_counter(), process_time()
    for number, text in enumerate(texts):
        try:
            spec = read_job(text, user="bench")
        except InvalidArgument:
            refused += 1
            continue
        found = recognise(spec, dialects.values())
        need = need_of(spec, dialects.get(found.site))
        feasible += sum(_judge(need, dialects[site.id], site) for site in members)
        if check:
            for site in members:
                many, losses = _checked(spec, need, dialects[site.id], site, account)
                rendered += many
                lost += [f"script {number} to {loss}" for loss in losses]
    seconds, cpu_seconds = perf_counter() - begin, process_time() - cpu
    return {
        "scripts": len(texts), "sites": len(members), "refused": refused, "feasible": feasible,
        "rendered": rendered, "lost": lost, "seconds": seconds, "cpu_seconds": cpu_seconds,
        "scripts_per_second": len(texts) / seconds,
    }  # fmt: skip


def _judge(need: Need, target: Dialect, site: Site) -> bool:
    return any(not isinstance(fit(need, target, part), Refusal) for part in site.partitions)


def _checked(
    spec: JobSpec, need: Need, target: Dialect, site: Site, account: str
) -> tuple[int, list[str]]:
    """Write the script for each partition; return how many there are and what they have lost."""
    many = 0
    lost: list[str] = []
    for part in site.partitions:
        found = render_need(spec, need, target, part, account=account)
        if not isinstance(found, Rendered):
            continue
        many += 1
        again = read_job(found.script, user="bench").request
        before = need.request
        body = spec.script.rpartition("\n#SBATCH")[2].partition("\n")[2]
        same = (
            (again.accelerators_per_node, again.accelerators_total, again.accelerators_per_task)
            == (before.accelerators_per_node, before.accelerators_total,
                before.accelerators_per_task)
            and again.licenses == before.licenses
            and again.exclusive >= before.exclusive
            and again.nodes == before.nodes
            and again.tasks == before.tasks
        )  # fmt: skip
        if not same or not found.script.endswith(body):
            lost.append(f"{part.id}: {own_options(found.script)}")
    return many, lost
