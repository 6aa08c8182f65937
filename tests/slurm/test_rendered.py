"""Rendered scripts before real members' sbatch; `make rendered-conformance` asks for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from res_federation.config.dialects import load_dialects
from res_federation.config.places import default_sites
from res_federation.config.sites import load_sites
from res_federation.lab import daemons
from res_federation.lab.lab import PROGRAMS, Lab
from res_federation.slurm.dialect import Dialect
from tests.conformance import rendered
from tests.conformance.generated_scripts import generated
from tests.slurm.site_clusters import ACCOUNT, SiteCluster, site_clusters

SITES = ("bsc", "cesga", "csuc", "uma", "upm")
"""Those whose dialects ask for most, and together have every rule that there is."""
QOS = "gp_resa acc_resa gp_hbm gp_data short medium long viz standard standard-gpu".split()
"""Each takes sacctmgr half a second."""
OWN = {
    "plain": "--time=01:00:00",
    "tasks": "--ntasks=96 --mem-per-cpu=1G --time=02:00:00",
    "nodes": "--nodes=4 --ntasks-per-node=16 --cpus-per-task=2 --time=12:00:00",
    "whole nodes": "--nodes=2 --exclusive --mem-per-cpu=8G --ntasks-per-node=4 --time=1-0",
    "whole nodes, memory of GPUs": "--exclusive --gres=gpu:1 --mem-per-gpu=100G --time=60",
    "all memory": "--mem=0 --cpus-per-task=8 --time=60",
    "more per node than tasks": "--ntasks=3 --ntasks-per-node=40 --cpus-per-task=16 --time=60",
    "any GPU": "--gres=gpu:1 --cpus-per-task=4 --time=8:00:00",
    "A100": "--gres=gpu:a100:2 --ntasks=2 --cpus-per-task=8 --mem=64G --time=1-0",
    "H100": "--gpus-per-node=h100:2 --nodes=2 --time=1-0",
    "GPUs in all": "--gpus=8 --time=60",
    "GPUs with tasks": "--gpus-per-task=1 --ntasks=4 --cpus-per-task=6 --time=60",
    "GPUs with tasks that are not counted": "--gpus-per-task=1 --nodes=1 --time=60",
    "tasks with GPUs": "--ntasks-per-gpu=1 --ntasks=8 --cpus-per-task=32 --time=60",
    "cores with GPUs": "--gpus=2 --cpus-per-gpu=10 --time=60",
    "long array": "--array=1-3000%20 --time=60",
    "words of elsewhere": "--partition=normal --qos=high --constraint=skylake --account=p1 "
    "--reservation=week --nodelist=n[1-3] --clusters=east --time=60",
    "sockets and threads": "--ntasks=32 --ntasks-per-socket=16 --threads-per-core=2 --time=60",
    "of MareNostrum 5": "--qos=acc_resa --account=own1 --gres=gpu:4 --cpus-per-task=80 --time=60",
    "of FinisTerrae III": "--partition=short --mem=3G --time=60",
    "of Picasso": "--constraint=dgx --gres=gpu:1 --mem=16G --time=60",
}


@dataclass(frozen=True)
class Bench:
    """Members' clusters that run, and all dialects, as a script's words may be of any site."""

    lab: Lab
    clusters: list[SiteCluster]
    dialects: dict[str, Dialect]

    def judge(self, scripts: Sequence[tuple[str, str]]) -> tuple[int, list[str]]:
        """Return how many pairs are called feasible, and what sbatch says against any."""
        found = [
            pair
            for pair in rendered.pairs(rendered.read(scripts, self.dialects), self.clusters)
            if not pair.names_nodes
        ]
        said = [(pair, rendered.verdict(pair, self.lab)) for pair in found]
        against = [
            f"{pair.name} at {pair.partition.id}: {answer}\n{pair.rendered.script}"
            for pair, answer in said
            if answer
        ]
        return len(found), against


@pytest.fixture(scope="module")
def bench(requires: Callable[[str, str], Path]) -> Iterator[Bench]:
    for program in PROGRAMS:
        requires(program, daemons.PACKAGES.get(program, program))
    sites = load_sites(default_sites())
    dialects = load_dialects(default_sites(), sites)
    chosen = [
        replace(site, qos=tuple(qos for qos in site.qos if qos.name in QOS))
        for site in sites
        if site.id in SITES
    ]
    clusters = site_clusters(chosen, dialects, ("own1",))
    with Lab([each.plan for each in clusters], nodes_run=False) as lab:
        yield Bench(lab, clusters, dialects)


def script(options: str) -> str:
    lines = [f"#SBATCH {option}" for option in options.split()]
    return "\n".join(["#!/bin/bash", *lines, "srun ./app", ""])


def test_what_is_called_feasible_is_accepted(bench: Bench):
    many, against = bench.judge([(name, script(options)) for name, options in OWN.items()])
    assert against == []
    assert many > 120, "most of them are feasible nearly everywhere"


def test_odd_combinations_too(bench: Bench):
    many, against = bench.judge(list(generated(40, seed=11)))
    assert against == []
    assert many > 100


def test_public_scripts_too(bench: Bench):
    # those of MareNostrum 5 have QoS that this bench leaves out
    scripts = [each for each in rendered.shared_scripts() if not each[0].startswith("mn5")]
    if not scripts:
        pytest.skip("no scripts in ../shared/sbatch")
    many, against = bench.judge(Random(7).sample(scripts, 20))
    assert against == []
    assert many > 100


ACC = f"--partition=acc --account={ACCOUNT} --qos=acc_resa"
GPP = f"--partition=gpp --account={ACCOUNT} --qos=gp_resa"


@pytest.mark.parametrize(
    ("site", "options", "said"),
    [
        ("bsc", GPP.replace("--account=lab", ""), "--account is mandatory"),
        ("bsc", GPP.replace("--qos=gp_resa", ""), "--qos is mandatory"),
        ("bsc", GPP.replace("=lab", "=other"), "Invalid account"),
        ("bsc", GPP.replace("gp_resa", "acc_resa"), "Invalid qos"),
        ("bsc", f"{GPP} --nodes=201", "QOSMaxNodePerJobLimit"),
        ("bsc", f"{GPP} --time=73:00:00", "QOSMaxWallDurationPerJobLimit"),
        ("bsc", f"{GPP} --mem=4G", "--mem is refused"),
        ("bsc", f"{ACC} --gres=gpu:2 --cpus-per-task=20", "at least 20 cores with each GPU"),
        ("bsc", f"{ACC} --gres=gpu:h100:1 --cpus-per-task=20", "configuration is not available"),
        ("bsc", f"{GPP} --array=0-1001", "Invalid job array"),
        ("bsc", f"{GPP} --constraint=dgx", "Invalid feature"),
        ("cesga", "", "--mem is mandatory"),
        ("cesga", "--mem=3G --time=169:00:00", "time limit is invalid"),
        ("cesga", "--mem=3G --gres=gpu:v100:1 --cpus-per-task=32", "configuration is not avail"),
        ("cesga", "--mem=3G --gres=gpu:a100:1", "at least 32 cores with each GPU"),
        ("csuc", "--partition=gpu --gres=gpu:1 --cpus-per-task=4", "--cpus-per-task is refused"),
        ("csuc", "--partition=std --nodes=51", "Node count"),
        ("uma", "--partition=sd --mem=1G", "Invalid partition"),
        ("upm", "--partition=standard --ntasks=1 --cpus-per-task=49", "configuration is not avail"),
    ],
)  # fmt: skip
def test_the_judge_refuses_what_the_member_refuses(
    bench: Bench, site: str, options: str, said: str
):
    plan = next(each.plan for each in bench.clusters if each.site.id == site)
    argv = ["sbatch", "--test-only", *options.split(), "--wrap", "true"]
    done = bench.lab.cluster(plan.name).run(argv)
    assert done.returncode != 0
    assert said in done.stderr
