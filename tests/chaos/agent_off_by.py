"""An agent whose clock is off: agent_off_by.py SECONDS SITE-FILE BROKER AGENTS STATE BEAT."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from res_federation.agent.main import run_agent
from res_federation.cli.process import follow_parent
from res_federation.cli.serve import until_told_to_end
from res_federation.config.sites import load_site
from res_federation.telemetry import logs

if __name__ == "__main__":
    follow_parent()
    off, site, broker, agents, state, beat = sys.argv[1:]
    logs.configure()
    asyncio.run(
        until_told_to_end(
            run_agent(
                load_site(Path(site)),
                broker,
                Path(state),
                beat_s=float(beat),
                agents=agents,
                now=lambda: time.time() + float(off),
            )
        )
    )
