"""Steps and jobs with everything in them."""

from __future__ import annotations

from hypothesis import strategies as st

from res_federation.control.effects import JobChanged
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import JobId, PartitionId, SiteId, new_job_id, run_token
from res_federation.model.job import Job, JobSpec, Run, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.resources import ResourceRequest
from res_federation.store.step import Step

SCRIPT = "#!/bin/bash\necho hello\n"


def an_id(number: int) -> JobId:
    return new_job_id(1_000_000 + number, number.to_bytes(10, "big"))


def a_job(number: int, *, user: str = "ana", key: str = "", script: str = SCRIPT) -> Job:
    return Job(
        id=an_id(number),
        spec=JobSpec(name=f"job-{number}", user=user, script=script),
        submitted=float(number),
        idempotency_key=key,
    )


def a_run(job: Job, site: str, state: JobState) -> Run:
    attempt = len(job.runs) + 1
    partition = PartitionId(f"{site}/one/gpu")
    token = run_token(job.id, attempt)
    return Run(token, attempt, partition, SiteId(site), job.submitted, state=state)


class Log:
    """Numbers events and puts them into steps, as the control does."""

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision

    def submit(self, *jobs: Job) -> Step:
        step = self.change("submitted", *jobs, new=True)
        step.new = {job.id for job in jobs}
        return step

    def change(self, kind: str, *jobs: Job, new: bool = False) -> Step:
        step = Step()
        for job in jobs:
            self.revision += 1
            job.revision = self.revision
            step.jobs[job.id] = job
            step.events.append(JobChanged(job, job.revision, kind, job.submitted, new=new))
        return step


_words = st.text(max_size=20)
_some_words = st.lists(_words, max_size=3).map(tuple)
_pairs = st.lists(st.tuples(_words, _words), max_size=3).map(tuple)
_counts = st.integers(0, 2**53)
_maybe = st.none() | st.integers(1, 2**40)
_times = st.floats(0, 1e10)
_states = st.sampled_from(JobState)
_codes = st.none() | st.integers(-(2**63), 2**63 - 1)
_partitions = st.sampled_from(["bsc/mn5/gpp", "csuc/pirineus3/gpu"]).map(PartitionId)

requests = st.builds(
    ResourceRequest,
    nodes=_maybe,
    tasks=_maybe,
    memory_per_node_mib=_maybe | st.just(-2),
    accelerator=st.none() | st.builds(AcceleratorNeed),
    accelerators_per_node=_maybe,
    exclusive=st.booleans(),
    licenses=_some_words,
    features=_some_words,
)
specs = st.builds(
    JobSpec,
    name=_words,
    user=_words,
    # What was not UTF-8 in the file is a lone low surrogate here.
    script=st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    request=requests,
    time_limit_s=_counts,
    arguments=_some_words,
    array=st.lists(st.integers(0, 10**6), max_size=5, unique=True).map(sorted).map(tuple),
    array_throttle=_counts,
    clusters=_some_words,
    excluded=_some_words,
    partition=_words,
    constraint=_words,
    environment=_pairs,
    input_mib=_counts,
    input_site=_words,
    requeue=st.booleans(),
    notes=_some_words,
    options=_pairs,
)
_tasks = st.builds(
    TaskOutcome, index=st.integers(-1, 10**6), state=_states, exit_code=_codes,
    started=st.none() | _times, nodes=_words, reason=_words,
)  # fmt: skip


@st.composite
def whole_jobs(draw: st.DrawFn) -> Job:
    """Draw a job with runs, a decision and everything else; the test gives its identifier."""
    job = Job(id=an_id(0), spec=draw(specs), submitted=draw(_times))
    for _ in range(draw(st.integers(0, 2))):
        run = a_run(job, draw(st.sampled_from(["bsc", "csuc"])), draw(_states))
        run.reason, run.exit_code = draw(_words), draw(_codes)
        run.begun, run.confirmed = draw(st.booleans()), draw(st.booleans())
        run.started, run.tasks = (
            draw(st.none() | _times),
            draw(st.lists(_tasks, max_size=2).map(tuple)),
        )
        job.runs.append(run)
    job.state, job.reason = draw(_states), draw(st.text(alphabet=st.characters(), max_size=20))
    job.started, job.ended = draw(st.none() | _times), draw(st.none() | _times)
    job.exit_code, job.cancel_asked = draw(_codes), draw(st.booleans())
    job.refused = tuple(draw(st.lists(_partitions, max_size=2)))
    job.decision, job.decided_at = draw(st.binary(max_size=50)), draw(_times)
    return job
