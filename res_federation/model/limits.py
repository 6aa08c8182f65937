"""How much one caller may ask of the broker: rates, counts and sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What protects the users of a broker from one another; 0 stands for no limit.

    Attributes:
        calls_per_s: Calls of one caller, over a long time.
        calls_burst: Calls that may come at once.
        submissions_per_s: Jobs that one user submits, over a long time.
        submissions_burst: Jobs that may come at once; what is over is owed, and waited for.
        project_submissions_per_s: As for a user, of all members of a project together.
        project_submissions_burst: As for a user, of all members of a project together.
        user_jobs: Jobs of one user that wait or run.
        user_tasks: Tasks of these jobs.
        project_jobs: Jobs of one project that wait or run.
        streams: Streams (watches, outputs, batches) that one caller has open.
        output_bytes: Bytes that one call to read output may bring.
        chunk_jobs: Jobs of one message of a batch.
        connections_of_address: Connections of one network address; more are closed at once.
        strangers_of_address: Those of them that have not made a call with a good login yet; for a
            new one the oldest is closed.
        strangers: As for one address, of all addresses together.
        handshakes_per_s: Handshakes of one address, over a long time; more wait for their turn.
        handshakes_burst: Handshakes of one address that may come at once.
        all_handshakes_per_s: As for one address, of all addresses together; they take turns.
        all_handshakes_burst: As for one address, of all addresses together.

    """

    calls_per_s: float = 200.0
    calls_burst: int = 2_000
    submissions_per_s: float = 50.0
    submissions_burst: int = 20_000
    project_submissions_per_s: float = 200.0
    project_submissions_burst: int = 100_000
    user_jobs: int = 100_000
    user_tasks: int = 1_000_000
    project_jobs: int = 500_000
    streams: int = 100
    output_bytes: int = 4 << 30
    chunk_jobs: int = 10_000
    connections_of_address: int = 4_000
    strangers_of_address: int = 400
    strangers: int = 2_000
    handshakes_per_s: float = 100.0
    handshakes_burst: int = 200
    all_handshakes_per_s: float = 200.0
    all_handshakes_burst: int = 400


LOCAL_LIMITS = Limits(
    calls_per_s=20_000.0,
    calls_burst=200_000,
    submissions_per_s=20_000.0,
    submissions_burst=1_000_000,
    project_submissions_per_s=0.0,
    project_submissions_burst=0,
    user_jobs=0,
    user_tasks=0,
    project_jobs=0,
    streams=2_000,
    connections_of_address=0,
)
"""Of developer mode: the only user is the account that started the broker."""
