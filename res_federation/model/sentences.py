"""Reasons as English, made last. One sentence a code, with its numbers."""

from __future__ import annotations

from datetime import UTC, datetime

from res_federation.model.governance import CLASS_UNKNOWN, Ens, Fact
from res_federation.model.reason import Code, Reason


def duration(seconds: float) -> str:
    """Return *seconds* as people say it: ``45 s``, ``12 min``, ``3.5 h``, ``2 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def moment(at: float) -> str:
    """Return UTC seconds as people write them: ``2026-12-01 00:00 UTC``."""
    return datetime.fromtimestamp(min(at, _LAST), UTC).strftime("%Y-%m-%d %H:%M UTC")


def hours(seconds: int) -> str:
    """Return an amount of seconds as hours: two places, and more where that would be nothing."""
    places = 2 if abs(seconds) >= 36 else 4
    return f"{seconds / 3600:.{places}f}".rstrip("0").rstrip(".") if seconds else "0"


def memory(mib: int) -> str:
    """Return *mib* as people say it."""
    return f"{mib} MiB" if mib < 1024 else f"{mib / 1024:.1f}".removesuffix(".0") + " GiB"


def sentence(reason: Reason) -> str:
    """Return the sentence for *reason*."""
    needed, have = reason.needed, reason.have
    match reason.code:
        case Code.QOS_TIME if needed >= 0:
            return f"asks for {duration(needed)}, its QoS allows {duration(have)}"
        case Code.TIME_LIMIT:
            return f"asks for {duration(needed)}, the limit is {duration(have)}"
        case Code.TOO_LITTLE_MEMORY_PER_NODE | Code.ACCELERATOR_MEMORY:
            what = "per accelerator" if reason.code == Code.ACCELERATOR_MEMORY else "per node"
            return f"needs {memory(needed)} {what}, has {memory(have)}"
        case Code.MEMORY_UNKNOWN:
            return f"needs {memory(needed)} per node; the memory of its nodes is not published"
        case Code.ACCELERATOR_MEMORY_UNKNOWN:
            return f"needs {memory(needed)} per accelerator; its size is not published"
        case Code.DATA_UNKNOWN_HERE if needed >= 0:
            return _FACTS[needed]
        case Code.DATA_CERTIFICATION if needed >= 0 and have >= 0:
            return f"its data asks for ENS {_ens(needed)}, the site is certified for {_ens(have)}"
        case Code.GRANT_NOT_BEGUN | Code.REPORT_STALE if have >= 0:
            return _timed(reason.code, have)
        case Code.OUTRANKED if needed == 0:
            return "as good as the chosen one: a seeded draw between equals decided"
        case Code.OUTRANKED if needed > 0:
            return f"would complete {duration(needed)} later than the chosen one"
        case _:
            text = _PLAIN[reason.code]
            if "{" not in text:
                return text
            return text.format(needed=needed, have=have) if needed >= 0 else text.split(":")[0]


def _timed(code: Code, have: int) -> str:
    if code is Code.GRANT_NOT_BEGUN:
        return f"its project's grant there begins {moment(have)}"
    return f"its newest figures are {duration(have)} old"


_LAST = 253_402_300_799.0
"""The last second of the year 9999: no calendar goes on."""


def _ens(category: int) -> str:
    return Ens(category).name.lower()


_FACTS: dict[int, str] = {
    CLASS_UNKNOWN: "its data class is not known to the broker: goes nowhere",
    Fact.COUNTRY: "its data is bound to countries; where this site stands is not known well enough",
    Fact.JURISDICTIONS: (
        "its data is bound to jurisdictions; who can compel this site's operator is not known "
        "well enough"
    ),
    Fact.OWNER: "its data class asks who owns the operator; that is not known well enough",
    Fact.ENS: "its data class asks for a category of the ENS; that of this site is not known",
    Fact.CERTIFICATIONS: "its data class asks for certificates; those of this site are not known",
    Fact.CLOUD: "its data may go to no cloud; whether this is one is not known well enough",
}
_PLAIN: dict[Code, str] = {
    Code.FITS: "fits",
    Code.NO_PARTITIONS: "runs no batch jobs for the federation",
    Code.PINNED_ELSEWHERE: "the job is pinned to other sites (-M)",
    Code.EXCLUDED: "the job excludes this site",
    Code.PARTITION_NOT_ASKED: "the pinned job names another partition (-p)",
    Code.DATA_UNKNOWN_HERE: "what its data class asks for is not known of this site",
    Code.DATA_JURISDICTION: "its data may not go there: the site stands in another jurisdiction",
    Code.DATA_OPERATOR: (
        "its data may not go there: by its owner, or by who can compel him, the operator is not "
        "allowed"
    ),
    Code.DATA_CERTIFICATION: "its data asks for a certificate that the site is not known to have",
    Code.DATA_CLOUD: "its data may go to no cloud",
    Code.NO_GRANT: "no grant of its project pays there",
    Code.GRANT_SPENT: "its project's grants there have too little left to pay for it",
    Code.GRANT_NOT_BEGUN: "its project's grant there has not begun",
    Code.SHAPE_UNKNOWN: "the cores of its nodes are not published",
    Code.NODES_UNKNOWN: "its number of nodes is not published",
    Code.WRONG_ARCHITECTURE: "its nodes have another instruction set",
    Code.NO_ACCELERATOR: "has no accelerators",
    Code.WRONG_ACCELERATOR: "has another type of accelerator",
    Code.TOO_FEW_ACCELERATORS_PER_NODE: (
        "too few accelerators per node: needs {needed}, has {have}"
    ),
    Code.TOO_FEW_CORES_PER_NODE: "too few cores per node: needs {needed}, has {have}",
    Code.TOO_FEW_NODES: "too few nodes: needs {needed}, has {have}",
    Code.NODE_LIMIT: "over its limit of nodes for one job: needs {needed}, may have {have}",
    Code.ARRAY_LIMIT: "over its limit of array tasks: needs {needed}, may have {have}",
    Code.LICENSE_MISSING: "lacks a licence that the job needs",
    Code.FEATURE_MISSING: "lacks a feature that the job insists on",
    Code.CORES_BY_RULE: (
        "for its GPUs or memory the site's rules want {needed} cores per node: has {have}"
    ),
    Code.CORES_WITH_ACCELERATORS_ONLY: "gives cores with GPUs only, and none are asked for",
    Code.CORES_GIVEN_BY_SITE: (
        "the site itself gives cores with GPUs: needs {needed} per node (with the memory that they "
        "bring), gives {have}"
    ),
    Code.MEMORY_OF_CORES_UNKNOWN: (
        "memory cannot be asked for there, and what a core gets is not published"
    ),
    Code.CORES_NOT_EVEN: (
        "the cores that the site wants cannot be asked for in equal parts for each task"
    ),
    Code.DISK_UNKNOWN: "no disk in its nodes is published (--tmp)",
    Code.OTHER_PARTITION_MEANT: "the script is written for another partition of this site",
    Code.MEMORY_NOT_ASKED: "memory must be asked for there, and the script asks for none",
    Code.QOS_MISSING: "no QoS that opens it is known for the job",
    Code.QOS_NODES: "over the limit of its QoS: needs {needed} nodes, may have {have}",
    Code.QOS_TIME: "over the time limit of its QoS",
    Code.ACCOUNT_MISSING: "an account is mandatory there and none is known: name yours (--account)",
    Code.SITE_NOT_CONNECTED: "its agent is not connected",
    Code.REPORT_STALE: "its newest report is too old",
    Code.SITE_DRAINED: "takes no new jobs: drained by an operator",
    Code.PARTITION_DOWN: "the partition is down",
    Code.NODES_UNAVAILABLE: "too few nodes are up now: needs {needed}, {have} are up",
    Code.QUEUE_FULL: "its queue holds as many jobs of the federation as the policy allows",
    Code.SNAPSHOT_OUTDATED: "capacity changed since the round; it will be tried again",
    Code.TRIED_AND_REFUSED: "the site refused this job before",
    Code.NODES_BUSY: "too few nodes are free now: needs {needed}",
    Code.WAITS_FOR_TURN: "free, but kept for a job that is before it",
    Code.PLACE_AT_SITE: "it has a place in the queue there, and goes wherever it can start sooner",
    Code.NODES_KEPT_FOR_IT: "it is next there: nodes are kept for it as they come free",
    Code.LEFT_FOR_OTHERS: "could start there now too, and is left to jobs that need it more",
    Code.OUTRANKED: "another partition is expected to complete the job earlier",
    Code.CHOSEN: "the fewest seconds in all",
    Code.TIME_LIMIT: "over its time limit",
    Code.TOO_LITTLE_MEMORY_PER_NODE: "too little memory per node",
    Code.ACCELERATOR_MEMORY: "too little memory per accelerator",
    Code.MEMORY_UNKNOWN: "the memory of its nodes is not published",
    Code.ACCELERATOR_MEMORY_UNKNOWN: "the memory of its accelerators is not published",
}
