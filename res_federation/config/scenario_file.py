"""The shape of ``scenario.toml`` (``docs/scenarios.md`` describes it for people)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from res_federation.config.quantities import duration_s
from res_federation.config.site_file import Count, Duration, Known, Memory, Strict, Text, Word


def _moment(text: object) -> int:
    """Read ``72:00:00`` since the scenario's begin; zero is a moment too."""
    if isinstance(text, str) and text.replace("0", "") == "::":
        return 0
    return duration_s(text)


Moment = Annotated[int, BeforeValidator(_moment)]
_Part = Annotated[float, Field(ge=0, le=1)]
_Seed = Annotated[int, Field(ge=0, lt=2**63)]
_Factor = Annotated[float, Field(gt=0, le=1000)]


class SitesTable(Strict):
    """Which federation: a catalogue, or a federation file; the scenario's own changes to it."""

    catalogue: Text | None = None
    federation: Text | None = None
    only: list[Word] = Field(default_factory=list)
    scale: _Factor = 1.0
    machine: Count | None = None


class GenerateTable(Strict):
    """What drawn jobs are like; a key that is left out keeps the generator's default."""

    smallest: Count | None = None
    largest: Count | None = None
    powers_of_two: _Part | None = None
    median: Duration | None = None
    spread: Annotated[float, Field(ge=0, le=5)] | None = None
    longest: Duration | None = None
    exact: _Part | None = None
    day: Annotated[float, Field(ge=1, le=100)] | None = None
    weekend: Annotated[float, Field(ge=0, le=10)] | None = None
    users: Annotated[int, Field(ge=1, le=100_000)] | None = None
    accelerator: Text | None = None
    accelerators_per_node: Annotated[int, Field(ge=1, le=64)] | None = None
    cores_per_accelerator: Annotated[int, Field(ge=1, le=1024)] | None = None


class WorkloadTable(Strict):
    """One part of the workload mix: a trace or a generator."""

    name: Word
    trace: Text | None = None
    first: Count | None = None
    generate: GenerateTable | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    jobs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    begin: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="until")] = None
    overlays: list[Word] = Field(default_factory=list)
    note: str = ""


class AddTable(Strict):
    """A partition that is added; its cluster may be new, its site may not."""

    partition: Text
    nodes: Count
    cores: Annotated[int, Field(ge=1, le=4096)]
    memory: Memory | None = None
    accelerator: Text | None = None
    accelerators: Annotated[int, Field(ge=1, le=64)] | None = None
    accelerator_memory: Memory | None = None
    architecture: Literal["x86_64", "aarch64", "ppc64le"] = "x86_64"
    max_time: Duration | None = None
    max_nodes: Count | None = None
    confidence: Known
    note: str = ""


class ScaleTable(Strict):
    """A site or a partition that is made larger or smaller."""

    where: Text
    factor: _Factor


class EventTable(Strict):
    """Something that happens to a site or a partition for some time."""

    where: Text
    begin: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="until")]
    kind: Literal["crash", "drain", "maintenance", "nodes", "silence"]
    nodes: Count | None = None
    note: str = ""


class OverlayTable(Strict):
    """A federation that differs from the scenario's own."""

    name: Word
    title: str = ""
    remove: list[Text] = Field(default_factory=list)
    add: list[AddTable] = Field(default_factory=list)
    scale: list[ScaleTable] = Field(default_factory=list)
    event: list[EventTable] = Field(default_factory=list)


class ScenarioTable(Strict):
    """A whole ``scenario.toml``."""

    title: Text
    description: str = ""
    days: Annotated[int, Field(ge=1, le=3660)]
    scheduler: Literal["fcfs", "easy", "conservative"] = "easy"
    policies: Annotated[list[Text], Field(min_length=1)]
    seeds: list[_Seed] = Field(default_factory=lambda: [1], min_length=1)
    loads: list[Annotated[float, Field(gt=0, le=10)]] = Field(default_factory=list)
    report_interval: Duration | None = None
    order_delay: Duration | None = None
    local_share: _Part = 0.0
    kill: bool = False
    sites: SitesTable
    workload: Annotated[list[WorkloadTable], Field(min_length=1)]
    overlay: list[OverlayTable] = Field(default_factory=list)
