"""Puts a broker together and runs it. The only place in the broker that constructs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

import structlog

from res_federation.accounting.books import Books, with_local
from res_federation.accounting.usage import check_reserved
from res_federation.broker import memory
from res_federation.broker.clock import SystemClock
from res_federation.broker.doors import Doors
from res_federation.broker.effects import Carrier
from res_federation.broker.enrolment import Enrolment
from res_federation.broker.federation import Federation
from res_federation.broker.identity import authenticator, know
from res_federation.broker.loop import Loop
from res_federation.broker.record import Record
from res_federation.broker.reloading import Reloading
from res_federation.broker.server import Server
from res_federation.broker.signing import began, ended, keep_signing
from res_federation.broker.standing import Standing
from res_federation.broker.warming import warm
from res_federation.config.broker import BrokerSettings
from res_federation.config.security import SecuritySettings
from res_federation.control.catalogue import Catalogue
from res_federation.control.effects import RunRound
from res_federation.control.events import LimitsSet, Ticked
from res_federation.control.forecasts import recalled
from res_federation.control.residency import with_records
from res_federation.control.state import FederationState, Terms, federation, restore
from res_federation.control.telling import held_of
from res_federation.model.identifiers import SiteId
from res_federation.model.limits import Limits
from res_federation.model.plan import Plan
from res_federation.model.site import Site
from res_federation.placement.engine import Scatter, in_process, place
from res_federation.placement.policy import Policy
from res_federation.scatter.ray_scatter import RayScatter
from res_federation.security.audit_key import AuditKey
from res_federation.security.authenticator import Authenticator
from res_federation.security.authority import AUTHORITY, Authority
from res_federation.security.local_login import SignedIn
from res_federation.store.recording import RECORDINGS
from res_federation.store.store import Store
from res_federation.telemetry.logs import configure

log = structlog.get_logger(__name__)

_STOP_GRACE_S = 2.0
GATE = "gate"
"""Directory of a broker's home: sockets between the gate and gRPC."""


