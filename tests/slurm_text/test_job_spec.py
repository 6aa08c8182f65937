"""From headers of many kinds to what the federation places."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.job import MAX_TIME_LIMIT_S, JobSpec
from res_federation.model.resources import WHOLE_NODE_MEMORY, ResourceRequest
from res_federation.slurm.job_spec import read_job


def job(*lines: str, arguments: tuple[str, ...] = (), **more: object) -> JobSpec:
    script = "#!/bin/bash\n" + "".join(f"#SBATCH {line}\n" for line in lines) + "true\n"
    return read_job(script, user="ana", arguments=arguments, **more)  # type: ignore[arg-type]


def noted(spec: JobSpec, *words: str) -> bool:
    return any(all(word in note for word in words) for note in spec.notes)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("-N 2 -n 8 -c 4", ResourceRequest(nodes=2, tasks=8, cpus_per_task=4)),
        ("-N 2-4", ResourceRequest(nodes=2)),
        ("--ntasks-per-node=3", ResourceRequest(tasks_per_node=3)),
        ("--mem=4000", ResourceRequest(memory_per_node_mib=4000)),
        ("--mem=0", ResourceRequest(memory_per_node_mib=WHOLE_NODE_MEMORY)),
        ("--mem-per-cpu=2G", ResourceRequest(memory_per_cpu_mib=2048)),
        ("--exclusive", ResourceRequest(exclusive=True)),
        ("--exclusive=user", ResourceRequest(exclusive=True)),
        ("-L cfs:1,SCRATCH", ResourceRequest(licenses=("cfs", "SCRATCH"))),
        ("--gres=shard:2,lustre", ResourceRequest(features=("gres/shard", "gres/lustre"))),
        ("--cpus-per-gpu=4", ResourceRequest()),
        ("--gres=gpu:0", ResourceRequest()),
        ("-p normal-arm", ResourceRequest(architecture="aarch64")),
        ("-C power9", ResourceRequest(architecture="ppc64le")),
    ],
)
def test_resources(line: str, request_: ResourceRequest) -> None:
    assert job(line).request == request_


A100 = AcceleratorNeed("a100", asked="a100")


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("--gres=gpu:a100:2", ResourceRequest(accelerator=A100, accelerators_per_node=2)),
        ("--gres=gpu:a100", ResourceRequest(accelerator=A100, accelerators_per_node=1)),
        ("--gpus=a100:4", ResourceRequest(accelerator=A100, accelerators_total=4)),
        ("-G 4 -C a100", ResourceRequest(accelerator=A100, accelerators_total=4)),
        ("--gpus-per-node=2",
         ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=2)),
        ("--gpus-per-task=1 -n 4 --cpus-per-gpu=8 --mem-per-gpu=16G",
         ResourceRequest(tasks=4, accelerator=AcceleratorNeed(), accelerators_per_task=1,
                         cpus_per_accelerator=8, memory_per_accelerator_mib=16384)),
        ("--gpus-per-socket=2 --sockets-per-node=2",
         ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=4)),
        ("--gpus=4 --ntasks-per-gpu=2",
         ResourceRequest(tasks=8, accelerator=AcceleratorNeed(), accelerators_total=4)),
        ("-n 5 --ntasks-per-gpu=2",
         ResourceRequest(tasks=5, accelerator=AcceleratorNeed(), accelerators_total=3)),
        ("--gres=gpu:1 -p gpu",
         ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=1)),
        ("--gres=gpu:1 -p gpu_h100",
         ResourceRequest(accelerator=AcceleratorNeed("h100", asked="gpu_h100"),
                         accelerators_per_node=1)),
        ("--gres=gpu:1 -p normal-a100-40",
         ResourceRequest(accelerator=AcceleratorNeed("a100", 40 * 1024, "normal-a100-40"),
                         accelerators_per_node=1)),
        ("--gres=gpu:1 -p a100,v100",
         ResourceRequest(accelerator=AcceleratorNeed(), accelerators_per_node=1)),
        ("--gres=gpu:banana:1",
         ResourceRequest(accelerator=AcceleratorNeed("banana", asked="banana"),
                         accelerators_per_node=1)),
        ("--gres=gpu:gh200:1",
         ResourceRequest(accelerator=AcceleratorNeed("gh200", asked="gh200"),
                         accelerators_per_node=1, architecture="aarch64")),
    ],
)  # fmt: skip
def test_accelerators(line: str, request_: ResourceRequest) -> None:
    assert job(line).request == request_


def test_what_was_inferred_is_noted() -> None:
    assert noted(job("--gres=gpu:1 -p gpu_h100"), "h100", "inferred", "--partition=gpu_h100")
    assert noted(job("--gres=gpu:1 -p a100,v100"), "a100, v100", "any accelerator")
    assert noted(job("-C a100"), "none is asked for")
    assert noted(job("-p normal-arm"), "aarch64", "--partition")
    assert noted(job("--gres=shard:1"), "gres/shard")
    assert noted(job("-N 2-4"), "lower bound")


def test_the_words_of_a_site_are_hints_unless_pinned() -> None:
    spec = job("-p gpp -q resa -A abc -w n1 --reservation=r -C x -x n2")
    assert (spec.partition, spec.qos, spec.account, spec.constraint) == ("gpp", "resa", "abc", "x")
    for name in ("partition", "qos", "account", "nodelist", "reservation", "constraint", "exclude"):
        assert noted(spec, f"--{name}=", "hint"), name
    pinned = job("-p gpp -M mn5")
    assert pinned.clusters == ("mn5",)
    assert not noted(pinned, "hint")


def test_time_limits() -> None:
    assert job("-t 90").time_limit_s == 5400
    default = job("-n 1")
    assert default.time_limit_s == 3600
    assert noted(default, "no --time")
    for line in ("-t 0", "-t UNLIMITED"):
        assert job(line).time_limit_s == MAX_TIME_LIMIT_S
        assert noted(job(line), "without an end")
    with pytest.raises(InvalidArgument, match="366 days") as caught:
        job("-n 1", "-t 400-0")
    assert caught.value.field == "script line 3, --time"


def test_names_paths_arrays_and_environment() -> None:
    spec = job(
        "-J train --array=1-9:4%2 -o out/%j -e err -D work --requeue",
        "--export=ALL,A=1,B=x=y,HERE,GONE",
        environment={"HERE": "h"},
        script_arguments=("one", "two words"),
    )
    assert (spec.name, spec.array, spec.array_throttle) == ("train", (1, 5, 9), 2)
    assert (spec.output, spec.error, spec.directory) == ("out/%j", "err", "work")
    assert spec.environment == (("A", "1"), ("B", "x=y"), ("HERE", "h"))
    assert spec.requeue
    assert spec.arguments == ("one", "two words")
    assert noted(spec, "GONE")
    assert noted(spec, "--export=ALL")
    assert job(name="file.sh").name == "file.sh"
    assert not job("--requeue --no-requeue").requeue


def test_every_option_is_kept() -> None:
    spec = job("-t 90 --tmp=4G --mail-type=ALL --wait --signal=USR1", arguments=("-c", "2"))
    assert spec.options == (
        ("time", "90"), ("tmp", "4G"), ("mail-type", "ALL"), ("wait", ""), ("signal", "USR1"),
        ("cpus-per-task", "2"),
    )  # fmt: skip
    assert noted(spec, "kept for the site", "--tmp=4G", "--signal=USR1")
    assert noted(spec, "--wait", "steers sbatch")
    assert noted(spec, "mail")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("-d afterok:1", "dependency"), ("--begin=now+1hour", "begin"), ("-H", "hold"),
        ("--uid=1000", "uid"), ("--bb=x", "bb"), ("--container=/x", "container"),
        ("--export-file=x", "export-file"), ("-i data", "input"),
        ("--cluster-constraint=x", "cluster-constraint"), ("-F hosts", "nodefile"),
        ("--array=1-999999", "array"), ("--gres=gpu:a100:x", "gres"), ("--export=a-b", "export"),
        ("--gpus-per-socket=2", "gpus-per-socket"), ("--ntasks-per-gpu=2", "ntasks-per-gpu"),
        ("--gres=gpu:a100:1,gpu:v100:1", "gres"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(line: str, name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        job("-c 1", line)
    assert caught.value.field == f"script line 3, --{name}"
    assert "\n" not in str(caught.value)


def test_refused_options_that_ask_for_nothing_pass() -> None:
    assert job("--dependency= --begin=now --input=none").name == "job"


def test_heterogeneous_jobs_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="heterogeneous"):
        job("-n 1", "hetjob", "-n 2")


def test_what_sbatch_refuses_is_refused_with_its_words_and_the_place() -> None:
    with pytest.raises(InvalidArgument) as caught:
        job("-n 1", "--image=x")
    assert str(caught.value).startswith("script line 3: unrecognized option '--image=x'")
    with pytest.raises(InvalidArgument) as caught:
        job(arguments=("--gres",))
    assert caught.value.field == "command line"
    with pytest.raises(InvalidArgument, match="#!"):
        read_job("echo", user="ana")


@given(st.text(max_size=300))
def test_any_header_is_a_job_or_one_line(text: str) -> None:
    for script in (text, "#!/bin/sh\n#SBATCH " + text.replace("\n", "\n#SBATCH ")):
        with contextlib.suppress(InvalidArgument):
            assert read_job(script, user="ana").script == script


def test_accents_in_one_byte_are_read_and_the_script_is_left_as_it_is() -> None:
    content = b"#!/bin/bash\n#SBATCH -J c\xe1lculo\n#SBATCH --comment=ni\xc3\xb1o\necho \xf3\n"
    script = content.decode("utf-8", "surrogateescape")
    spec = read_job(script, user="ana")
    assert spec.name == "cálculo"
    assert dict(spec.options)["comment"] == "niño"
    assert "--job-name is not UTF-8: read as Latin-1" in spec.notes
    assert spec.script.encode("utf-8", "surrogateescape") == content


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--job-name=a\n#SBATCH --hold",), "--job-name"),
        (("--comment", "c\0d"), "--comment"),
        (("--nodelist", "n1," * 30_000), "--nodelist"),
    ],
)
def test_a_value_that_no_directive_can_hold_is_refused_by_name(arguments, field):
    with pytest.raises(InvalidArgument) as raised:
        read_job("#!/bin/sh\ntrue\n", user="ana", arguments=arguments)
    assert raised.value.field == f"command line, {field}"


def test_words_that_cannot_travel_are_refused_by_their_place():
    with pytest.raises(InvalidArgument) as raised:
        read_job("#!/bin/sh\ntrue\n", user="ana", script_arguments=("a", "\udcff"))
    assert raised.value.field == "argument 2 of the script"
    with pytest.raises(InvalidArgument) as raised:
        read_job(
            "#!/bin/sh\ntrue\n", user="ana", arguments=("--export=A",), environment={"A": "\udcff"}
        )
    assert raised.value.field == "--export, A"
