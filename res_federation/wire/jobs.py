"""Jobs, runs, observations and explanations to protobuf and back."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from res_federation.api.v1 import jobs_pb2
from res_federation.model.forecast import Forecast
from res_federation.model.identifiers import JobId, PartitionId, RunToken, SiteId
from res_federation.model.job import Job, JobSpec, Run, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.plan import Candidate, Counterfactual, Explanation
from res_federation.model.reason import Code, Reason
from res_federation.model.sentences import sentence
from res_federation.model.share import Share, ShareKind
from res_federation.wire.specs import spec_from_message, spec_to_message
from res_federation.wire.text import MOST_WORD, line
from res_federation.wire.times import from_timestamp, to_timestamp

STATE_TO_WIRE: dict[JobState, jobs_pb2.JobState.ValueType] = {
    state: jobs_pb2.JobState.Value(f"JOB_STATE_{state.value}") for state in JobState
}
STATE_FROM_WIRE = {number: state for state, number in STATE_TO_WIRE.items()}


def state_from_message(number: int) -> JobState:
    """Return the state; one that this version does not know is LOST, never a crash."""
    return STATE_FROM_WIRE.get(number, JobState.LOST)  # type: ignore[call-overload, no-any-return]


def _times(started: float | None, ended: float | None) -> dict[str, Any]:
    given = {}
    if started is not None:
        given["start_time"] = to_timestamp(started)
    if ended is not None:
        given["end_time"] = to_timestamp(ended)
    return given


def task_to_message(task: TaskOutcome) -> jobs_pb2.TaskOutcome:
    """Return how one task stands as a message."""
    return jobs_pb2.TaskOutcome(
        index=task.index,
        state=STATE_TO_WIRE[task.state],
        exit_code=task.exit_code,
        signal=task.signal,
        batch_id=task.batch_id,
        nodes=task.nodes,
        reason=task.reason,
        **_times(task.started, task.ended),
    )


def task_from_message(message: jobs_pb2.TaskOutcome) -> TaskOutcome:
    """Return how one task stands."""
    return TaskOutcome(
        index=message.index,
        state=state_from_message(message.state),
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        signal=message.signal,
        batch_id=line(message.batch_id, MOST_WORD),
        started=from_timestamp(message.start_time) if message.HasField("start_time") else None,
        ended=from_timestamp(message.end_time) if message.HasField("end_time") else None,
        nodes=line(message.nodes),
        reason=line(message.reason),
    )


def run_to_message(run: Run) -> jobs_pb2.Run:
    """Return one attempt as a message."""
    return jobs_pb2.Run(
        token=run.token,
        attempt=run.attempt,
        site=run.site,
        partition=run.partition,
        state=STATE_TO_WIRE[run.state],
        reason=run.reason,
        place_time=to_timestamp(run.placed),
        exit_code=run.exit_code,
        expected_start_s=run.expected_start_s,
        script_sha256=run.script_sha256,
        grant=run.grant,
        reserved_core_seconds=run.reserved_core_s,
        reserved_accelerator_seconds=run.reserved_accelerator_s,
        used_core_seconds=run.used_core_s,
        used_accelerator_seconds=run.used_accelerator_s,
        settled=run.settled,
        barred=run.barred,
        tasks=[task_to_message(task) for task in run.tasks],
        **_times(run.started, run.ended),
    )


def run_from_message(message: jobs_pb2.Run) -> Run:
    """Return one attempt as users see it."""
    return Run(
        token=RunToken(message.token),
        attempt=message.attempt,
        partition=PartitionId(message.partition),
        site=SiteId(message.site),
        placed=from_timestamp(message.place_time),
        state=state_from_message(message.state),
        reason=message.reason,
        started=from_timestamp(message.start_time) if message.HasField("start_time") else None,
        ended=from_timestamp(message.end_time) if message.HasField("end_time") else None,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        expected_start_s=message.expected_start_s,
        script_sha256=message.script_sha256,
        grant=message.grant,
        reserved_core_s=message.reserved_core_seconds,
        reserved_accelerator_s=message.reserved_accelerator_seconds,
        used_core_s=message.used_core_seconds,
        used_accelerator_s=message.used_accelerator_seconds,
        settled=message.settled,
        barred=message.barred,
        tasks=tuple(task_from_message(task) for task in message.tasks),
    )


def job_to_message(job: Job, *, spec: JobSpec | None = None) -> jobs_pb2.Job:
    """Return *job* as a message, with *spec* in it where it is given."""
    return jobs_pb2.Job(
        name=f"jobs/{job.id}",
        uid=job.id,
        display_name=job.spec.name,
        user=job.spec.user,
        state=STATE_TO_WIRE[job.state],
        reason=job.reason,
        site=job.site,
        partition=job.partition,
        submit_time=to_timestamp(job.submitted),
        exit_code=job.exit_code,
        runs=[run_to_message(run) for run in job.runs],
        notes=job.spec.notes,
        revision=job.revision,
        spec=None if spec is None else spec_to_message(spec),
        forecast=None if job.forecast is None else _forecast_to_message(job.forecast),
        shared_with=[_share_to_message(share) for share in job.shared_with],
        **_times(job.started, job.ended),
    )


def _share_to_message(share: Share) -> jobs_pb2.JobShare:
    message = jobs_pb2.JobShare(by=share.by, share_time=to_timestamp(share.at))
    if share.kind is ShareKind.USER:
        message.user = share.name
    else:
        message.project = share.name
    return message


def _share_from_message(job: JobId, message: jobs_pb2.JobShare) -> Share:
    kind = ShareKind.PROJECT if message.WhichOneof("with") == "project" else ShareKind.USER
    return Share(
        job, kind, message.project or message.user, message.by, from_timestamp(message.share_time)
    )


def _forecast_to_message(said: Forecast) -> jobs_pb2.StartForecast:
    return jobs_pb2.StartForecast(
        forecast_time=to_timestamp(said.at),
        p50_s=said.p50_s,
        p90_s=said.p90_s,
        profile_s=said.raw_s if isfinite(said.raw_s) else None,
        partition=said.partition or "",
    )


def _forecast_from_message(message: jobs_pb2.StartForecast) -> Forecast:
    return Forecast(
        at=from_timestamp(message.forecast_time),
        partition=PartitionId(message.partition) if message.partition else None,
        raw_s=message.profile_s if message.HasField("profile_s") else inf,
        near_s=inf,
        width=0.0,  # what it was learnt from stays with the broker
        length_s=0.0,
        ahead_s=0.0,
        p50_s=message.p50_s if message.HasField("p50_s") else None,
        p90_s=message.p90_s if message.HasField("p90_s") else None,
    )


def job_from_message(message: jobs_pb2.Job) -> Job:
    """Return the job as users see it; the spec holds what the message carries."""
    if message.HasField("spec") and message.spec.script:
        spec = spec_from_message(message.spec)
    else:
        spec = JobSpec(
            name=message.display_name, user=message.user, script="", notes=tuple(message.notes)
        )
    return Job(
        id=JobId(message.uid),
        spec=spec,
        submitted=from_timestamp(message.submit_time),
        state=state_from_message(message.state),
        reason=message.reason,
        started=from_timestamp(message.start_time) if message.HasField("start_time") else None,
        ended=from_timestamp(message.end_time) if message.HasField("end_time") else None,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        runs=[run_from_message(run) for run in message.runs],
        revision=message.revision,
        forecast=_forecast_from_message(message.forecast) if message.HasField("forecast") else None,
        shared_with=tuple(
            _share_from_message(JobId(message.uid), share) for share in message.shared_with
        ),
    )


def explanation_to_message(explanation: Explanation) -> jobs_pb2.Explanation:
    """Return *explanation* as a message; reasons carry their sentence."""
    return jobs_pb2.Explanation(
        job=explanation.job,
        chosen=explanation.chosen or "",
        **_counterfactual(explanation.counterfactual),
        margin_s=explanation.margin_s,
        decide_time=to_timestamp(explanation.decided_at),
        candidates=[
            jobs_pb2.Candidate(
                partition=candidate.partition,
                feasible=candidate.feasible,
                reasons=[
                    jobs_pb2.Reason(
                        code=reason.code.name,
                        needed=reason.needed,
                        have=reason.have,
                        text=sentence(reason),
                    )
                    for reason in candidate.reasons
                ],
                score_s=candidate.score_s,
                terms=[jobs_pb2.Term(name=name, seconds=value) for name, value in candidate.terms],
                grant=candidate.grant,
            )
            for candidate in explanation.candidates
        ],
    )


def _counterfactual(told: Counterfactual | None) -> dict[str, Any]:
    if told is None:
        return {}
    return {
        "counterfactual": told.sentence,
        "changed_partition": told.partition or "",
        "changes": [
            jobs_pb2.FieldChange(field=name, amount=value)
            if isinstance(value, int)
            else jobs_pb2.FieldChange(field=name, word=value)
            for name, value in told.change
        ],
    }


def _counterfactual_of(message: jobs_pb2.Explanation) -> Counterfactual | None:
    if not message.counterfactual:
        return None
    return Counterfactual(
        message.counterfactual,
        tuple(
            (one.field, one.amount if one.HasField("amount") else one.word)
            for one in message.changes
        ),
        PartitionId(message.changed_partition) if message.changed_partition else None,
    )


def explanation_from_message(message: jobs_pb2.Explanation) -> Explanation:
    """Return an explanation; a code that this version does not know is OUTRANKED's peer."""
    return Explanation(
        job=JobId(message.job),
        chosen=PartitionId(message.chosen) if message.chosen else None,
        counterfactual=_counterfactual_of(message),
        decided_at=from_timestamp(message.decide_time),
        margin_s=message.margin_s if message.HasField("margin_s") else None,
        candidates=tuple(
            Candidate(
                partition=PartitionId(candidate.partition),
                feasible=candidate.feasible,
                reasons=tuple(
                    Reason(
                        Code[reason.code] if reason.code in Code.__members__ else Code.OUTRANKED,
                        reason.needed,
                        reason.have,
                    )
                    for reason in candidate.reasons
                ),
                score_s=candidate.score_s if candidate.HasField("score_s") else None,
                terms=tuple((term.name, term.seconds) for term in candidate.terms),
                grant=candidate.grant,
            )
            for candidate in message.candidates
        ),
    )
