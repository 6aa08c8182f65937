"""An agent as a process of its own, for tests that kill it: agent_process.py BROKER STATE."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from res_federation.agent.main import run_agent
from res_federation.cli.serve import until_told_to_end
from res_federation.model.identifiers import PartitionId, SiteId
from res_federation.model.resources import NodeShape
from res_federation.model.site import Partition, Site

SITE = Site(
    id=SiteId("here"), name="Here", clusters=("box",), machine="Box", city="Here",
    latitude=0.0, longitude=0.0, batch="local",
    partitions=(Partition(PartitionId("here/box/cpu"), "cpu", NodeShape(4, 4096), nodes=2),),
)  # fmt: skip

if __name__ == "__main__":
    agent = run_agent(SITE, sys.argv[1], Path(sys.argv[2]), beat_s=0.5)
    asyncio.run(until_told_to_end(agent))
