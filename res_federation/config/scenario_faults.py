"""What no single key of a ``scenario.toml`` can show: names of nothing, doubles, contradictions."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from res_federation.config.scenario_file import (
    AddTable,
    EventTable,
    OverlayTable,
    ScenarioTable,
    WorkloadTable,
)
from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import FAMILIES, accelerator
from res_federation.model.identifiers import word

Fault = tuple[tuple[str | int, ...], str]
_DAY_S = 86400
_LISTED = 8


def nearest(kind: str, name: str, known: Collection[str]) -> str:
    """Say that there is no *kind* called *name*, with the nearest names that there are."""
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    if near:
        hint = f"nearest: {', '.join(near)}"
    elif len(known) <= _LISTED:
        hint = f"there is: {', '.join(sorted(known))}" if known else "there is none"
    else:
        hint = f"there are {len(known)}, such as {', '.join(sorted(known)[:_LISTED])}"
    return f"there is no {kind} '{name}'; {hint}"


def faults(
    table: ScenarioTable,
    sites: Mapping[str, Sequence[str]],
    policies: Collection[str],
    base: Path,
) -> Iterator[Fault]:
    """Yield what is wrong, as a place in the file and a message.

    Args:
        table: The scenario as it stands.
        sites: Partitions by site of the federation that it refers to.
        policies: Names of the policies that there are.
        base: The scenario's directory.

    """
    for index, name in enumerate(table.policies):
        if name not in policies:
            yield ("policies", index), nearest("policy", name, policies)
    for key in ("policies", "seeds", "loads"):
        yield from _doubles((key,), getattr(table, key))
    yield from _doubles(("overlay",), [each.name for each in table.overlay], "name")
    yield from _doubles(("workload",), [each.name for each in table.workload], "name")
    overlays = [each.name for each in table.overlay]
    for index, part in enumerate(table.workload):
        for place, text in _part_faults(part, overlays, table, base):
            yield ("workload", index, *place), text
    shared = [part for part in table.workload if part.share is not None]
    if shared and not table.loads:
        yield ("loads",), "is missing, and a [[workload]] has a share of it; add 'loads = [0.8]'"
    if table.loads and not shared:
        yield ("loads",), "no [[workload]] has a share of it; add 'share = ...' to one"
    for kind in ("without accelerators", "with accelerators"):
        mine = [part for part in shared if _kind_of(part) == kind]
        total = sum(part.share or 0.0 for part in mine)
        if mine and abs(total - 1.0) > 1e-6:
            yield ("workload",), f"the shares of the jobs {kind} make up {total:g}, not 1"
    for index, overlay in enumerate(table.overlay):
        for place, text in _overlay_faults(overlay, sites, table.days * _DAY_S):
            yield ("overlay", index, *place), text


def _kind_of(part: WorkloadTable) -> str:
    accelerated = part.generate is not None and part.generate.accelerator is not None
    return "with accelerators" if accelerated else "without accelerators"


def _doubles(
    at: tuple[str | int, ...], values: Sequence[object], key: str | None = None
) -> Iterator[Fault]:
    for index, value in enumerate(values):
        if value in values[:index]:
            place = (*at, index) if key is None else (*at, index, key)
            yield place, f"'{value}' stands here twice; take one out"


def _part_faults(
    part: WorkloadTable, overlays: Sequence[str], table: ScenarioTable, base: Path
) -> Iterator[Fault]:
    if (part.trace is None) == (part.generate is None):
        yield (), f"'{part.name}' needs one of trace and [workload.generate]"
    if part.trace is not None and not (base / part.trace).is_file():
        yield ("trace",), f"there is no file '{base / part.trace}'"
    if part.trace is None and (part.share is None) == (part.jobs is None):
        yield (), f"'{part.name}' needs one of share (of the load) and jobs (how many)"
    if part.trace is not None and part.jobs is not None:
        yield ("jobs",), "is for generated jobs; of a trace say first = ..."
    if part.trace is None and part.first is not None:
        yield ("first",), "is for a trace; of generated jobs say jobs = ..."
    begin, end = part.begin or 0, table.days * _DAY_S if part.end is None else part.end
    if end <= begin:
        yield ("until" if part.end is not None else "from",), "leaves no time to submit in"
    if end > table.days * _DAY_S:
        yield ("until",), f"is after the {table.days} days of the scenario"
    for index, name in enumerate(part.overlays):
        if name not in overlays:
            yield ("overlays", index), nearest("overlay", name, overlays)
    made = part.generate
    if made is None:
        return
    if (made.largest or 1024) < (made.smallest or 1):
        yield ("generate", "largest"), "is less than the smallest"
    if made.accelerator is not None and made.accelerator not in {"any", *FAMILIES}:
        yield ("generate", "accelerator"), nearest("family", made.accelerator, {"any", *FAMILIES})


def _overlay_faults(
    overlay: OverlayTable, sites: Mapping[str, Sequence[str]], end_s: int
) -> Iterator[Fault]:
    places = {*sites, *(part for parts in sites.values() for part in parts)}
    for index, name in enumerate(overlay.remove):
        if name not in places:
            yield ("remove", index), nearest(_kind(name), name, _like(name, places))
    if set(sites) <= set(overlay.remove):
        yield ("remove",), "leaves no site"
    added: set[str] = set()
    for index, each in enumerate(overlay.add):
        for key, text in _add_faults(each, sites, places | added):
            yield ("add", index, key), text
        added.add(each.partition)
    left = (places | added) - set(overlay.remove)
    for index, scale in enumerate(overlay.scale):
        if scale.where not in left:
            known = _like(scale.where, left)
            yield ("scale", index, "where"), nearest(_kind(scale.where), scale.where, known)
    for index, event in enumerate(overlay.event):
        for key, text in _event_faults(event, left, end_s):
            yield ("event", index, key), text


def _kind(name: str) -> str:
    return "partition" if "/" in name else "site"


def _like(name: str, places: Collection[str]) -> set[str]:
    return {each for each in places if ("/" in each) == ("/" in name)}


def _add_faults(
    table: AddTable, sites: Mapping[str, Sequence[str]], places: Collection[str]
) -> Iterator[tuple[str, str]]:
    parts = table.partition.split("/")
    if len(parts) != 3:
        yield "partition", f"'{table.partition}' is not written site/cluster/partition"
        return
    try:
        for each in parts:
            word(each, "")
    except InvalidArgument as error:
        yield "partition", error.message
        return
    if parts[0] not in sites:
        yield "partition", nearest("site", parts[0], sites)
    if table.partition in places:
        yield "partition", f"'{table.partition}' is there already; remove it or name it otherwise"
    if (table.accelerator is None) != (table.accelerators is None):
        yield "accelerators", "accelerator and accelerators stand together: model and how many"
    if table.accelerator is not None:
        model = accelerator(table.accelerator, table.accelerator_memory)
        if model is None or model.name != table.accelerator:
            known = f"write '{model.name}'" if model else "write it like nvidia-h100-sxm-80gb"
            yield "accelerator", f"'{table.accelerator}' is not a canonical model; {known}"


def _event_faults(
    table: EventTable, places: Collection[str], end_s: int
) -> Iterator[tuple[str, str]]:
    if table.where not in places:
        yield "where", nearest(_kind(table.where), table.where, _like(table.where, places))
    elif "/" in table.where and table.kind in {"drain", "silence"}:
        yield "where", f"a {table.kind} is of a whole site; write '{table.where.split('/')[0]}'"
    if table.end <= table.begin:
        yield "until", "is not after from"
    if table.begin >= end_s:
        yield "from", "is after the end of the scenario"
    if (table.nodes is None) == (table.kind == "nodes"):
        yield "nodes", 'says how many leave, for kind = "nodes" and for no other'
