"""Why a partition was, or was not, given a job: a code and two numbers; text is made last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Code(IntEnum):
    """Codes of reasons, in the order in which the constraints are tried.

    The numbers are stored with decisions and travel through the kernels: never renumber.
    """

    FITS = 0
    # about the site, now or for good
    NO_PARTITIONS = 1
    PINNED_ELSEWHERE = 2
    EXCLUDED = 3
    PARTITION_NOT_ASKED = 4
    # about the job's data: tried before all others
    DATA_UNKNOWN_HERE = 5
    DATA_JURISDICTION = 6
    DATA_OPERATOR = 7
    DATA_CERTIFICATION = 8
    DATA_CLOUD = 9
    # about the hardware, for good
    SHAPE_UNKNOWN = 10
    NODES_UNKNOWN = 11
    WRONG_ARCHITECTURE = 12
    NO_ACCELERATOR = 13
    WRONG_ACCELERATOR = 14
    ACCELERATOR_MEMORY_UNKNOWN = 15
    ACCELERATOR_MEMORY = 16
    TOO_FEW_ACCELERATORS_PER_NODE = 17
    TOO_FEW_CORES_PER_NODE = 18
    MEMORY_UNKNOWN = 19
    TOO_LITTLE_MEMORY_PER_NODE = 20
    TOO_FEW_NODES = 21
    NODE_LIMIT = 22
    TIME_LIMIT = 23
    ARRAY_LIMIT = 24
    LICENSE_MISSING = 25
    FEATURE_MISSING = 26
    # about the site's own way to ask, for good
    CORES_BY_RULE = 27
    CORES_WITH_ACCELERATORS_ONLY = 28
    CORES_GIVEN_BY_SITE = 29
    MEMORY_OF_CORES_UNKNOWN = 30
    CORES_NOT_EVEN = 31
    DISK_UNKNOWN = 32
    OTHER_PARTITION_MEANT = 33
    MEMORY_NOT_ASKED = 34
    QOS_MISSING = 35
    QOS_NODES = 36
    QOS_TIME = 37
    ACCOUNT_MISSING = 38
    # about hours: the last of what is for good
    NO_GRANT = 39
    # about now: the job waits
    SITE_NOT_CONNECTED = 40
    REPORT_STALE = 41
    SITE_DRAINED = 42
    PARTITION_DOWN = 43
    NODES_UNAVAILABLE = 44
    QUEUE_FULL = 45
    SNAPSHOT_OUTDATED = 46
    TRIED_AND_REFUSED = 47
    NODES_BUSY = 48
    WAITS_FOR_TURN = 49
    NODES_KEPT_FOR_IT = 50
    PLACE_AT_SITE = 52
    LEFT_FOR_OTHERS = 51
    GRANT_SPENT = 53
    GRANT_NOT_BEGUN = 54
    # about the ranking
    OUTRANKED = 60
    CHOSEN = 61

    @property
    def permanent(self) -> bool:
        """Tell whether the job can never be run by this partition as it is declared."""
        return 1 <= self < 40 or self == Code.TRIED_AND_REFUSED

    @property
    def temporary(self) -> bool:
        """Tell whether waiting may help."""
        return 40 <= self < 60 and self != Code.TRIED_AND_REFUSED

    @property
    def nearness(self) -> int:
        """Return how near a job was to going there: of all reasons the greatest is told first.

        Hours that another partition's grants lack say less than what it waits for where one pays.
        """
        return self - _FARTHER if self in (Code.GRANT_SPENT, Code.GRANT_NOT_BEGUN) else self


_FARTHER = 20
"""`placement.turns.nearest` has the same number: its loops know nothing of this class."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    Attributes:
        code: What it is about.
        needed: The number that the job needs (cores, MiB, nodes, seconds), or -1.
        have: The number that the partition has, or -1 where it is not known or not a number.

    """

    code: Code
    needed: int = -1
    have: int = -1
