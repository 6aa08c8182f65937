"""Starts, joins and leaves Ray. A runtime of our own is small and listens on loopback only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_OBJECT_STORE_BYTES = 128 << 20
# Ray makes unix sockets under its folder; Linux takes at most 107 characters for their names.
_LONGEST_FOLDER = 40

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Ray's own switch for "this machine alone": without it every process of a local runtime listens
# on all interfaces.  Whoever joins a cluster by address gets Ray's usual behaviour.
if not os.environ.get("RESFED_RAY_ADDRESS"):
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import ray  # noqa: E402 - Ray reads its environment when it is imported


def join(address: str | None, workers: int, home: Path | None) -> None:
    """Join the cluster at *address*, or start a small runtime on this machine.

    Raises:
        ConnectionError: If nothing answers at *address*.

    """
    if ray.is_initialized():
        return
    if address:
        ray.init(address=address, log_to_driver=False, namespace="resfed", configure_logging=False)
        return
    ray.init(
        num_cpus=max(1, workers),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        log_to_driver=False,
        configure_logging=False,
        namespace="resfed",
        _temp_dir=_folder(home),
    )


def _folder(home: Path | None) -> str:
    """Return a folder for Ray's files: under *home* where sockets' names stay short enough."""
    if home is not None and len(str(home / "ray")) <= _LONGEST_FOLDER:
        return str(home / "ray")
    return str(Path(tempfile.gettempdir()) / f"resfed-ray-{os.getuid()}")


def leave() -> None:
    """Leave the runtime; one of our own ends with it."""
    ray.shutdown()


def actors(count: int) -> list[ray.actor.ActorHandle]:
    """Start *count* planning workers."""
    from res_federation.scatter.worker import Planner  # noqa: PLC0415 - numba is slow to import

    remote = ray.remote(num_cpus=0, max_restarts=0)(Planner)
    return [remote.remote() for _ in range(count)]
