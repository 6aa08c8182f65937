"""Run AccaSim on a trace: for an interpreter that has it, which is not the project's own.

``python accasim_run.py TRACE PROCESSORS fcfs|easy DIR`` prints the seconds of its simulation; the
schedule is then in ``DIR/results``.
"""

import collections
import collections.abc
import json
import os
import sys
import time
from pathlib import Path

collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]  # AccaSim 1.1.3 is older than Python 3.10

from accasim.base.allocator_class import FirstFit  # type: ignore[import-not-found]  # noqa: E402
from accasim.base.scheduler_class import EASYBackfilling, FirstInFirstOut  # type: ignore[import-not-found]  # noqa: E402
from accasim.base.simulator_class import Simulator  # type: ignore[import-not-found]  # noqa: E402

DISCIPLINES = {"fcfs": FirstInFirstOut, "easy": EASYBackfilling}


def main(trace: str, processors: int, discipline: str, directory: Path) -> None:
    """Simulate one pool of *processors* nodes of one core."""
    (directory / "results").mkdir()
    os.chdir(directory)
    machine = {
        "groups": {"g0": {"core": 1}},
        "resources": {"g0": processors},
        "start_time": 0,
        "equivalence": {"processor": {"core": 1}},
    }
    Path("system.json").write_text(json.dumps(machine))
    simulator = Simulator(
        trace, "system.json", DISCIPLINES[discipline](FirstFit()),
        RESULTS_FOLDER_PATH=str(directory / "results"),
        scheduling_output=True, statistics_output=False, pprint_output=False,
        benchmark_output=False, show_statistics=False,
    )  # fmt: skip
    begun = time.perf_counter()
    simulator.start_simulation()
    sys.stdout.write(f"seconds {time.perf_counter() - begun:.3f}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
