"""The faults: what each breaks, on what, and how it is mended."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

import psutil

from res_federation.lab.daemons import Daemon
from tests.chaos.stage import Agent, Stage

Inject = Callable[[Stage, Random, str], str]
"""Breaks something of a site, if it is one of a site; returns what, or "" where it could not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: For the table.
        inject: Does it.
        at_points: Whether it is also injected at each named point.
        mild: Whether the federation is over it in seconds, so that it fits into a short campaign.

    """

    name: str
    inject: Inject
    at_points: bool = False
    mild: bool = False


def _away(stage: Stage, random: Random, least_s: float, longest_s: float) -> float:
    """Draw how long something stays away."""
    return random.uniform(least_s, longest_s) * stage.haste


def _kill(stage: Stage, random: Random, name: str, longest_s: float) -> str:
    if name in stage.hurt:
        return ""
    daemon = stage.daemons()[name]
    stage.hurt.add(name)
    daemon.kill(signal.SIGKILL)
    away = _away(stage, random, 0.2, longest_s)
    stage.later(away, daemon.start, name)
    return f"kill -9 {name}, again in {away:.1f} s"


def _stop(stage: Stage, random: Random, name: str, least_s: float, longest_s: float) -> str:
    if name in stage.hurt:
        return ""
    daemon = stage.daemons()[name]
    stage.hurt.add(name)
    daemon.send(signal.SIGSTOP)
    away = _away(stage, random, least_s, longest_s)
    stage.later(away, lambda: daemon.send(signal.SIGCONT), name)
    return f"SIGSTOP {name} for {away:.1f} s"


def _killer(name: str, longest_s: float) -> Inject:
    def inject(stage: Stage, random: Random, site: str) -> str:
        return _kill(stage, random, name.format(site=site), longest_s)

    return inject


def _kill_slurmd(stage: Stage, random: Random, site: str) -> str:
    node = random.choice(stage.lab.nodes(stage.agents[site].cluster))
    return _kill(stage, random, f"slurmd {node.name.rpartition('/')[2]}", 8.0)


def _below(daemon: Daemon, *words: str) -> Iterable[psutil.Process]:
    if not daemon.alive:
        return
    for child in psutil.Process(daemon.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(child.cmdline())
            if any(word in line for word in words):
                yield child


def _kill_ray(*words: str) -> Inject:
    def inject(stage: Stage, random: Random, site: str) -> str:
        if "broker" in stage.hurt:
            return ""
        found = list(_below(stage.broker, *words))
        if not found:
            return ""
        one = random.choice(found)
        with contextlib.suppress(psutil.Error):
            one.kill()
        return f"kill -9 {words[0]} {one.pid}"

    return inject


def _link(what: str, hurt: Callable[[Agent], None], longest_s: float) -> Inject:
    def inject(stage: Stage, random: Random, site: str) -> str:
        target = f"link {site}"
        if target in stage.hurt:
            return ""
        agent = stage.agents[site]
        stage.hurt.add(target)
        stage.links.tell(lambda: hurt(agent))
        away = _away(stage, random, 1.0, longest_s)
        stage.later(away, lambda: stage.links.tell(agent.proxy.mend), target)
        return f"link of {site} {what} for {away:.1f} s"

    return inject


def _fill_disk(stage: Stage, random: Random, site: str) -> str:
    name = next((name for name, agent in stage.agents.items() if agent.small_disk), "")
    target = f"disk {name}"
    if not name or target in stage.hurt:
        return ""
    stage.hurt.add(target)
    ballast = stage.agents[name].state / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    away = _away(stage, random, 3.0, 12.0)
    stage.later(away, lambda: ballast.unlink(missing_ok=True), target)
    return f"disk of {name} full for {away:.1f} s"


def _everything(stage: Stage, random: Random, site: str) -> str:
    """Kill broker, agents and controllers at once; start them again in a drawn order."""
    names = ["broker"]
    for each in stage.agents:
        names += [f"agent {each}", f"slurmctld {each}"]
    names = [name for name in names if name not in stage.hurt]
    random.shuffle(names)
    for name in names:
        stage.hurt.add(name)
        stage.daemons()[name].kill(signal.SIGKILL)
    random.shuffle(names)
    at = 0.0
    for name in names:
        at += random.uniform(0.1, 1.5)
        stage.later(at, stage.daemons()[name].start, name)
    return f"kill -9 of everything; again in the order {', '.join(names)}"


def _stopper(name: str, least_s: float, longest_s: float) -> Inject:
    def inject(stage: Stage, random: Random, site: str) -> str:
        return _stop(stage, random, name.format(site=site), least_s, longest_s)

    return inject


def _restart_slurmctld(stage: Stage, random: Random, site: str) -> str:
    """End a controller gently, as a maintenance does: it forgets nothing."""
    name = f"slurmctld {site}"
    if name in stage.hurt:
        return ""
    stage.hurt.add(name)
    stage.daemons()[name].stop()
    away = _away(stage, random, 0.5, 12.0)
    stage.later(away, stage.daemons()[name].start, name)
    return f"SIGTERM {name}, again in {away:.1f} s"


FAULTS: tuple[Fault, ...] = (
    Fault("kill broker", _killer("broker", 4.0), at_points=True, mild=True),
    Fault("kill agent", _killer("agent {site}", 6.0), at_points=True, mild=True),
    Fault("kill slurmctld", _killer("slurmctld {site}", 8.0), at_points=True),
    Fault("kill slurmd", _kill_slurmd, at_points=True),
    Fault("kill munged", _killer("munged", 5.0), mild=True),
    Fault("kill slurmdbd", _killer("slurmdbd", 6.0)),
    Fault("kill Ray worker", _kill_ray("ray::"), mild=True),
    Fault("kill raylet", _kill_ray("raylet/raylet"), mild=True),
    Fault("slurmctld restarted", _restart_slurmctld, mild=True),
    Fault("stop slurmctld past sbatch's time-out", _stopper("slurmctld {site}", 11.0, 18.0)),
    Fault("stop agent past its lease", _stopper("agent {site}", 3.0, 32.0), mild=True),
    Fault("stop broker", _stopper("broker", 1.0, 12.0), mild=True),
    Fault("link cut", _link("cut", lambda a: a.proxy.cut(), 32.0), mild=True),
    Fault("link half open, up", _link("half open (up)", lambda a: a.proxy.halve("up"), 32.0)),
    Fault("link half open, down", _link("half open (down)", lambda a: a.proxy.halve("down"), 32.0)),
    Fault("link loses packets", _link("loses packets", lambda a: a.proxy.lose(0.4), 15.0)),
    Fault("disk full", _fill_disk, mild=True),
    Fault("everything killed", _everything),
)
"""Every kind; one more is there all the time: the clock of one site is off by a minute."""


def possible(fault: Fault, stage: Stage) -> str:
    """Return why a kind cannot be injected here, or ""."""
    if fault.name == "disk full" and not any(a.small_disk for a in stage.agents.values()):
        return "a small disk cannot be mounted by this user"
    if fault.name == "kill slurmdbd" and not stage.accounting:
        return "no accounting in this campaign"
    return ""
