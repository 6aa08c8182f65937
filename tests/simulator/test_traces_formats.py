"""Dumps of sacct, event files of the Slurm simulator, and Alibaba's pods and nodes."""

import gzip
from pathlib import Path

import pytest

from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.resources import NodeShape
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.openb import read_nodes
from res_federation.simulator.traces.read import read_trace

TRACES = Path(__file__).parents[2].parent / "shared" / "traces"


def shared(name: str) -> Path:
    file = TRACES / name
    if not file.exists():
        pytest.skip("the shared traces are not here")
    return file


def write(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "trace"  # the name says nothing
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


# --- sacct


def test_xdmod_dump_without_a_heading():
    work = read_trace(shared("xdmod-phillips.sacct.gz"))
    assert (work.form, work.read, len(work)) == ("sacct", 4_285, 4_046)
    assert work.dropped == {rules.NEVER_STARTED: 239}
    assert work.repaired == {
        rules.MEMORY_FLAG: 4_238 - 239,  # all that never started had the flag
        rules.ZERO_RUN_TIME: 261 - 239,
        rules.LOW_ESTIMATE: 1,
    }
    flagged = next(shape for shape in work.shapes if shape.memory_per_cpu_mib)
    assert (flagged.memory_per_cpu_mib, flagged.tasks) == (3_000, 8)
    assert max(shape.nodes or 0 for shape in work.shapes) == 8
    assert [shape.accelerators_total for shape in work.shapes if shape.accelerator] == [2]
    assert work.estimate.max() == (37 * 24 + 14) * 3600
    assert set(work.queues) == {"black", "crumpet", "focaccia"}


HEAD = (
    "JobID|User|Account|Partition|Submit|Start|End|Elapsed|State|NNodes|AllocCPUS|ReqMem|"
    "AllocTRES|Timelimit"
)


def sacct_line(job_id="7", **cells: str) -> str:
    row = {
        "JobID": job_id, "User": "ana", "Account": "proj1", "Partition": "gpu",
        "Submit": "2024-03-01T10:00:00", "Start": "2024-03-01T10:01:00",
        "End": "2024-03-01T11:01:00", "Elapsed": "01:00:00", "State": "COMPLETED", "NNodes": "2",
        "AllocCPUS": "16", "ReqMem": "8000Mn", "AllocTRES": "cpu=16,mem=16000M,node=2",
        "Timelimit": "1-00:00:00",
    }  # fmt: skip
    return "|".join((row | cells).values())


def test_a_heading_in_any_order(tmp_path):
    lines = [HEAD, sacct_line()]
    turned = ["|".join(reversed(line.split("|"))) for line in lines]
    for text in (lines, turned):
        work = read_trace(write(tmp_path, *text))
        assert (work.job_ids.tolist(), work.procs.tolist()) == ([7], [16])
        assert (work.runtime.tolist(), work.estimate.tolist()) == ([3600], [86_400])
        assert (work.users, work.groups, work.queues) == (("ana",), ("proj1",), ("gpu",))
        assert work.shapes[work.shape[0]].memory_per_node_mib == 8_000
        assert not work.repaired


def test_epoch_seconds_and_raw_columns(tmp_path):
    head = "JobIDRaw|Submit|ElapsedRaw|ReqCPUS|TimelimitRaw"
    work = read_trace(write(tmp_path, head, "9|1700000000|90|4|10"))
    assert (work.submit.tolist(), work.runtime.tolist()) == ([1_700_000_000], [90])
    assert (work.estimate.tolist(), work.procs.tolist()) == ([600], [4])
    assert work.shape.tolist() == [-1]


def test_columns_sufficient_for_a_replay(tmp_path):
    head = "jobid|submit|start|end|reqtres"
    line = "9|1700000000|1700000010|1700000030|cpu=4,mem=8G,node=1,billing=4"
    work = read_trace(write(tmp_path, head, line))
    assert (work.runtime.tolist(), work.procs.tolist()) == ([20], [4])
    assert work.repaired == {rules.NO_ESTIMATE: 1}


@pytest.mark.parametrize("column", ["Submit", "AllocCPUS"])
def test_a_heading_that_lacks_what_a_replay_needs(tmp_path, column):
    head = "|".join(name for name in HEAD.split("|") if name not in (column, "AllocTRES"))
    with pytest.raises(InvalidArgument, match=rf"line 1: the heading lacks.*{column}") as caught:
        read_trace(write(tmp_path, head, "1"))
    assert "sacct" in caught.value.way_out


def test_steps_are_no_jobs(tmp_path):
    steps = [sacct_line(f"7.{step}") for step in ("batch", "extern", "0")]
    work = read_trace(write(tmp_path, HEAD, sacct_line(), *steps, sacct_line("8")), first=2)
    assert work.job_ids.tolist() == [7, 8]
    assert work.dropped == {rules.JOB_STEP: 3}
    assert work.read == 5


def test_tasks_of_arrays_and_parts_of_heterogeneous_jobs(tmp_path):
    ids = ["123_4", "123_5", "200+0", "200+1", "201"]
    work = read_trace(write(tmp_path, HEAD, *(sacct_line(job_id) for job_id in ids)))
    assert work.job_ids.tolist() == ids


@pytest.mark.parametrize(
    ("limit", "rule"),
    [("UNLIMITED", rules.UNLIMITED), ("Partition_Limit", rules.PARTITION_LIMIT)],
)
def test_limits_without_a_number(tmp_path, limit, rule):
    work = read_trace(write(tmp_path, HEAD, sacct_line(Timelimit=limit)))
    assert work.estimate.tolist() == [3600]
    assert work.repaired == {rule: 1, rules.NO_ESTIMATE: 1}


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"Start": "Unknown", "State": "PENDING"}, rules.NEVER_STARTED),
        ({"Start": "None", "State": "CANCELLED by 501"}, rules.NEVER_STARTED),
        ({"AllocCPUS": "0", "Elapsed": "00:00:00", "State": "CANCELLED"}, rules.NEVER_STARTED),
        ({"End": "Unknown", "State": "RUNNING"}, rules.NOT_ENDED),
        ({"Submit": "Unknown"}, rules.BROKEN_LINE),
        ({"JobID": "seven"}, rules.BROKEN_LINE),
        ({"AllocCPUS": "", "AllocTRES": ""}, rules.NO_PROCESSORS),
    ],
)
def test_jobs_that_cannot_be_replayed(tmp_path, cells, rule):
    job_id = cells.pop("JobID", "8")
    work = read_trace(write(tmp_path, HEAD, sacct_line(), sacct_line(job_id, **cells)))
    assert work.dropped == {rule: 1}
    assert work.first_lines[rule] == 3


