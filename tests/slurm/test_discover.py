"""A site file from what Slurm says: nothing is invented, and what differs later is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.agent.slurm.discover import Discovered, Live, a_word, live_of, readable, site_of
from res_federation.agent.slurm.live_check import differences
from res_federation.cli.main import execute
from res_federation.config.site_writer import site_text
from res_federation.config.sites import check, load_site
from res_federation.errors import InvalidArgument
from res_federation.lab.lab import Cluster, Lab
from res_federation.model.site import Partition, Site, SlurmAccess

ACCESS = SlurmAccess("/etc/slurm/slurm.conf")
CONFIG = """\
AccountingStorageType   = {accounting}
ClusterName             = star
MaxArraySize            = 501
SelectTypeParameters    = CR_CORE_MEMORY
SLURM_VERSION           = 22.05.8
"""
NODES = """\
NodeName=c1 Arch=x86_64 CPUTot=64 CPUEfctv=64 RealMemory=256000 Gres=(null) ActiveFeatures=ice,ib Partitions=cpu,mixed State=IDLE
NodeName=c2 Arch=x86_64 CPUTot=64 CPUEfctv=64 RealMemory=256000 Gres=(null) ActiveFeatures=ice Partitions=cpu,mixed State=DOWN*
NodeName=c3 Arch=x86_64 CPUTot=64 CPUEfctv=64 RealMemory=256000 Gres=(null) ActiveFeatures=ice Partitions=cpu,mixed State=IDLE
NodeName=g1 Arch=x86_64 CPUTot=32 CPUEfctv=32 RealMemory=512000 Gres=gpu:nvidia_h100_80gb_hbm3:4(S:0-1) ActiveFeatures=(null) Partitions=mixed,GPU State=MIXED
NodeName=g2 Arch=x86_64 CPUTot=32 CPUEfctv=32 RealMemory=512000 Gres=gpu:2 ActiveFeatures=(null) Partitions=strange State=IDLE
NodeName=r1 Arch=riscv64 CPUTot=8 CPUEfctv=8 RealMemory=16000 Gres=(null) ActiveFeatures=(null) Partitions=risc State=IDLE
"""  # noqa: E501 - lines as Slurm prints them
PARTITIONS = """\
PartitionName=cpu Default=YES AllowQos=ALL AllowAccounts=ALL MaxNodes=2 MaxTime=3-00:00:00 State=UP TotalNodes=3 QoS=N/A
PartitionName=mixed Default=NO AllowQos=res,debug AllowAccounts=res MaxNodes=UNLIMITED MaxTime=UNLIMITED State=DRAIN TotalNodes=4 QoS=N/A
PartitionName=GPU Default=NO AllowQos=ALL MaxNodes=UNLIMITED MaxTime=1:00:00 State=UP TotalNodes=1 QoS=N/A
PartitionName=strange Default=NO AllowQos=ALL DenyQos=debug MaxNodes=5 MaxTime=UNLIMITED State=UP TotalNodes=1 QoS=N/A
PartitionName=risc Default=NO AllowQos=ALL MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP TotalNodes=1 QoS=N/A
PartitionName=empty Default=NO AllowQos=ALL MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP TotalNodes=0 QoS=N/A
"""  # noqa: E501 - lines as Slurm prints them
QOS = "normal||||||\nres|2-00:00:00||node=4|||\ndebug|02:00:00||node=1|||\n"


def seen(
    *, nodes: str = NODES, partitions: str = PARTITIONS, accounting: bool = True,
    declared: tuple[Partition, ...] = (),
) -> Live:  # fmt: skip
    """Read what a cluster said."""
    kind = "accounting_storage/" + ("slurmdbd" if accounting else "none")
    return live_of(
        CONFIG.format(accounting=kind), partitions, nodes, QOS if accounting else None, declared
    )


def file_of(found: Discovered, directory: Path) -> Path:
    """Write the file of a discovered site."""
    file = directory / "site.toml"
    text = site_text(found.site, head=found.head, remarks=found.remarks, tail=found.tail)
    file.write_text(text, encoding="utf-8")
    return file


def part(site: Site, name: str) -> Partition:
    """Return the partition called so."""
    return next(each for each in site.partitions if each.name == name)


def test_what_is_discovered_is_a_site_file_without_faults(tmp_path):
    found = site_of(seen(), ACCESS)
    file = file_of(found, tmp_path)
    assert check(file) == []
    assert load_site(file) == found.site
    assert (found.site.id, found.site.clusters) == ("star", ("star",))


def test_figures_are_slurms_own():
    site = site_of(seen(), ACCESS, "mysite").site
    cpu = part(site, "cpu")
    assert cpu.id == "mysite/star/cpu"
    assert (cpu.nodes, cpu.shape.cores, cpu.shape.memory_mib) == (3, 64, 256_000)
    assert (cpu.max_time_s, cpu.max_nodes) == (3 * 86_400, 2)
    assert set(cpu.features) == {"ice", "ib"}
    assert cpu.max_array is None  # longer arrays are cut in pieces


def test_of_several_shapes_the_one_with_accelerators_is_written_and_the_others_are_noted():
    found = site_of(seen(), ACCESS)
    mixed = part(found.site, "mixed")
    assert (mixed.nodes, mixed.shape.accelerators) == (1, 4)
    assert mixed.shape.accelerator == "nvidia-h100-sxm-80gb"
    assert "3 of 64 cores" in mixed.note
    words = " ".join(found.remarks["mixed"])
    assert "DRAIN" in words
    assert "accounts res" in words


def test_an_accelerator_of_no_type_is_left_to_the_administrator():
    found = site_of(seen(), ACCESS)
    strange = part(found.site, "strange")
    assert (strange.shape.accelerator, strange.shape.accelerators) == ("", 0)
    assert "2 accelerators" in " ".join(found.remarks["strange"])
    assert strange.max_nodes is None  # five of one is no limit


def test_what_cannot_be_written_is_named():
    found = site_of(seen(), ACCESS)
    said = " ".join(found.tail)
    assert "GPU" in {part.name for part in found.site.partitions}, "capitals are Slurm's own"
    assert "risc is left out: its nodes are riscv64" in said
    assert "empty is left out: it has no nodes" in said


def test_qualities_of_service_open_the_partitions_that_take_them():
    site = site_of(seen(), ACCESS).site
    qos = {each.name: each for each in site.qos}
    assert qos["normal"].opens == ("cpu", "GPU", "strange")
    assert qos["debug"].opens == ("cpu", "mixed", "GPU")
    assert (qos["res"].max_time_s, qos["res"].max_nodes) == (2 * 86_400, 4)
    assert site_of(seen(accounting=False), ACCESS).site.qos == ()


def test_a_cluster_that_shows_nothing_is_an_error_in_one_line():
    with pytest.raises(InvalidArgument, match="no partition"):
        site_of(seen(partitions="", nodes=""), ACCESS)


@pytest.mark.parametrize(
    ("name", "made"), [("star", "star"), ("Mare Nostrum", "mare-nostrum"), ("_x.", "x")]
)
def test_a_clusters_name_becomes_a_word(name, made):
    assert a_word(name) == made


def test_a_name_of_which_nothing_is_left_is_refused():
    with pytest.raises(InvalidArgument, match="--id"):
        a_word("***")


def test_a_file_agrees_with_the_cluster_that_it_was_written_from():
    site = site_of(seen(), ACCESS).site
    assert differences(site, seen(declared=site.partitions)) == ()


def test_a_lower_limit_is_the_sites_own_will_and_a_higher_one_is_not():
    site = site_of(seen(), ACCESS).site
    cpu = part(site, "cpu")

    def with_limits(*, max_time_s: int | None, max_nodes: int | None) -> Site:
        mine = replace(cpu, max_time_s=max_time_s, max_nodes=max_nodes)
        return replace(
            site, partitions=tuple(mine if p.name == "cpu" else p for p in site.partitions)
        )

    assert differences(with_limits(max_time_s=3600, max_nodes=1), seen()) == ()
    found = differences(with_limits(max_time_s=4 * 86_400, max_nodes=None), seen())
    assert [(each.key, each.file, each.cluster) for each in found] == [
        ("max_time", "96:00:00", "72:00:00"),
        ("max_nodes", "", "2"),
    ]


def test_every_figure_that_changed_is_named():
    site = site_of(seen(), ACCESS).site
    changes = {"RealMemory=256000": "RealMemory=128000", "=64": "=48", "hbm3:4": "hbm3:8"}
    grown = NODES
    for old, new in changes.items():
        grown = grown.replace(old, new)
    found = differences(site, seen(nodes=grown, declared=site.partitions))
    keys = {(each.partition, each.key) for each in found}
    assert {("cpu", "cores"), ("cpu", "memory"), ("mixed", "accelerators")} <= keys
    assert all(each.partition in each.message for each in found)


def test_partitions_that_came_and_went_are_named():
    site = site_of(seen(), ACCESS).site
    renamed = PARTITIONS.replace("PartitionName=cpu", "PartitionName=long")
    found = differences(site, seen(partitions=renamed, nodes=NODES.replace("=cpu,", "=long,")))
    names = {(each.key, each.file, each.cluster) for each in found if each.key == "name"}
    assert names == {("name", "cpu", ""), ("name", "", "long")}


def test_another_cluster_is_told_at_once():
    site = replace(site_of(seen(), ACCESS).site, clusters=("other",))
    (found,) = differences(site, seen())
    assert found.key == "cluster"


def test_a_configuration_that_is_away_is_not_waited_for(tmp_path):
    with pytest.raises(InvalidArgument, match=r"slurm\.conf"):
        readable(tmp_path / "slurm.conf")


def test_a_site_without_slurm_has_no_cluster_to_compare_with(tmp_path, capsys):
    file = tmp_path / "site.toml"
    file.write_text('id = "x"\nmachine = "X"\nbatch = ""\n')
    assert execute(["site", "check", "--live", str(file)]) == 2
    assert "batch" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["acclab", "ftlab", "palmalab"])
def test_a_real_cluster_is_discovered_and_agrees_with_its_file(
    lab: Lab, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cluster = lab.cluster(name)
    assert execute(["site", "discover", "slurm", "--conf", str(cluster.conf)]) == 0
    file = tmp_path / "site.toml"
    file.write_text(capsys.readouterr().out)
    assert execute(["site", "check", str(file)]) == 0
    assert execute(["site", "check", "--live", str(file)]) == 0
    site = load_site(file)
    there = [word for each in cluster.plan.partitions for word in (each.name,)]
    assert [each.name for each in site.partitions] == there
    assert site.slurm == SlurmAccess(str(cluster.conf))


def test_a_difference_to_a_real_cluster_is_an_exit_code(
    h100: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert execute(["site", "discover", "slurm", "--conf", str(h100.conf), "--id", "x"]) == 0
    text = capsys.readouterr().out
    file = tmp_path / "site.toml"
    file.write_text(re.sub(r"^cores = .*", "cores = 7", text, flags=re.MULTILINE))
    assert execute(["site", "check", "--live", str(file), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert {each["key"] for each in said["differences"]} == {"cores"}


def test_a_slurm_that_does_not_answer_is_an_exit_code_of_its_own(
    plain: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    conf = tmp_path / "slurm.conf"
    conf.write_text(plain.conf.read_text() + "\nNonsense=yes\n")
    assert execute(["site", "discover", "slurm", "--conf", str(conf)]) == 3
    assert "scontrol: " in capsys.readouterr().err
