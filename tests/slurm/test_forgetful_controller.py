"""A controller that is killed hard forgets what it acknowledged, and starts again what had started.

It saves its state seconds after a change: jobs of the last seconds are lost, their numbers are
given to the next jobs, and a job that ran comes back as one that waits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from res_federation.agent import watching
from res_federation.agent.slurm import tasks
from res_federation.model.job_state import JobState
from tests.slurm.federation import Running, once, running

SITES = ("acclab", "ftlab", "palmalab")
STATES_AT_SITE = (JobState.SUBMITTED, JobState.RUNNING, JobState.COMPLETED)
BURSTS = 3
LONGEST_S = 150.0


@pytest.fixture(scope="module")
def federation(lab, tmp_path_factory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("forgetful") / "home"
    with pytest.MonkeyPatch.context() as patch, running(lab, home) as federation:
        # a minute in earnest, for payloads that go on without Slurm; here they last six seconds
        patch.setattr(watching, "MISSING_S", 20.0)
        patch.setattr(tasks, "_STRAY_S", 20.0)
        yield federation


def forget(federation: Running, delays: dict[str, float]) -> None:
    """Kill each site's controller after its delay, and start them all again."""
    began = time.monotonic()
    killed = []
    for site, delay in sorted(delays.items(), key=lambda each: each[1]):
        time.sleep(max(0.0, began + delay - time.monotonic()))
        killed.append(federation.lab.daemon("slurmctld", federation.lab.cluster(site)))
        killed[-1].kill()
    for controller in killed:
        controller.start()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
def test_whatever_a_controller_forgets_every_job_begins_once(federation: Running, seed):
    """Each burst is given the numbers of those that were forgotten before it."""
    draw = random.Random(seed)
    begun: list[str] = []
    waiting: list[str] = []
    for number in range(BURSTS):
        if number == BURSTS - 1:  # these run when it is killed, and it starts some of them again
            begun = [federation.submit("sleep 6", "-M", site) for site in SITES for _ in range(2)]
            for name in begun:
                federation.until_in(name, JobState.RUNNING)
        burst = [federation.submit("sleep 0.2", "-M", site) for site in SITES for _ in range(3)]
        for name in burst:
            federation.until_in(name, *STATES_AT_SITE)
        forget(federation, {site: draw.uniform(0.0, 0.5) for site in SITES})
        waiting += burst
    for job in federation.client.wait(begun + waiting, timeout=LONGEST_S):
        assert job.state.final, federation.told(job)
        if job.state is JobState.COMPLETED:
            once(federation, job.id)
        else:  # only one whose payload had begun may have been ended by Slurm itself
            assert len(federation.marks(job.id)) == 1, federation.told(job)
            assert job.reason, federation.told(job)
