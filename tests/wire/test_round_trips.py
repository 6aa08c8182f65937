"""What goes over the wire comes back the same; what is wrong is named."""

from __future__ import annotations

import grpc
import hypothesis.strategies as st
import pytest
from hypothesis import given

from res_federation.api.v1 import agents_pb2
from res_federation.errors import FAMILIES, FederationError, InvalidArgument, ResourceExhausted
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.capacity import (
    CapacityReport,
    FreeNodes,
    License,
    NodeStates,
    PartitionCapacity,
    QosLimit,
    Release,
    Window,
)
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import MAX_SCRIPT_BYTES, JobSpec, RunObservation, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.order import Begin, Cancel, Forget, Order, Read, Renew, Start
from res_federation.model.resources import NodeShape, ResourceRequest
from res_federation.wire import exchange
from res_federation.wire.sites import report_from_message, report_to_message
from res_federation.wire.specs import spec_from_message, spec_to_message
from res_federation.wire.status import to_status

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
lines = words.map(lambda word: word.replace("\n", " "))
options = ("comment", "gres", "time", "exclusive")
counts = st.integers(1, 10_000)
times = st.floats(0, 4e9).map(lambda value: round(value, 3))


def needs() -> st.SearchStrategy[AcceleratorNeed]:
    one = st.builds(AcceleratorNeed, words, counts, words)
    others = st.lists(one, max_size=2).map(tuple)
    return st.builds(AcceleratorNeed, words, counts, words, others)


@st.composite
def requests(draw: st.DrawFn) -> ResourceRequest:
    accelerated = draw(st.booleans())
    maybe = st.none() | counts
    return ResourceRequest(
        nodes=draw(maybe),
        tasks=draw(maybe),
        tasks_per_node=draw(maybe),
        cpus_per_task=draw(counts),
        memory_per_node_mib=draw(maybe | st.just(-2)),
        memory_per_cpu_mib=draw(maybe),
        accelerator=draw(needs()) if accelerated else None,
        accelerators_per_node=draw(counts) if accelerated else None,
        cpus_per_accelerator=draw(maybe),
        exclusive=draw(st.booleans()),
        architecture=draw(st.sampled_from(["x86_64", "aarch64"])),
        licenses=tuple(draw(st.lists(words, max_size=2))),
    )


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    return JobSpec(
        name=draw(words.filter(bool)),
        user=draw(words),
        script="#!/bin/sh\n" + draw(words),
        request=draw(requests()),
        time_limit_s=draw(st.integers(1, 86_400)),
        arguments=tuple(draw(st.lists(words, max_size=2))),
        array=tuple(sorted(draw(st.sets(st.integers(0, 99), max_size=4)))),
        array_throttle=draw(st.integers(0, 5)),
        clusters=tuple(draw(st.lists(words, max_size=2))),
        environment=tuple(draw(st.lists(st.tuples(st.sampled_from("A _b C9".split()), words)))),
        notes=tuple(draw(st.lists(words, max_size=2))),
        options=tuple(draw(st.lists(st.tuples(st.sampled_from(options), lines), max_size=2))),
        requeue=draw(st.booleans()),
    )


@given(specs())
def test_a_spec_comes_back_the_same(spec: JobSpec) -> None:
    assert spec_from_message(spec_to_message(spec)) == spec


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"script": ""}, "spec.script"),
        ({"script": "echo no interpreter"}, "spec.script"),
        ({"script": "#!/bin/sh\0"}, "spec.script"),
        ({"time_limit_s": 0}, "spec.time_limit_s"),
        ({"time_limit_s": 10**10}, "spec.time_limit_s"),
        ({"array": (3, 3)}, "spec.array"),
        ({"options": (("no-such", ""),)}, "spec.options"),
        ({"options": (("uid\n#SBATCH --hold", "0"),)}, "spec.options"),
        ({"options": (("comment", "a\n#SBATCH --hold"),)}, "spec.options.comment"),
        ({"options": (("nodelist", "n" * 65_537),)}, "spec.options.nodelist"),
        ({"options": (("qos", "q" * 4097),)}, "spec.options.qos"),
        ({"environment": (("A=1\nB", ""),)}, "spec.environment"),
        ({"environment": (("BASH_FUNC_cd%%", "() { id; }"),)}, "spec.environment"),
        ({"environment": (("A", "\0"),)}, "spec.environment"),
        ({"arguments": ("a\0b",)}, "spec.arguments"),
        ({"request": ResourceRequest(nodes=0)}, "spec.request.nodes"),
        ({"request": ResourceRequest(memory_per_cpu_mib=-7)}, "spec.request.memory_per_cpu_mib"),
        ({"request": ResourceRequest(tasks=10**12)}, "spec.request.tasks"),
    ],
)
def test_what_is_wrong_in_a_spec_is_named(change: dict[str, object], field: str) -> None:
    good = {"name": "j", "user": "u", "script": "#!/bin/sh\n"}
    with pytest.raises(InvalidArgument) as raised:
        spec_from_message(spec_to_message(JobSpec(**{**good, **change})))  # type: ignore[arg-type]
    assert raised.value.field == field


