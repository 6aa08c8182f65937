"""The result of a campaign: a table for people, a line of JSON for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.points import POINTS
from tests.chaos.stage import Stage
from tests.chaos.submitting import Users
from tests.chaos.verdict import Verdict


@dataclass(slots=True)
class Struck:
    """What was injected."""

    kinds: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)


def table(verdict: Verdict, struck: Struck, stage: Stage, users: Users) -> str:
    """Return the result for people."""
    rows = [f"{'fault':42}{'injected':>8}"]
    rows += [f"{name:42}{count:8}" for name, count in sorted(struck.kinds.items())]
    rows.append(f"{f'clock of one site off by {stage.off_s:+.0f} s':42}{1:8}")
    rows += [f"{name:42} skipped: {why}" for name, why in sorted(struck.skipped.items())]
    rows.append(f"{'point':42}{'struck':>8}{'not reached':>13}")
    rows += [f"{name:42}{struck.points[name]:8}{struck.missed[name]:13}" for name in POINTS]
    rows.append(f"{'kind of job, end':42}{'jobs':>8}")
    rows += [f"{name:42}{count:8}" for name, count in sorted(verdict.states.items())]
    rows += [f"{count:4} x {reason}" for reason, count in verdict.reasons.most_common()]
    rows.append(
        f"submissions repeated: {users.repeated}; jobs with more than one run: "
        f"{verdict.elsewhere}; payloads begun again with --requeue: {verdict.again}"
    )
    fell = ", ".join(f"{name} ({times})" for name, times in Counter(stage.fell).items())
    rows.append(f"ended unasked and started again: {fell or 'nothing'}")
    rows.append(f"drained by Slurm, resumed: {', '.join(sorted(stage.drained)) or 'no node'}")
    rows += [f"UNSEEN     {each}" for each in verdict.unseen]
    rows += [f"LOST       {each}" for each in verdict.lost]
    rows += [f"DUPLICATED {each}" for each in verdict.duplicated]
    rows += [f"STUCK      {each}" for each in verdict.stuck]
    rows += [f"COMPLAINT  {each}" for each in users.complaints]
    return "\n".join(rows)


def result(verdict: Verdict, struck: Struck, users: Users, missing: int) -> dict[str, object]:
    """Return the result for programs; *missing* jobs were never acknowledged."""
    return {
        "jobs": len(users.jobs),
        "faults": struck.kinds.total() + 1,
        "by_kind": dict(sorted(struck.kinds.items())) | {"clock off": 1},
        "points": dict(sorted(struck.points.items())),
        "skipped": struck.skipped,
        "lost": len(verdict.lost),
        "duplicated": len(verdict.duplicated),
        "stuck": len(verdict.stuck) + missing,
        "unseen_ends": len(verdict.unseen),
        "complaints": len(users.complaints),
        "good": verdict.good and not users.complaints and not missing,
    }
