"""What an agent is started with, beside its site, its broker and its directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from res_federation.config.settings import Settings, merged

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings of an agent.

    Attributes:
        beat_s: Seconds between reports when nothing happens.
        host_jobs: Real payloads that run at the same time on this machine (``batch = "local"``).
        grace_s: Seconds between SIGTERM and SIGKILL for a job that must end.
        keep_s: How long the files of a run stay after the broker has its end.

    """

    beat_s: float = 5.0
    host_jobs: int = 32
    grace_s: float = 5.0
    keep_s: float = 7 * _DAY_S


class _Agent(Settings):
    beat_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    host_jobs: Annotated[int, Field(ge=1, le=10_000)] = 32
    grace_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
    keep_s: Annotated[float, Field(ge=0, le=3650 * _DAY_S)] = 7 * _DAY_S


VARIABLES = {
    "beat_s": "RESFED_BEAT_S",
    "host_jobs": "RESFED_HOST_JOBS",
    "grace_s": "RESFED_GRACE_S",
    "keep_s": "RESFED_KEEP_S",
}
"""The environment variable of each setting."""


def agent_settings(environment: Mapping[str, str] | None = None) -> AgentSettings:
    """Merge the environment (`VARIABLES`) and defaults.

    Raises:
        InvalidArgument: Naming the variable that is wrong.

    """
    words = os.environ if environment is None else environment
    return AgentSettings(**merged(_Agent, {}, words, VARIABLES).model_dump())
