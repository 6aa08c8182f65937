"""What Ray reads from its environment when it is imported, set before anything imports it."""

from __future__ import annotations

import os
import secrets


def prepare(address: str | None) -> None:
    """Set Ray's environment for this process and for those that Ray starts from it.

    A runtime of our own listens on loopback only and takes calls only with a token that is drawn
    for this one runtime.  Whoever joins a cluster at *address* gets that cluster's own ways.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address:
        return
    # Named after the systems where it is the default, it is Ray's switch for "this machine
    # alone": without it every process of a local runtime listens on all interfaces, and an
    # address of 127.0.0.1 is replaced by one that others can reach.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
