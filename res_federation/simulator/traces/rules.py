"""The names of the rules by which traces are cleaned: the keys of `dropped` and `repaired`."""

from __future__ import annotations

from typing import Final

# --- a job is left out
BROKEN_LINE: Final = "not a job line"
OUT_OF_RANGE: Final = "number out of range"
NEVER_STARTED: Final = "never started"
NOT_ENDED: Final = "not ended"
JOB_STEP: Final = "job step"
NEGATIVE_RUN_TIME: Final = "run time below 0"
NO_PROCESSORS: Final = "no processors"
OPTIONS_REFUSED: Final = "options that sbatch or the federation refuses"
TOO_LARGE: Final = "larger than the machine"

# --- a value is put right
ZERO_RUN_TIME: Final = "run time 0 becomes 1"
NO_ESTIMATE: Final = "no estimate: run time"
LOW_ESTIMATE: Final = "estimate below run time: raised"
HIGH_ESTIMATE: Final = "estimate out of range: lowered"
DISORDER: Final = "submit times out of order: sorted"
SHORT_LINE: Final = "fewer than 18 fields: the rest unknown"
NO_NUMBER: Final = "user, group or queue is no number: unknown"
UNLIMITED: Final = "limit UNLIMITED: run time"
PARTITION_LIMIT: Final = "limit Partition_Limit: run time"
MEMORY_FLAG: Final = "memory with the per-CPU flag bit: read per CPU"
MEMORY_UNREAD: Final = "memory not readable: unknown"
GPU_SHARE: Final = "share of a GPU: a whole one"
GPU_CODE_NAME: Final = "GPU under a code name: any GPU"
GPU_MIXTURE: Final = "several GPU models in one job: the most numerous"
