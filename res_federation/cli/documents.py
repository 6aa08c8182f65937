"""The JSON that outside programs rely on: values of the model as plain dicts and lists."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from res_federation.client import SiteView
from res_federation.model.capacity import PartitionCapacity
from res_federation.model.forecast import Forecast, figures
from res_federation.model.governance import Governance
from res_federation.model.job import Job, Run, TaskOutcome
from res_federation.model.plan import Counterfactual, Explanation
from res_federation.model.sentences import sentence
from res_federation.model.share import Share
from res_federation.model.site import Partition
from res_federation.wire.accounting import GrantView


def instant(seconds: float | None) -> str | None:
    """Return UTC seconds as ISO 8601 (``2026-11-21T05:03:11.250Z``), or None."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_document(job: Job) -> dict[str, Any]:
    """Return a job under the keys that the design fixes."""
    return {
        "job": job.id,
        "name": job.spec.name,
        "user": job.spec.user,
        "state": str(job.state),
        "reason": job.reason,
        "site": job.site,
        "partition": job.partition,
        "submitted": instant(job.submitted),
        "started": instant(job.started),
        "ended": instant(job.ended),
        "exit_code": job.exit_code,
        "forecast": None if job.forecast is None else _forecast(job.forecast),
        "notes": list(job.spec.notes),
        "shared_with": [_share(share) for share in job.shared_with],
        "runs": [_run(run) for run in job.runs],
    }


def _share(share: Share) -> dict[str, Any]:
    return {str(share.kind): share.name, "by": share.by, "at": instant(share.at)}


def _forecast(said: Forecast) -> dict[str, Any]:
    return {
        "at": instant(said.at),
        "p50_s": said.p50_s,
        "p90_s": said.p90_s,
        "profile_s": said.raw_s if isfinite(said.raw_s) else None,
        "partition": said.partition,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "run": run.token,
        "attempt": run.attempt,
        "site": run.site,
        "partition": run.partition,
        "state": str(run.state),
        "reason": run.reason,
        "placed": instant(run.placed),
        "started": instant(run.started),
        "ended": instant(run.ended),
        "exit_code": run.exit_code,
        "expected_start_s": run.expected_start_s,
        "script_sha256": run.script_sha256 or None,
        "grant": run.grant or None,
        "reserved": {"core_s": run.reserved_core_s, "accelerator_s": run.reserved_accelerator_s},
        "used": {"core_s": run.used_core_s, "accelerator_s": run.used_accelerator_s}
        if run.settled
        else None,
        "barred": run.barred or None,
        "tasks": [_task(task) for task in run.tasks],
    }


def _task(task: TaskOutcome) -> dict[str, Any]:
    return {
        "task": task.index if task.index >= 0 else None,
        "state": str(task.state),
        "exit_code": task.exit_code,
        "signal": task.signal,
        "batch_id": task.batch_id,
        "nodes": task.nodes,
        "started": instant(task.started),
        "ended": instant(task.ended),
        "reason": task.reason,
    }


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation under the keys that the design fixes; every partition is in it."""
    return {
        "job": explanation.job,
        "chosen": explanation.chosen or None,
        "decided": instant(explanation.decided_at) if explanation.decided_at else None,
        "candidates": [
            {
                "partition": candidate.partition,
                "feasible": candidate.feasible,
                "reasons": [sentence(reason) for reason in candidate.reasons],
                "codes": [reason.code.name for reason in candidate.reasons],
                "score_s": candidate.score_s,
                "terms": dict(candidate.terms),
                "grant": candidate.grant or None,
            }
            for candidate in explanation.candidates
        ],
        "margin_s": explanation.margin_s,
        **_counterfactual(explanation.counterfactual),
    }


def _counterfactual(told: Counterfactual | None) -> dict[str, Any]:
    if told is None:
        return {"counterfactual": "", "change": None}
    change = {"fields": dict(told.change), "partition": told.partition} if told.change else None
    return {"counterfactual": told.sentence, "change": change}


def site_document(site: SiteView) -> dict[str, Any]:
    """Return a site as it stands."""
    return {
        "site": site.id,
        "name": site.name,
        "machine": site.machine,
        "city": site.city,
        "latitude": site.latitude,
        "longitude": site.longitude,
        "batch": site.batch,
        "state": str(site.state),
        "drain_reason": site.drain_reason,
        "reported": instant(site.reported),
        "measured": instant(site.measured),
        "problem": site.problem,
        "waiting_jobs": site.waiting_jobs,
        "running_jobs": site.running_jobs,
        "partitions": [_partition(part) for part in site.partitions],
        "capacity": [_capacity(part) for part in site.capacity],
        "licenses": [asdict(license_) for license_ in site.licenses],
        "forecast": figures(site.forecasts),
        "governance": None if site.governance is None else _governance(site.governance),
    }


def _governance(known: Governance) -> dict[str, Any]:
    return {
        "country": known.country or None,
        "operator": known.operator or None,
        "owner": known.owner,
        "jurisdictions": list(known.jurisdictions) or None,
        "ens": None if known.ens is None else known.ens.name.lower(),
        "certifications": list(known.certifications) or None,
        "cloud": known.cloud,
        "confidence": {fact.name.lower(): str(how) for fact, how in known.confidence},
        "note": known.note,
    }


def _partition(part: Partition) -> dict[str, Any]:
    return {
        "partition": part.id,
        "nodes": part.nodes,
        "cores": part.shape.cores,
        "memory_mib": part.shape.memory_mib,
        "accelerator": part.shape.accelerator or None,
        "accelerators": part.shape.accelerators,
        "accelerator_memory_mib": part.shape.accelerator_memory_mib,
        "architecture": part.shape.architecture,
        "cpu": part.cpu,
        "max_time_s": part.max_time_s,
        "confidence": str(part.confidence),
        "note": part.note,
    }


def _capacity(part: PartitionCapacity) -> dict[str, Any]:
    return {
        "partition": part.id,
        "up": part.up,
        "nodes": part.nodes,
        "available": part.available,
        "free_cores": sum(free.nodes * free.cores for free in part.free),
        "free_accelerators": sum(free.nodes * free.accelerators for free in part.free),
        "pending_jobs": part.pending_jobs,
        "pending_core_hours": round(part.pending_core_s / 3600, 3),
        "pending_accelerator_hours": round(part.pending_accelerator_s / 3600, 3),
        "accelerator": part.shape.accelerator or None,
        "states": asdict(part.states),
        "windows": [
            {
                "name": window.name,
                "start": instant(window.start),
                "end": instant(window.end),
                "nodes": window.nodes,
                "maintenance": window.maintenance,
            }
            for window in part.windows
        ],
        "qos": [asdict(qos) for qos in part.qos],
    }


def grant_document(view: GrantView) -> dict[str, Any]:
    """Return a grant for programs."""
    grant = view.grant
    return {
        "grant": grant.id,
        "project": grant.project,
        "pool": grant.pool,
        "machine": grant.machine,
        "begins": instant(grant.begins),
        "ends": instant(grant.ends),
        "core_s": grant.core_s,
        "accelerator_s": grant.accelerator_s,
        "priority": grant.letter,
        "activity": grant.activity,
        "closed": grant.closed,
        **{
            name: {"core_s": amount[0], "accelerator_s": amount[1]}
            for name, amount in (
                ("available", view.available), ("reserved", view.reserved), ("used", view.used),
            )
        },
    }  # fmt: skip
