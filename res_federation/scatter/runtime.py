"""Starts, joins and leaves Ray. A runtime of our own is small and listens on loopback only."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import ray

_OBJECT_STORE_BYTES = 128 << 20
# Ray makes unix sockets under its folder; Linux takes at most 107 characters for their names.
_LONGEST_FOLDER = 40


def join(address: str | None, workers: int, home: Path | None) -> Path | None:
    """Join the cluster at *address*, or start a small runtime on this machine.

    Returns:
        The folder of a runtime of our own, for `leave`; None where a cluster was joined.

    Raises:
        ConnectionError: If nothing answers at *address*.

    """
    if address:
        ray.init(address=address, log_to_driver=False, namespace="resfed", configure_logging=False)
        return None
    folder = _folder(home)
    ray.init(
        num_cpus=max(1, workers),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        log_to_driver=False,
        configure_logging=False,
        namespace="resfed",
        _temp_dir=str(folder / "r"),
    )
    return folder


def _folder(home: Path | None) -> Path:
    """Return a new folder for Ray's files: under *home* where names stay short enough.

    Ray opens its own folder to every user of the machine; this one around it is closed to them.
    """
    if home is None or len(str(home / "ray")) > _LONGEST_FOLDER:
        return Path(tempfile.mkdtemp(prefix="resfed-"))
    folder = home / "ray"
    shutil.rmtree(folder, ignore_errors=True)  # of a runtime that was killed
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def leave(folder: Path | None) -> None:
    """Leave the runtime; one of our own ends with it, and so do its files."""
    ray.shutdown()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def actors(count: int) -> list[ray.actor.ActorHandle]:
    """Start *count* planning workers."""
    from res_federation.scatter.worker import Planner  # noqa: PLC0415 - numba is slow to import

    remote = ray.remote(num_cpus=0, max_restarts=0)(Planner)
    return [remote.remote() for _ in range(count)]
