"""What happens to sites from outside: drains, silence, nodes that go, crashes, maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from res_federation.control.events import SiteConnected, SiteDisconnected, SiteDrained, SiteResumed
from res_federation.errors import InvalidArgument
from res_federation.model.capacity import Window
from res_federation.model.job_state import JobState
from res_federation.simulator.clockwork import Phase
from res_federation.simulator.federation_engine import Engine
from res_federation.simulator.virtual_site import VirtualSite
from res_federation.simulator.virtual_site_partition import VirtualPartition

OPERATOR = "operator"


class Kind(StrEnum):
    """What can happen.

    `DRAIN`: the broker's operator sends no new jobs there.  `SILENCE`: site and broker do not hear
    one another; the site goes on.  `NODES`: so many nodes leave as they come free, and come back.
    `CRASH`: every node fails at once, what runs ends with it.  `MAINTENANCE`: announced from the
    beginning; a job that its limit would let run into it does not begin before it.
    """

    DRAIN = "drain"
    SILENCE = "silence"
    NODES = "nodes"
    CRASH = "crash"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One thing that happens to a site.

    Attributes:
        kind: What.
        site: Identifier.
        start: Second.
        end: Second at which it is over.
        partition: Name of the partition; "" for all of the site (the only one for `DRAIN` and
            `SILENCE`).
        nodes: For `NODES`, in each of the partitions.

    """

    kind: Kind
    site: str
    start: int
    end: int
    partition: str = ""
    nodes: int = 0


def disturb(engine: Engine, disturbances: Sequence[Disturbance]) -> None:
    """Let *disturbances* happen in their time.

    Raises:
        InvalidArgument: If one names nobody, or ends before it begins.

    """
    for one in disturbances:
        site = engine.sites.get(one.site)
        if site is None:
            raise InvalidArgument(
                f"there is no site '{one.site}'", way_out=f"sites: {', '.join(engine.sites)}"
            )
        parts = [
            part for part in site.parts if not one.partition or part.declared.name == one.partition
        ]
        if not parts:
            known = ", ".join(part.declared.name for part in site.parts)
            raise InvalidArgument(
                f"'{one.site}' has no partition '{one.partition}'", way_out=f"it has: {known}"
            )
        if not one.start < one.end:
            raise InvalidArgument(f"{one.kind} of '{one.site}' ends before it begins")
        _plan(engine, site, parts, one)


def _plan(
    engine: Engine, site: VirtualSite, parts: list[VirtualPartition], one: Disturbance
) -> None:
    match one.kind:
        case Kind.DRAIN:
            _drain(engine, site, one)
        case Kind.SILENCE:
            _silence(engine, site, one)
        case Kind.NODES:
            _resize(engine, site, parts, one, lambda part: min(one.nodes, part.nodes))
        case Kind.CRASH:
            engine.clock.push(one.start, Phase.WORLD, lambda now: _crash(engine, site, parts, now))
            _resize(engine, site, parts, one, lambda part: part.nodes)
        case Kind.MAINTENANCE:
            for part in parts:
                part.announce(Window("maintenance", one.start, one.end, part.nodes, True))
            engine.clock.push(one.end, Phase.WORLD, lambda now: site.come_back(parts, now))
            _resize(engine, site, parts, one, lambda part: part.nodes)


def _drain(engine: Engine, site: VirtualSite, one: Disturbance) -> None:
    name = site.site.id
    engine.clock.push(
        one.start, Phase.WORLD, lambda now: engine.tell(SiteDrained(float(now), name, OPERATOR))
    )
    engine.clock.push(
        one.end, Phase.WORLD, lambda now: engine.tell(SiteResumed(float(now), name, OPERATOR))
    )


def _silence(engine: Engine, site: VirtualSite, one: Disturbance) -> None:
    def begin(now: int) -> None:
        engine.last_words(site, now)
        site.silent_since = now
        engine.tell(SiteDisconnected(float(now), site.site.id))
        engine.tick_at(now + 1)
        engine.clock.push(now + site.lease_s, Phase.WORLD, lapse)

    def lapse(now: int) -> None:
        if site.silent_since is not None and now >= site.silent_since + site.lease_s:
            site.give_back(now)
            engine.touch(site)

    def over(now: int) -> None:
        site.silent_since = None
        engine.tell(SiteConnected(float(now), site.site.id))
        engine.say_all(site, now)

    engine.clock.push(one.start, Phase.WORLD, begin)
    engine.clock.push(one.end, Phase.WORLD, over)


def _resize(
    engine: Engine, site: VirtualSite, parts: list[VirtualPartition], one: Disturbance, lost: object
) -> None:
    assert callable(lost)

    def change(sign: int) -> None:
        for part in parts:
            site.resize(part, sign * lost(part))
        engine.touch(site)

    engine.clock.push(one.start, Phase.WORLD, lambda _now: change(-1))
    engine.clock.push(one.end, Phase.WORLD, lambda _now: change(1))


def _crash(engine: Engine, site: VirtualSite, parts: list[VirtualPartition], now: int) -> None:
    for held in list(site.held.values()):
        if held.part in parts and held.given >= 0:
            if held.begun >= 0:
                engine.record.end[held.job] = now
            site.fail(held, now, JobState.NODE_FAIL)
    engine.touch(site)
