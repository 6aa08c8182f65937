"""The part ``[limits]`` of security.toml: how much one caller may ask of the broker."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from res_federation.model.limits import Limits

_D = Limits()

Rate = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class LimitsPart(BaseModel):
    """The part as it is written; what is left out is as `Limits` has it, 0 is no limit."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    calls_per_s: Rate = _D.calls_per_s
    calls_burst: Count = _D.calls_burst
    submissions_per_s: Rate = _D.submissions_per_s
    submissions_burst: Count = _D.submissions_burst
    project_submissions_per_s: Rate = _D.project_submissions_per_s
    project_submissions_burst: Count = _D.project_submissions_burst
    user_jobs: Count = _D.user_jobs
    user_tasks: Count = _D.user_tasks
    project_jobs: Count = _D.project_jobs
    streams: Count = _D.streams
    output_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = _D.output_bytes
    chunk_jobs: Annotated[int, Field(ge=1, le=10_000)] = _D.chunk_jobs
    connections_of_address: Count = _D.connections_of_address
    strangers_of_address: Count = _D.strangers_of_address
    strangers: Count = _D.strangers
    handshakes_per_s: Rate = _D.handshakes_per_s
    handshakes_burst: Count = _D.handshakes_burst
    all_handshakes_per_s: Rate = _D.all_handshakes_per_s
    all_handshakes_burst: Count = _D.all_handshakes_burst

    def limits(self) -> Limits:
        """Return the limits as the broker follows them."""
        return Limits(**self.model_dump())