async def run_broker(
    settings: BrokerSettings,
    *,
    catalogue: Catalogue,
    policy: Policy,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until cancelled.

    Args:
        settings: Where to listen, where the state is, which Ray.
        catalogue: The members.
        policy: How rounds weigh.
        on_ready: Called with HOST:PORT when jobs can be submitted and placed.

    Raises:
        FederationError: If the store cannot be opened or the address cannot be had.

    """
    clock = SystemClock()
    store = await Store.open(settings.database_url)
    try:
        parts = Federation(store=store, clock=clock)
        _sign(parts, settings, catalogue.sites)
        await know(parts, settings.home / AUTHORITY)
        parts.limits = settings.security.limits
        scatter = _scatter(settings)
        carrier = _carrier(parts, policy, scatter)

        async def load() -> FederationState:
            begun = _begun(settings, catalogue, policy, parts.limits)
            return await _load(store, clock.now(), begun)

        async def reload() -> FederationState:
            parts.outboxes.close()  # every agent dials again and tells all that it holds
            found = await load()
            # once it is the state: memberships are as they were on disk
            asyncio.get_running_loop().call_soon(parts.streams.look_again)
            return found

        record = Record(settings.home / RECORDINGS, clock.now, most_mib=settings.recordings_mib)
        parts.loop = Loop(await load(), store, carrier.carry, reload, record)
        memory.settle()
        await _serve(parts, carrier, settings, scatter, on_ready, record)
    finally:
        await store.close()


def _carrier(parts: Federation, policy: Policy, scatter: Scatter) -> Carrier:
    """Return what carries out effects; the loop, which it posts to, comes later."""
    return Carrier(
        clock=parts.clock, outboxes=parts.outboxes, jobs=parts.job_watchers,
        sites=parts.site_watchers, place=_rounds(policy, scatter),
        put=lambda event: parts.loop.put(event),  # noqa: PLW0108 - as said
        among=lambda kinds, ids: held_of(parts.state, kinds, ids),
        member=lambda member: parts.member_changed(member),  # noqa: PLW0108 - as said
    )  # fmt: skip


def _begun(
    settings: BrokerSettings, catalogue: Catalogue, policy: Policy, limits: Limits
) -> FederationState:
    """Return the state of a federation that has just begun; in developer mode `local` pays."""
    books = Books(rates=dict(catalogue.rates))
    return federation(
        catalogue.sites, distances=catalogue.distances, policy=policy,
        terms=Terms(lease_s=settings.lease_s, margin_s=settings.margin_s, limits=limits),
        dialects=catalogue.dialects, residency=catalogue.residency,
        books=with_local(books) if settings.security.developer else books,
    )  # fmt: skip


def _sign(parts: Federation, settings: BrokerSettings, sites: Sequence[Site]) -> None:
    """Open what signs: the authority of sites and doors, and the key of the audit log."""
    authority = Authority.opened(settings.home / AUTHORITY, parts.clock.now())
    parts.enrolment = Enrolment(
        authority, parts.store.certificates, settings.security, parts.clock,
        [site.id for site in sites], lambda entry: parts.loop.note(entry),  # noqa: PLW0108 - the loop comes later
    )  # fmt: skip
    key = AuditKey.at(settings.home / AUTHORITY / "audit.key")
    parts.store.sign, parts.audit_key = key.sign, key.public_pem


def _rounds(policy: Policy, scatter: Scatter) -> Callable[[RunRound], Plan]:
    """Return what carries out rounds."""

    def run_round(effect: RunRound) -> Plan:
        plan = place(effect.snapshot, effect.jobs, policy, scatter=scatter, sweep=effect.sweep)
        if plan.caught:  # a change of capacity was overlooked: the sweep made good for it
            log.warning("sweep_caught", jobs=plan.caught)
        return plan

    return run_round


def _scatter(settings: BrokerSettings) -> Scatter:
    if settings.ray_workers == 0:
        return in_process
    return RayScatter(
        settings.ray_workers,
        address=settings.ray_address or None,
        home=settings.home,
        begin=configure,
    )


async def _load(store: Store, now: float, state: FederationState) -> FederationState:
    loaded = await store.load_live()
    restore(
        state,
        at=now,
        jobs=loaded.jobs,
        keys=loaded.keys,
        drained={SiteId(site): reason for site, reason in loaded.drained.items()},
        revision=loaded.last_revision,
        history=loaded.history,
        forecasts=recalled(loaded.outcomes, loaded.errors),
    )
    state.frames = loaded.frames
    state.books = _books(loaded.books, state.books)
    state.residency = with_records(state.residency, state.books.projects)
    try:
        check_reserved(state.books, state.jobs.values())
    except AssertionError as error:  # somebody changed the database by hand
        log.error("books_do_not_balance", why=str(error))
    log.info("state_loaded", live_jobs=len(state.jobs), revision=state.revision)
    return state


def _books(loaded: Books, begun: Books) -> Books:
    """Return the books as they were on disk, with what the broker was started with."""
    loaded.kept, loaded.rates = True, begun.rates
    return with_local(loaded) if begun.default else loaded


def _hosts(settings: BrokerSettings) -> tuple[str, ...]:
    """Return the names under which this broker is dialled, as far as it can know them."""
    told = (settings.listen, settings.listen_agents)
    names = [one.rpartition(":")[0].strip("[]") for one in told if one]
    return (*(name for name in names if name not in ("0.0.0.0", "::")), socket.gethostname())  # noqa: S104 - compared


def _reloading(
    parts: Federation,
    settings: BrokerSettings,
    known: Authenticator,
    server: Server,
    doors: Doors,
) -> Reloading:
    """Return what looks after security.toml: who follows it while the broker runs."""

    def people(found: SecuritySettings) -> None:
        known.follow(found.people.issuers, found.people.bindings)

    def limits(found: SecuritySettings) -> None:
        parts.limits = found.limits
        server.follow(found.limits)
        parts.loop.put(LimitsSet(parts.clock.now(), found.limits))

    follow = (people, limits, parts.enrolment.follow)
    return Reloading(parts, settings.security, settings.home, doors, follow)


async def _serve(
    parts: Federation,
    carrier: Carrier,
    settings: BrokerSettings,
    scatter: Scatter,
    on_ready: Callable[[str], None],
    record: Record,
) -> None:
    parts.loop.note(began(parts.clock.now(), parts.audit_key, parts.state.policy))
    authority, rules = parts.enrolment.authority, settings.security
    local = SignedIn(authority.ca_pem, parts.state.sites) if rules.developer else None
    known = authenticator(parts, rules, local)
    standing = Standing(parts, known)
    parts.member_changed = standing.changed
    standing.begin()
    server = Server(parts, known, settings.home / GATE)
    doors = Doors(authority, rules, _hosts(settings), parts.clock.now())
    reloading = _reloading(parts, settings, known, server, doors)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.loop.run())
            tasks.create_task(record.keep())
            tasks.create_task(keep_signing(parts))
            tasks.create_task(reloading.keep())
            address = await server.start(settings.listen, settings.listen_agents, doors)
            if local is not None:
                local.publish(address)
            log.info("listening", address=address, agents=parts.enrolment.agents_port)
            await asyncio.to_thread(warm, parts.state, scatter)
            parts.loop.put(Ticked(parts.clock.now()))
            await server.serving()
            on_ready(address)
    finally:
        record.close()
        parts.job_watchers.close()
        parts.site_watchers.close()
        parts.outboxes.close()
        carrier.close()
        await server.stop(_STOP_GRACE_S)
        await parts.loop.end(ended(parts.clock.now()))
        if local is not None:
            local.withdraw()
        if isinstance(scatter, RayScatter):
            await asyncio.to_thread(scatter.close)
