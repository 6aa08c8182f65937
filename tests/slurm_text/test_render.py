"""A script for one member, as the others would be given it."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.config.dialects import load_dialects
from res_federation.config.sites import load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.job import JobSpec
from res_federation.model.site import Partition, Site
from res_federation.slurm.canonical import recognise
from res_federation.slurm.dialect import Dialect, conservative
from res_federation.slurm.directives import own_options
from res_federation.slurm.job_spec import read_job
from res_federation.slurm.losses import losses
from res_federation.slurm.render import Rendered, Unrenderable, render
from tests.strategies import examples

SITES = Path(__file__).parents[2] / "sites"
BODY = "\nmodule load x\nsrun ./app\n#SBATCH --qos=late\n"


@cache
def members() -> tuple[tuple[Site, ...], dict[str, Dialect]]:
    sites = load_sites(SITES)
    return sites, load_dialects(SITES, sites)


def part(name: str) -> tuple[Dialect, Partition]:
    site_id, wanted = name.split("/")
    sites, dialects = members()
    site = next(site for site in sites if site.id == site_id)
    return dialects[site_id], next(each for each in site.partitions if each.name == wanted)


def job(*directives: str, arguments: tuple[str, ...] = ()) -> JobSpec:
    lines = [f"#SBATCH {each}" for each in directives]
    script = "\n".join(["#!/bin/bash", *lines]) + BODY
    return read_job(script, user="ana", arguments=arguments)


def written(spec: JobSpec, origin: str, to: str, account: str = "") -> dict[str, str]:
    target, partition = part(to)
    found = render(spec, members()[1].get(origin), target, partition, account=account)
    assert isinstance(found, Rendered), found
    assert found.script.endswith(BODY)
    return own_options(found.script)


def refused(spec: JobSpec, origin: str, to: str) -> str:
    target, partition = part(to)
    found = render(spec, members()[1].get(origin), target, partition)
    assert isinstance(found, Unrenderable)
    return " ".join(found.reasons)


PICASSO = ("--constraint=dgx", "--gres=gpu:1", "-c 16", "--mem=64G", "-t 10:00:00")
MN5 = ("--qos=acc_resa", "--account=uv00", "--gres=gpu:2", "-c 40", "-t 2-0")


def test_from_picasso_to_finisterrae() -> None:
    assert written(job(*PICASSO), "uma", "cesga/a100") == {
        "gres": "gpu:a100:1", "cpus-per-task": "32", "mem": "64G", "time": "10:00:00",
    }  # fmt: skip


def test_from_marenostrum_to_pirineus_that_sets_cores_and_memory_itself() -> None:
    told = written(job(*MN5), "bsc", "csuc/gpu")
    assert told == {"partition": "gpu", "gres": "gpu:2", "time": "2-0"}


def test_to_marenostrum_with_its_floor_its_qos_and_its_export() -> None:
    told = written(job("--gres=gpu:h100:2", "-c 4", "-t 5"), "csuc", "bsc/acc", account="uv00")
    assert told == {
        "account": "uv00", "qos": "acc_resa", "partition": "acc", "gres": "gpu:2",
        "cpus-per-task": "40", "time": "5", "export": "ALL,SRUN_CPUS_PER_TASK=40",
    }  # fmt: skip


def test_memory_becomes_the_cores_that_bring_it() -> None:
    told = written(job("--mem=64G", "-t 5"), "uma", "bsc/gpp", account="uv00")
    assert told["cpus-per-task"] == "32"
    assert "mem" not in told
    told = written(job("--mem=0", "-t 5"), "uma", "bsc/gpp", account="uv00")
    assert told["exclusive"] == ""
    told = written(job("--mem-per-cpu=4G", "-n 8", "-t 5"), "upm", "bsc/gpp", account="uv00")
    assert (told["ntasks"], told["cpus-per-task"]) == ("8", "2")


def test_memory_is_asked_for_where_it_must_be() -> None:
    told = written(job("--qos=gp_resa", "--account=a", "-n 4", "-t 5"), "bsc", "cesga/ilk")
    assert told == {"ntasks": "4", "mem-per-cpu": "3072M", "time": "5"}


@pytest.mark.parametrize(
    ("directives", "to", "why"),
    [
        (PICASSO, "csuc/gpu", "needs a100"),
        (("--gres=gpu:3",), "cesga/a100", "accelerators per node"),
        (("--gres=gpu:1",), "uv/tirant4", "no accelerators"),
        (("--licenses=matlab",), "csuc/std", "licence 'matlab'"),
        (("--gres=shard:2",), "csuc/std", "gres/shard"),
        (("--tmp=10G",), "csuc/std", "--tmp"),
        (("-t 100:00:00",), "bsc/gpp", "allows 3 d (gp_resa)"),
        (("-N 300",), "bsc/gpp", "300 nodes, may have 200 (gp_resa)"),
        (("-t 5",), "bsc/gpp", "--account"),
        (("--mem=300G",), "csuc/gpu", "with GPUs only"),
    ],
)
def test_nothing_is_lost_silently(directives: tuple[str, ...], to: str, why: str) -> None:
    assert why in refused(job(*directives), "uma", to)


@pytest.mark.parametrize(
    ("directives", "site", "to"),
    [
        (PICASSO, "uma", "uma/exa"),
        (MN5, "bsc", "bsc/acc"),
        (("-p standard-gpu", "--gres=gpu:a100:1", "--mem=8G"), "upm", "upm/gpu-a100"),
    ],
)
def test_at_home_a_script_is_left_as_it_is(directives: tuple[str, ...], site: str, to: str) -> None:
    spec = job(*directives)
    target, partition = part(to)
    found = render(spec, members()[1][site], target, partition)
    assert isinstance(found, Rendered)
    assert found.script == spec.script


def test_at_home_what_the_site_refuses_is_said() -> None:
    assert "want 40 cores" in refused(job(*MN5, "-c 10"), "bsc", "bsc/acc")
    assert "acc_res " in refused(job(*MN5, "--qos=acc_res"), "bsc", "bsc/acc")


def test_the_origin_is_recognised_or_left_open() -> None:
    dialects = members()[1].values()
    assert recognise(job(*PICASSO), dialects).site == "uma"
    assert recognise(job(*MN5), dialects).site == "bsc"
    assert recognise(job("-t 5"), dialects).site == ""
    assert recognise(job("-p std", "--constraint=cal"), dialects).site == ""


def test_a_site_without_a_dialect_is_written_conservatively() -> None:
    site = next(site for site in members()[0] if site.id == "csuc")
    dialect = conservative(site)
    partition = next(each for each in site.partitions if each.name == "gpu")
    found = render(job("--gres=gpu:h100:1", "--mem=8G", "-t 5"), None, dialect, partition)
    assert isinstance(found, Rendered)
    assert "conservatively" in found.notes[-1]
    assert own_options(found.script) == {
        "partition": "gpu", "gres": "gpu:1", "mem": "8G", "time": "5",
    }  # fmt: skip


def test_options_of_the_command_line_are_written_into_the_script() -> None:
    spec = job("-t 5", arguments=("--job-name=a b", "--comment", "x' #"))
    told = written(spec, "", "csuc/std")
    assert told["job-name"] == "a b"
    assert told["comment"] == "x' #"


@given(name=st.text(max_size=30), account=st.text(max_size=30))
@settings(max_examples=examples(200), deadline=None)
def test_no_field_becomes_a_directive_or_a_command(name: str, account: str) -> None:
    try:
        spec = job("-t 5", arguments=("--job-name", name, "--comment", "c\n#SBATCH --uid=0"[:1]))
    except InvalidArgument:
        return
    target, partition = part("bsc/gpp")
    found = render(spec, None, target, partition, account=account)
    if isinstance(found, Rendered):
        told = own_options(found.script)
        assert set(told) <= {
            "job-name", "comment", "time", "partition", "qos", "account", "export",
        }  # fmt: skip
        assert told["job-name"] == name
        assert told["account"] == account
        assert found.script.endswith(BODY)
    else:
        assert not account or any(sign in name + account for sign in "\n\r\0")


def test_what_cannot_be_translated_is_named() -> None:
    script = (
        "#!/bin/sh\n#SBATCH --output=/gpfs/x/%j\n#SBATCH --mail-type=END\nmodule load gcc\n"
        "cd /gpfs/projects/uv00/run\nsqueue -u me | head\n# scancel 1\necho sbatch\n"
    )
    options = {"output": "/gpfs/x/%j", "mail-type": "END"}
    said = "\n".join(losses(script, options))
    assert "line 5 (/gpfs/projects/uv00/run)" in said
    assert "line 4 (load gcc)" in said
    assert "line 6 (squeue)" in said
    assert "line 7" not in said
    assert "line 8" not in said
    assert "--output=/gpfs/x/%j" in said
    assert "--mail-type" in said
