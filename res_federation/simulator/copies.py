"""What Slurm's own federation does: a copy in every feasible queue, the first start wins.

It does not go through `handle` and `place`: the sites share one database there, and every copy is
revoked at the very second at which another one starts.  At one second the sites make their passes
one after the other, in the order of the federation's file; a site that has made its pass and then
loses copies makes the next one at the next second at which anything happens.
"""

from __future__ import annotations

from res_federation.simulator.federation_engine import Engine
from res_federation.simulator.held_jobs import Held
from res_federation.simulator.virtual_site import VirtualSite


class CopiesEngine(Engine):
    """Copies of each job instead of a broker; a local user's job has one, at home."""

    def start(self, _now: int, /) -> None:
        """Begin without a broker to report to."""
        self._copies: dict[int, list[tuple[VirtualSite, Held]]] = {}

    def arrive(self, job: int, now: int) -> None:
        """Put a copy into every queue where the job fits."""
        if self.home[job] >= 0:
            super().arrive(job, now)
            return
        copies = []
        limit = self.demand.limit[job]
        for site in self.sites.values():
            for part in site.parts:
                most = part.declared.max_time_s
                if most is not None and limit > most:
                    continue
                held = site.submit(job, part, now)
                if held is not None:
                    copies.append((site, held))
        if copies:
            self._copies[job] = copies
        else:
            self.record.why[job] = "infeasible"

    def begun(self, site: VirtualSite, held: Held, now: int) -> None:
        """Note a start and revoke the other copies."""
        for other, copy in self._copies.pop(held.job, ()):
            if copy is not held:
                other.leave(copy, now)
        super().begun(site, held, now)

    def make_passes(self, now: int, /) -> None:
        """Let every site that changed make its pass: starts elsewhere may have changed it."""
        for site in self.sites.values():
            if site.dirty:
                site.make_pass(now)

    def report(self, _now: int, /) -> None:
        """Tell nobody: the sites share one database."""
        self._changed.clear()