def test_cancelled_while_it_ran_is_a_job(tmp_path):
    line = sacct_line(State="CANCELLED by 380693")
    assert len(read_trace(write(tmp_path, HEAD, line))) == 1


@pytest.mark.parametrize(
    ("text", "per_node", "per_cpu", "repaired"),
    [
        ("4000Mn", 4000, None, {}),
        ("4Gc", None, 4096, {}),
        ("16G", 8192, None, {}),  # newer Slurm: of the whole job, here on two nodes
        ("2147486648Mn", None, 3000, {rules.MEMORY_FLAG: 1}),
        ("lots", 8000, None, {rules.MEMORY_UNREAD: 1}),
        ("", 8000, None, {}),
    ],
)
def test_memory(tmp_path, text, per_node, per_cpu, repaired):
    work = read_trace(write(tmp_path, HEAD, sacct_line(ReqMem=text)))
    (shape,) = work.shapes
    assert (shape.memory_per_node_mib, shape.memory_per_cpu_mib) == (per_node, per_cpu)
    assert work.repaired == repaired


@pytest.mark.parametrize(
    ("tres", "count", "family"),
    [
        ("cpu=16,node=2,gres/gpu=4", 4, ""),
        ("cpu=16,node=2,gres/gpu=4,gres/gpu:h100=4", 4, "h100"),
        ("cpu=16,node=2,gres/gpu:a100=1,gres/gpu:v100=3", 4, "v100"),
    ],
)
def test_accelerators(tmp_path, tres, count, family):
    (shape,) = read_trace(write(tmp_path, HEAD, sacct_line(AllocTRES=tres))).shapes
    assert shape.accelerators_total == count
    assert shape.accelerator is not None
    assert shape.accelerator.family == family


