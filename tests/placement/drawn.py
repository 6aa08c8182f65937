"""Drawn federations and queues, small enough that full partitions are common."""

from __future__ import annotations

import hypothesis.strategies as st

from res_federation.model.accelerators import AcceleratorNeed, family_in
from res_federation.model.capacity import FreeNodes
from res_federation.model.identifiers import PartitionId
from res_federation.model.job import Job
from res_federation.model.reason import Code
from res_federation.model.resources import WHOLE_NODE_MEMORY, NodeShape, ResourceRequest
from res_federation.placement.snapshot import ReleaseIn, Row, Snapshot
from res_federation.topology.distances import Distance, DistanceTable
from tests.builders import A100, CPU, H100, a_job

SMALL = NodeShape(cores=8, memory_mib=16_000)
NO_MEMORY_FIGURE = NodeShape(cores=32, memory_mib=None)
ARM = NodeShape(cores=48, memory_mib=32_000, architecture="aarch64")
SHAPES = (CPU, SMALL, A100, H100, NO_MEMORY_FIGURE, ARM)
SITES = ("bsc", "cesga", "csuc", "uv")


@st.composite
def bars(draw: st.DrawFn, shape: NodeShape, available: int) -> tuple[FreeNodes, ...]:
    """Draw a histogram of at most *available* nodes."""
    found: list[FreeNodes] = []
    while available > 0 and draw(st.booleans()):
        nodes = draw(st.integers(1, available))
        available -= nodes
        whole = draw(st.booleans())
        memory = shape.memory_mib
        found.append(
            FreeNodes(
                nodes,
                (shape.cores or 1) if whole else draw(st.integers(1, shape.cores or 1)),
                -1 if memory is None else memory if whole else draw(st.integers(0, memory)),
                shape.accelerators if whole else draw(st.integers(0, shape.accelerators)),
            )
        )
    return tuple(found)


@st.composite
def rows(draw: st.DrawFn, partition: str) -> Row:
    """Draw one row."""
    shape = draw(st.sampled_from(SHAPES))
    nodes = draw(st.integers(0, 6))
    available = draw(st.integers(0, nodes))
    site, cluster, name = partition.split("/")
    releases = draw(st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 4)), max_size=4))
    return Row(
        partition=PartitionId(partition),
        names=(name,),
        site_names=(site, cluster),
        problem=draw(
            st.sampled_from((Code.FITS,) * 6 + (Code.SITE_DRAINED, Code.SITE_NOT_CONNECTED))
        ),
        shape=shape,
        nodes=nodes,
        family=family_in(shape.accelerator),
        available=available,
        free=draw(bars(shape, available)),
        releases=tuple(ReleaseIn(float(after), worth / 2) for after, worth in releases),
        backlog_node_s=float(draw(st.sampled_from((0, 0, 100, 50_000)))),
        waiting=draw(st.sampled_from((0, 0, 3))),
        max_time_s=draw(st.sampled_from((None, None, 3600, 86_400))),
        max_nodes=draw(st.sampled_from((None, None, 1, 2))),
        max_array=draw(st.sampled_from((None, None, 2))),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Draw a federation."""
    names = draw(
        st.lists(
            st.builds("{}/c/{}".format, st.sampled_from(SITES), st.sampled_from(("p", "q"))),
            max_size=5,
            unique=True,
        )
    )
    pairs = {
        (one, other): Distance(draw(st.sampled_from((1.0, 10.0))), 5.0)
        for one in SITES
        for other in SITES
        if one < other and draw(st.booleans())
    }
    return Snapshot(7, 0.0, tuple(draw(rows(name)) for name in names), DistanceTable(pairs))


def _maybe(least: int, most: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.none() | st.integers(least, most)


@st.composite
def requests(draw: st.DrawFn) -> ResourceRequest:
    """Draw what a job asks for."""
    fields = {
        "nodes": draw(_maybe(1, 4)),
        "tasks": draw(_maybe(1, 80)),
        "tasks_per_node": draw(_maybe(1, 16)),
        "cpus_per_task": draw(st.sampled_from((1, 1, 2, 8))),
        "exclusive": draw(st.sampled_from((False, False, False, True))),
    }
    memory = draw(st.sampled_from(("", "", "node", "cpu", "whole")))
    if memory == "node":
        fields["memory_per_node_mib"] = draw(st.integers(1, 40_000))
    elif memory == "cpu":
        fields["memory_per_cpu_mib"] = draw(st.integers(1, 5_000))
    elif memory == "whole":
        fields["memory_per_node_mib"] = WHOLE_NODE_MEMORY
    kind = draw(st.sampled_from(("", "", "per_node", "total", "per_task")))
    if kind:
        fields[f"accelerators_{kind}"] = draw(st.integers(1, 8))
        fields["cpus_per_accelerator"] = draw(_maybe(1, 20))
        if not memory:
            fields["memory_per_accelerator_mib"] = draw(_maybe(1, 200_000))
        fields["accelerator"] = AcceleratorNeed(  # type: ignore[assignment]
            draw(st.sampled_from(("", "a100", "h100", "v100"))),
            draw(st.sampled_from((0, 0, 60_000))),
        )
    return ResourceRequest(**fields)  # type: ignore[arg-type]


@st.composite
def jobs(draw: st.DrawFn, number: int) -> Job:
    """Draw job *number*."""
    size = draw(st.sampled_from((0, 0, 0, 1, 3, 9)))
    return a_job(
        number,
        draw(requests()),
        time_limit_s=draw(st.sampled_from((60, 3600, 7200, 200_000))),
        array=tuple(range(size)),
        array_throttle=draw(st.sampled_from((0, 0, 2))) if size else 0,
        clusters=draw(st.sampled_from(((), (), (), ("bsc",), ("csuc", "uv")))),
        excluded=draw(st.sampled_from(((), (), ("cesga",)))),
        input_mib=draw(st.sampled_from((0, 0, 10_000))),
        input_site="bsc",
    )


queues = st.integers(0, 12).flatmap(lambda count: st.tuples(*(jobs(n) for n in range(count))))