def test_a_script_over_the_limit_is_refused_by_size() -> None:
    spec = JobSpec("j", "u", "#!" + "x" * MAX_SCRIPT_BYTES)
    with pytest.raises(ResourceExhausted, match=str(MAX_SCRIPT_BYTES)):
        spec_from_message(spec_to_message(spec))


observations = st.builds(
    RunObservation,
    token=st.just(RunToken("01J0000000000000000000000A-1")),
    state=st.sampled_from([JobState.PLACED, JobState.RUNNING, JobState.TIMEOUT]),
    reason=words,
    started=st.none() | times,
    ended=st.none() | times,
    exit_code=st.none() | st.integers(0, 255),
    refused=st.booleans(),
    begun=st.booleans(),
    tasks=st.lists(
        st.builds(
            TaskOutcome,
            index=st.integers(-1, 9),
            state=st.just(JobState.FAILED),
            exit_code=st.none() | st.integers(0, 255),
            signal=st.integers(0, 31),
            batch_id=words,
            started=st.none() | times,
        ),
        max_size=3,
    ).map(tuple),
)


@given(st.lists(observations, max_size=3), st.booleans(), st.booleans(), st.integers(0, 5))
def test_an_exchange_comes_back_the_same(
    runs: list[RunObservation], complete: bool, fences: bool, free: int
) -> None:
    shape = NodeShape(80, None, "nvidia-h100-64gb", 4, 65_536)
    part = PartitionCapacity(
        PartitionId("bsc/mn5/acc"), shape, 10, 9, True, (FreeNodes(free, 80, -1, 4),),
        (Release(5.5, 1, 80, 4),), 3, 10.5, 2.25, max_time_s=100, features=("x",),
    )  # fmt: skip
    report = CapacityReport(SiteId("bsc"), 7, 123.5, 15.0, (part,))
    message = exchange.report_to_message(report, runs, "life", complete, fences)
    back = exchange.report_from_message(message)
    assert back == (report, tuple(runs), "life", complete, fences)


limits = st.none() | st.integers(0, 10**9)
reports = st.builds(
    CapacityReport,
    site=st.just(SiteId("bsc")),
    sequence=st.integers(0, 2**40),
    taken_at=times,
    time_to_live_s=st.floats(0, 1e6).map(lambda value: round(value, 3)),
    partitions=st.lists(
        st.builds(
            PartitionCapacity,
            id=st.just(PartitionId("bsc/mn5/acc")),
            shape=st.just(NodeShape(80, None, "gpu", 4)),
            nodes=counts,
            available=counts,
            states=st.builds(NodeStates, *[counts] * 7),
            windows=st.lists(
                st.builds(Window, words, times, times, counts, st.booleans()), max_size=2
            ).map(tuple),
            qos=st.lists(st.builds(QosLimit, words, *[limits] * 6), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    licenses=st.lists(st.builds(License, words, counts, counts), max_size=2).map(tuple),
    problem=words,
    measured_at=st.none() | times,
)


@given(reports)
def test_a_capacity_report_comes_back_the_same(report: CapacityReport) -> None:
    assert report_from_message(report_to_message(report)) == report


@given(specs())
def test_orders_come_back_the_same_and_in_order(spec: JobSpec) -> None:
    token = RunToken("01J0000000000000000000000A-1")
    orders: list[Order] = [
        Renew(3, 900.0), Start(token, PartitionId("a/b/c"), spec),
        Start(token, PartitionId("a/b/c"), spec, fenced=True),
        Begin((token,)), Cancel(token), Cancel(token, 0),
        Forget((token,)), Read("r1", token, -1, True, 5, 10),
    ]  # fmt: skip
    message = agents_pb2.ConnectResponse(
        orders=[exchange.order_to_message(each) for each in orders]
    )
    assert exchange.orders_from_message(message) == tuple(orders)


def test_a_report_for_another_sites_partition_is_refused() -> None:
    part = PartitionCapacity(PartitionId("csuc/x/y"), NodeShape(1, 1), 1, 1)
    report = CapacityReport(SiteId("bsc"), 1, 1.0, 1.0, (part,))
    with pytest.raises(InvalidArgument, match="csuc/x/y"):
        exchange.report_from_message(exchange.report_to_message(report, (), "j", True))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_real_grpc_code_and_carries_its_field(
    family: type[FederationError],
) -> None:
    status = to_status(family("why", field="spec.name", way_out="do this"))
    assert grpc.StatusCode[family.grpc_code].value[0] == status.code
    assert {detail.TypeName() for detail in status.details} == {
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
    }
