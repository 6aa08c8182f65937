"""The fault campaign: python -m tests.chaos.campaign --jobs N --faults N --seed N.

On three real Slurm clusters with a broker, Ray and agents it submits jobs, breaks things at random
moments and at every named point of the protocol, mends everything, and holds every job against the
lines that its payload left.  It leaves with 0 only if no job is lost, duplicated or stuck.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from res_federation.client import Federation
from res_federation.errors import FederationError
from res_federation.model.job import Job
from tests.chaos.faults import FAULTS, Fault, possible
from tests.chaos.points import POINTS
from tests.chaos.report import Struck, result, table
from tests.chaos.stage import Stage, remove
from tests.chaos.submitting import Users
from tests.chaos.verdict import judge
from tests.chaos.workload import orders

_POINT_S = 8.0
"""How long a fault waits for its point; then it strikes all the same."""


def plan(count: int, random: Random, *, mild: bool) -> list[tuple[Fault, str]]:
    """Return which faults strike in which order, each with its point ("" for a random moment).

    Every kind is there before any is there twice, and every point before any fault has two.
    """
    faults = [fault for fault in FAULTS if fault.mild or not mild]
    plain = [(fault, "") for fault in faults]
    pointed = [(fault, point) for point in POINTS for fault in faults if fault.at_points]
    random.shuffle(plain)
    random.shuffle(pointed)
    first_of_points = {point: (fault, point) for fault, point in pointed}
    rest = [each for each in pointed if each not in first_of_points.values()]
    chosen = [*plain, *first_of_points.values(), *rest]
    if count < len(chosen):  # a small campaign: half of it at points
        half = count // 2
        chosen = [*plain[: count - half], *list(first_of_points.values())[:half]]
    while len(chosen) < count:
        chosen.append((random.choice(faults), ""))
    chosen = chosen[:count]
    random.shuffle(chosen)
    return chosen


def say(text: str) -> None:
    """Print a part of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(text: str, began: float) -> None:
    """Print a line of the story."""
    sys.stderr.write(f"{time.monotonic() - began:7.1f}  {text}\n")
    sys.stderr.flush()


def await_point(stage: Stage, point: str, sites: list[str], struck: Struck, random: Random) -> str:
    """Wait until something new stands at a point; put its site first; return words for it."""
    seen = POINTS[point]
    before = {site: seen(stage.agents[site]) for site in sites}
    there: list[str] = []

    def reached() -> bool:
        there.extend(site for site in sites if seen(stage.agents[site]) - before[site])
        return bool(there)

    if not stage.wait(_POINT_S, reached, every_s=0.002):
        struck.missed[point] += 1
        return f" ('{point}' was not reached)"
    struck.points[point] += 1
    sites.remove(there[0])
    sites.insert(0, there[0])
    after = random.choice((0.0, 0.0, 0.1, 0.3, 1.0))
    stage.wait(after)
    return f", {after:g} s after '{point}' of {there[0]}"


def strike(
    stage: Stage, planned: Sequence[tuple[Fault, str]], span_s: float, random: Random, began: float
) -> Struck:
    """Inject the faults, spread over so many seconds."""
    struck = Struck()
    start = time.monotonic()
    for number, (fault, point) in enumerate(planned):
        at = start + (number + random.random()) * span_s / len(planned)
        stage.wait(at - time.monotonic())
        why = possible(fault, stage)
        if why:
            struck.skipped[fault.name] = why
            continue
        sites = list(stage.agents)
        random.shuffle(sites)
        when = await_point(stage, point, sites, struck, random) if point else ""
        told = ""
        for _ in range(60):
            told = next((t for s in sites if (t := fault.inject(stage, random, s))), "")
            if told:
                break
            stage.wait(0.5)
        if not told:
            struck.skipped[fault.name] = "what it breaks was broken already"
            continue
        struck.kinds[fault.name] += 1
        tell(told + when, began)
    return struck


def until_over(stage: Stage, names: Sequence[str], seconds: float, began: float) -> dict[str, Job]:
    """Wait until all jobs are over; return them as they are then."""
    found: dict[str, Job] = {}
    end = time.monotonic() + seconds
    told = time.monotonic()
    with Federation(stage.address, patience_s=5.0) as client:
        while time.monotonic() < end:
            stage.wait(0.5)
            try:
                for name in names:
                    if name not in found or not found[name].state.final:
                        found[name] = client.job(name)
            except FederationError:
                continue
            left = [name for name in names if not found[name].state.final]
            if not left:
                break
            if time.monotonic() - told > 10:
                told = time.monotonic()
                tell(f"{len(left)} jobs are not over yet", began)
    return found


def campaign(options: argparse.Namespace, home: Path, began: float) -> bool:
    """Run one campaign; return whether every promise was kept."""
    seed = options.seed
    marks = home / "marks"
    marks.mkdir()
    ordered = orders(options.jobs, marks, Random(f"{seed} jobs"))
    planned = plan(options.faults, Random(f"{seed} plan"), mild=options.mild)
    haste = 0.25 if options.mild else 1.0
    accounting = not options.no_accounting
    with Stage(home, Random(f"{seed} stage"), accounting=accounting, haste=haste) as stage:
        tell(f"up: {options.jobs} jobs, {options.faults} faults, seed {seed}", began)
        users = Users(stage.address, ordered, options.span, Random(f"{seed} users"))
        users.start()
        struck = strike(stage, planned, options.span, Random(f"{seed} faults"), began)
        stage.wait(options.span, lambda: not users.is_alive())
        stage.wait(1.0)
        stage.mend()
        tell("everything is whole again", began)
        stage.wait(120, lambda: not users.is_alive())
        jobs = until_over(stage, list(users.jobs), options.patience, began)
        stage.write_down()
        verdict = judge(users.jobs, jobs, marks)
        missing = len(ordered) - len(users.jobs)
        say(table(verdict, struck, stage, users))
        found = result(verdict, struck, users, missing)
        found |= {"seconds": round(time.monotonic() - began, 1), "seed": seed}
        say(json.dumps(found))
    return bool(found["good"])


def main() -> int:
    """Read the words of the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--faults", type=int, default=70)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--span", type=float, default=300.0, help="seconds of jobs and faults")
    parser.add_argument("--patience", type=float, default=240.0, help="seconds until all is over")
    parser.add_argument("--no-accounting", action="store_true", help="no slurmdbd, no sacct")
    parser.add_argument("--mild", action="store_true", help="short outages, quickly overcome")
    parser.add_argument("--keep", action="store_true", help="keep logs and run directories")
    options = parser.parse_args()
    memory = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="rf-chaos-", dir=memory if memory.is_dir() else None))
    good = False
    try:
        good = campaign(options, home, time.monotonic())
    finally:
        if good and not options.keep:
            remove(home)
        else:
            sys.stderr.write(f"logs and run directories: {home}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