def test_bars_in_names_and_the_heading_again(tmp_path):
    head = HEAD + "|JobName"
    lines = [head, sacct_line() + "|a|b || c", head, sacct_line("8") + "|plain"]
    work = read_trace(write(tmp_path, *lines))
    assert work.job_ids.tolist() == [7, 8]
    assert work.read == 2


def test_a_bar_behind_each_line(tmp_path):
    work = read_trace(write(tmp_path, HEAD + "|", sacct_line() + "|"))
    assert work.procs.tolist() == [16]
    assert not work.dropped


def test_a_name_with_a_line_end_breaks_its_line_only(tmp_path):
    lines = [HEAD + "|JobName", sacct_line() + "|two", "lines", sacct_line("8") + "|one"]
    work = read_trace(write(tmp_path, *lines))
    assert work.job_ids.tolist() == [7, 8]
    assert work.dropped == {rules.BROKEN_LINE: 1}


def test_some_other_columns_without_a_heading(tmp_path):
    with pytest.raises(InvalidArgument, match="no heading, and 3 columns") as caught:
        read_trace(write(tmp_path, "1|2|3"), form="sacct")
    assert "leave -n out" in caught.value.way_out


# --- events of the Slurm simulator


def test_events():
    work = read_trace(shared("ub-hpc-slurm-5k.events.gz"))
    assert (work.form, work.read, len(work)) == ("events", 5_000, 5_000)
    assert work.repaired[rules.ZERO_RUN_TIME] == 25
    assert not work.dropped
    assert (work.estimate == 3 * 86_400).mean() > 0.5
    memory = {shape.memory_per_node_mib for shape in work.shapes}
    assert {187_000, 500 * 1024} <= memory
    assert {shape.accelerators_per_node for shape in work.shapes} == {None, 1, 2}


EVENT = "-dt {} -e submit_batch_job | -sim-walltime {} --uid=user003 -J job_{} {} pseudo.job"


def test_an_event(tmp_path):
    asked = "-N 2 -n 18 -c2 -t 3-00:00:00 -A proj -p general --mem=250G --gres=gpu:v100:2"
    work = read_trace(write(tmp_path, EVENT.format("18.75", "1864.90", 34, asked)))
    assert (work.submit.tolist(), work.runtime.tolist()) == ([18], [1864])
    assert (work.procs.tolist(), work.estimate.tolist()) == ([36], [259_200])
    assert (work.job_ids.tolist(), work.users) == (["job_34"], ("user003",))
    assert (work.groups, work.queues) == (("proj",), ("general",))
    (shape,) = work.shapes
    assert (shape.nodes, shape.tasks, shape.cpus_per_task) == (2, 18, 2)
    assert shape.accelerator is not None
    assert (shape.accelerator.family, shape.accelerators_per_node) == ("v100", 2)


def test_events_that_are_refused_and_broken(tmp_path):
    work = read_trace(
        write(
            tmp_path,
            EVENT.format(1, 5, 1, "-n 1 -t 5"),
            EVENT.format(2, 5, 2, "--no-such-option=3 -n 1"),
            EVENT.format("soon", 5, 3, "-n 1"),
            "# a remark",
            "-dt 4 -e stop_all",
            EVENT.format(5, -1, 4, "-n 1"),
            EVENT.format(6, 7, 5, "-n 1"),
            "-dt 7 -e submit_batch_job | -sim-walltime 3 --mem=1G",
        )
    )
    assert work.read == 7 - 1
    assert work.dropped == {
        rules.OPTIONS_REFUSED: 1, rules.BROKEN_LINE: 1, rules.NEGATIVE_RUN_TIME: 1,
    }  # fmt: skip
    assert work.procs.tolist() == [1, 1, 1]
    assert work.repaired == {rules.NO_ESTIMATE: 2}


# --- Alibaba's


