"""One replay of a comparison or of a sweep: its inputs' hash, its results, whether it is done.

A cell is done where its summary is whole and was made of the same inputs: the jobs, the
federation, the settings, and the code that decides.  Anything else is replayed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

from res_federation.errors import InvalidArgument
from res_federation.placement.policy import Policy
from res_federation.simulator.disturbances import Disturbance
from res_federation.simulator.federation import COPIES, ONE_MACHINE, replay_federation
from res_federation.simulator.federation_rules import Rules
from res_federation.simulator.measures import Setting, summarise
from res_federation.simulator.outcome import Outcome
from res_federation.simulator.recorder import record
from res_federation.simulator.report_files import JOBS_FILE, read_summary
from res_federation.simulator.site_models import FederationModel
from res_federation.simulator.workload import Workload

INPUTS = "inputs_sha256"
"""Key of a summary that says what it was made of."""
_PACKAGE = Path(__file__).resolve().parents[1]
_ROOMS = ("control", "model", "placement", "simulator", "topology")
_BARE = ("model", "simulator")
_TOLD = ("report", "plots", "page", "table", "campaign", "bench", "sweep", "statistics")
_ARRAYS = ("submit", "runtime", "estimate", "procs", "user", "group", "queue", "shape")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a cell is replayed.

    Attributes:
        policy: Name.
        seed: Settles ties and draws.
        scheduler: Of every site.
        load: Submissions are stretched to this load of the federation; None leaves them.
        local_share: Part of the load that users submit at the sites themselves.
        rules: How old news is, and what sites do.
        weights: Weights of a policy that is none of the known names, or None.

    """

    policy: str
    seed: int
    scheduler: str = "easy"
    load: float | None = None
    local_share: float = 0.0
    rules: Rules = field(default_factory=Rules)
    weights: Policy | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CellInputs:
    """Everything that a replay depends on; it pickles."""

    workload: Workload
    model: FederationModel
    settings: Settings
    events: tuple[Disturbance, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a replay came to, and how long it took."""

    outcome: Outcome
    wall_seconds: float


def replay_cell(inputs: CellInputs) -> Replayed:
    """Replay one cell.

    Raises:
        InvalidArgument: If a name is not known or a figure cannot be.

    """
    settings = inputs.settings
    begun = perf_counter()
    outcome = replay_federation(
        inputs.workload,
        inputs.model,
        policy=settings.policy,
        scheduler=settings.scheduler,
        seed=settings.seed,
        load=settings.load,
        local_share=settings.local_share,
        rules=settings.rules,
        weights=settings.weights,
        events=inputs.events,
    )
    return Replayed(outcome, perf_counter() - begun)


def fingerprint(inputs: CellInputs) -> str:
    """Return the hash of all that the outcome depends on."""
    digest = hashlib.sha256(_code(inputs.settings.policy).encode())
    digest.update(jobs_sha256(inputs.workload).encode())
    parts: Sequence[object] = (
        inputs.model.sites,
        sorted(inputs.model.distances.pairs.items()),
        astuple(inputs.settings),
        inputs.events,
    )
    for part in parts:
        digest.update(repr(part).encode("utf-8", "replace"))
    return digest.hexdigest()


def jobs_sha256(workload: Workload) -> str:
    """Return the hash of a workload's jobs."""
    digest = hashlib.sha256()
    for name in _ARRAYS:
        digest.update(name.encode())
        digest.update(getattr(workload, name).tobytes())
    digest.update(repr(workload.shapes).encode())
    digest.update(repr(workload.job_ids.dtype).encode())
    digest.update("\n".join(map(str, workload.job_ids.tolist())).encode("utf-8", "replace"))
    return digest.hexdigest()


@cache
def _code(policy: str) -> str:
    """Return the hash of the code that decides: results of another version are none.

    A policy without a broker (copies, one machine) does not go through the rooms that decide; what
    only draws or tells results counts for none.
    """
    digest = hashlib.sha256()
    for room in _BARE if policy in COPIES or policy == ONE_MACHINE else _ROOMS:
        for file in sorted((_PACKAGE / room).rglob("*.py")):
            if file.name.startswith(_TOLD):
                continue
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def finished(place: Path, inputs_sha256: str) -> dict[str, Any] | None:
    """Return the summary in *place* if it is whole and of these inputs, else None."""
    if not (place / JOBS_FILE).is_file():
        return None
    try:
        summary = read_summary(place)
    except InvalidArgument:
        return None
    return summary if summary.get(INPUTS) == inputs_sha256 else None


def write_cell(
    place: Path,
    replayed: Replayed,
    inputs: CellInputs,
    inputs_sha256: str,
    labels: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the results of one cell, the summary last; return it.

    Raises:
        InvalidArgument: If a file cannot be written.

    """
    settings = inputs.settings
    setting = Setting(
        machine=inputs.model.name,
        scheduler=settings.scheduler,
        policy=settings.policy,
        seed=settings.seed,
        wall_s=replayed.wall_seconds,
        load=settings.load,
    )
    summary = {
        **summarise(replayed.outcome, setting),
        "local_share": settings.local_share,
        **labels,
        INPUTS: inputs_sha256,
    }
    record(place, replayed.outcome, summary)
    return summary