def test_pods():
    work = read_trace(shared("openb_pod_list_default.csv.gz"))
    assert (work.form, work.read) == ("openb", 8_152)
    assert work.dropped == {rules.NEVER_STARTED: 897}
    assert len(work) == 8_152 - 897
    with gzip.open(TRACES / "openb_pod_list_default.csv.gz", "rt", encoding="ascii") as file:
        pods = [line.rstrip("\n").split(",") for line in file][1:]
    shares = sum(pod[3] == "1" and int(pod[4]) < 1000 and pod[10] != "" for pod in pods)
    assert work.repaired == {rules.GPU_SHARE: shares, rules.NO_ESTIMATE: len(work)}
    assert {shape.accelerators_per_node for shape in work.shapes} == {None, 1, 2, 4, 8}
    assert None in {shape.memory_per_node_mib for shape in work.shapes}  # one pod says 0


POD = "p1,3152,5600,{},{},{},BE,Failed,100,400,120"
POD_HEAD = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,"
    "deletion_time,scheduled_time"
)


@pytest.mark.parametrize(
    ("spec", "family", "mib", "repaired"),
    [
        ("", "", 0, {}),
        ("T4", "t4", 0, {}),
        ("V100M16|V100M32|V100M32", "v100", 16 * 1024, {}),
        ("V100M32", "v100", 32 * 1024, {}),
        ("G2", "openbg2", 0, {}),
        ("T4|G9", "t4", 0, {}),
        ("G9", "", 0, {rules.GPU_CODE_NAME: 1}),
    ],
)
def test_models_of_pods(tmp_path, spec, family, mib, repaired):
    work = read_trace(write(tmp_path, POD_HEAD, POD.format(1, 1000, spec)))
    (shape,) = work.shapes
    assert shape.accelerator == AcceleratorNeed(family, mib, spec)
    assert work.repaired == {**repaired, rules.NO_ESTIMATE: 1}
    assert (work.submit.tolist(), work.runtime.tolist()) == ([100], [280])
    assert (work.procs.tolist(), shape.cpus_per_task) == ([4], 4)


def test_any_of_several_models_will_do(tmp_path):
    spec = "P100|T4|V100M32|V100M16|G2"
    (shape,) = read_trace(write(tmp_path, POD_HEAD, POD.format(1, 1000, spec))).shapes
    need = shape.accelerator
    assert need is not None
    assert (need.family, need.min_memory_mib) == ("openbg2", 0)  # of which there are most
    assert {(each.family, each.min_memory_mib) for each in need.alternatives} == {
        ("t4", 0), ("v100", 16 * 1024), ("p100", 0),
    }  # fmt: skip


def test_a_share_of_a_gpu_is_a_whole_one(tmp_path):
    work = read_trace(write(tmp_path, POD_HEAD, POD.format(1, 460, ""), POD.format(0, 0, "")))
    assert [shape.accelerators_per_node for shape in work.shapes] == [1, None]
    assert work.repaired[rules.GPU_SHARE] == 1


def test_nodes():
    found = read_nodes(shared("openb_node_list_all_node.csv.gz"))
    assert sum(count for _, count in found) == 1_523
    assert sum(shape.accelerators * count for shape, count in found) == 6_212
    assert sum(count for shape, count in found if not shape.accelerators) == 310
    assert {shape.accelerator for shape, _ in found} >= {
        "nvidia-t4", "nvidia-v100-16gb", "alibaba-openbg2", "",
    }  # fmt: skip
    assert found[0][0] == NodeShape(96, 393_216, "alibaba-openbg2", 8)


def test_nodes_are_no_trace(tmp_path):
    file = write(tmp_path, "sn,cpu_milli,memory_mib,gpu,model", "n1,32000,262144,0,")
    with pytest.raises(InvalidArgument, match="list of nodes, not of jobs"):
        read_trace(file)
    assert read_nodes(file) == ((NodeShape(32, 262_144), 1),)


@pytest.mark.parametrize("line", ["n1,32000", "n1,x,1,0,", "n1,0,1,0,", "n1,1000,1,-1,"])
def test_lines_that_are_no_nodes(tmp_path, line):
    file = write(tmp_path, "sn,cpu_milli,memory_mib,gpu,model", line)
    with pytest.raises(InvalidArgument, match="line 2: is no node"):
        read_nodes(file)
