"""Give every rendered script to the sbatch of a real Slurm that is configured like its target.

Each script of ``../shared/sbatch`` is read and rendered for each partition of each member, as
``resfed translate --to all`` does it; what is called feasible goes to ``sbatch --test-only`` of a
real slurmctld with that member's partitions, nodes, QoS, accounts and rules
(``tests/slurm/site_clusters.py``). Where Slurm's partition has nodes of other partitions of the
catalogue, too, those are excluded: the job must stand on the nodes that were meant.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from res_federation.agent.slurm.pieces import pieces
from res_federation.config.dialects import load_dialects
from res_federation.config.places import default_sites
from res_federation.config.sites import load_sites
from res_federation.errors import FederationError
from res_federation.lab.lab import Lab
from res_federation.model.job import JobSpec, script_bytes
from res_federation.model.site import Partition
from res_federation.slurm.canonical import understood
from res_federation.slurm.dialect import Dialect
from res_federation.slurm.directives import own_options
from res_federation.slurm.job_spec import read_job
from res_federation.slurm.render import Rendered, render_understood
from tests.conformance.generated_scripts import generated
from tests.slurm.site_clusters import ACCOUNT, SiteCluster, site_clusters

SHARED = Path(__file__).parents[3] / "shared" / "sbatch"
DEADLINE_S = 60
_ASKED_AT_ONCE = 3
_UNPUBLISHED = ("nodelist", "exclude", "reservation")


@dataclass(frozen=True, slots=True)
class Pair:
    """A script rendered for a partition."""

    name: str
    spec: JobSpec
    cluster: SiteCluster
    partition: Partition
    rendered: Rendered

    @property
    def names_nodes(self) -> bool:
        """Whether a script of this very site names nodes or a reservation: none is published."""
        own = {name for name, value in self.spec.options if value}
        return self.spec.origin == self.cluster.site.id and bool(own & set(_UNPUBLISHED))

    @property
    def words(self) -> tuple[str, ...]:
        """What is said besides the script, on the command line."""
        limit = self.cluster.dialect.max_array_size
        cut = pieces(self.spec.array, limit, self.spec.array_throttle)
        words = (f"--array={cut[0].array}",) if len(cut) > 1 or cut[0].mapped else ()
        others = (
            "" if self.spec.origin == self.cluster.site.id else self.cluster.others(self.partition)
        )
        return (*words, f"--exclude={others}") if others else words


def shared_scripts() -> Iterator[tuple[str, str]]:
    """Yield name and text of the scripts beside the checkout; none where there are none."""
    if not (SHARED / "expected.jsonl").exists():
        return
    for line in (SHARED / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        name = json.loads(line)["name"]
        yield name, (SHARED / name).read_text(encoding="utf-8")
    with gzip.open(SHARED / "public.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield record["name"], record["script"]


def read(
    scripts: Iterable[tuple[str, str]], dialects: Mapping[str, Dialect]
) -> Iterator[tuple[str, JobSpec]]:
    """Yield the scripts that the federation takes, read with the words of their own sites."""
    for name, text in scripts:
        try:
            yield name, understood(read_job(text, user="", name="job"), dialects)
        except FederationError:
            continue  # refused by name: no site is asked


def pairs(jobs: Iterable[tuple[str, JobSpec]], clusters: Sequence[SiteCluster]) -> Iterator[Pair]:
    """Yield every pair of a script and a partition that is called feasible."""
    for name, spec in jobs:
        for cluster in clusters:
            for part in _candidates(spec, cluster):
                made = render_understood(spec, cluster.dialect, part, account=ACCOUNT)
                if isinstance(made, Rendered):
                    yield Pair(name, spec, cluster, part, made)


def _candidates(spec: JobSpec, cluster: SiteCluster) -> Sequence[Partition]:
    meant = spec.meant if spec.origin == cluster.site.id else ""
    return [part for part in cluster.partitions if part.name == meant] or cluster.partitions


def verdict(pair: Pair, lab: Lab) -> str:
    """Return "" if sbatch takes the script, or what it says against it."""
    environment = {name: value for name, value in os.environ.items() if name[:6] != "SBATCH"}
    environment |= lab.cluster(pair.cluster.plan.name).environment()
    done = subprocess.run(
        ["sbatch", "--test-only", *pair.words],
        env=environment, input=script_bytes(pair.rendered.script), capture_output=True,
        timeout=DEADLINE_S, check=False, cwd="/",
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").replace("sbatch: error: ", "")
    return " / ".join(line.strip() for line in said.splitlines() if line.strip()) or "no word"


def main() -> int:
    """Render, ask, count, list; 1 if sbatch refuses one, 6 without scripts."""
    options = _options()
    scripts = list(
        generated(options.generated, options.seed) if options.generated else shared_scripts()
    )
    if not scripts:
        sys.stderr.write("no scripts in ../shared/sbatch: nothing to render\n")
        return 6
    if options.sample:
        scripts = random.Random(options.seed).sample(scripts, min(options.sample, len(scripts)))
    sites = load_sites(default_sites())
    dialects = load_dialects(default_sites(), sites)
    jobs = list(read(scripts, dialects))
    own = {spec.account for _, spec in jobs if spec.account and spec.origin}
    chosen = [site for site in sites if not options.site or site.id in options.site]
    clusters = site_clusters(chosen, dialects, sorted(filter(_nameable, own)))
    every = list(pairs(jobs, clusters))
    found = [pair for pair in every if not pair.names_nodes]
    same: dict[tuple[str, str, tuple[str, ...]], list[Pair]] = defaultdict(list)
    for pair in found:
        same[pair.cluster.plan.name, pair.rendered.script, pair.words].append(pair)
    sys.stdout.write(
        f"{len(scripts)} scripts, {len(jobs)} taken; {len(found)} pairs of script and partition "
        f"are called feasible; {len(same)} are different\n"
        f"not judged: {len(every) - len(found)} of scripts of that very site that name nodes\n"
    )
    with Lab([each.plan for each in clusters], nodes_run=False) as lab:
        said = _asked([alike[0] for alike in same.values()], lab)
    return _told(list(same.values()), said, options.show)


def _nameable(account: str) -> bool:
    """Tell whether sacctmgr takes the word (placeholders such as ``<group>`` are none)."""
    return account.isprintable() and not set(account) & set(" ,='\"()")


def _asked(firsts: Sequence[Pair], lab: Lab) -> list[str]:
    said: list[str] = []
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as asking:
        for answer in asking.map(lambda pair: verdict(pair, lab), firsts):
            said.append(answer)
            if len(said) % 1000 == 0:
                sys.stderr.write(f"asked {len(said)} of {len(firsts)}\n")
    return said


def _told(same: Sequence[Sequence[Pair]], said: Sequence[str], show: int) -> int:
    """Print the figures of each member, then each disagreement, alike ones together."""
    many: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    against: dict[tuple[str, str, str], list[Pair]] = defaultdict(list)
    for alike, answer in zip(same, said, strict=True):
        for pair in alike:
            many[pair.cluster.site.id] += 1
            accepted[pair.cluster.site.id] += not answer
            if answer:
                key = (pair.cluster.site.id, pair.partition.name, answer)
                against[key].append(pair)
    for site in sorted(many):
        sys.stdout.write(f"{site}: {accepted[site]} of {many[site]} accepted\n")
    for (site, part, answer), refused in sorted(against.items(), key=lambda each: -len(each[1])):
        sys.stdout.write(f"{site}/{part}: {answer}: {len(refused)}\n")
        for pair in refused[:show]:
            says = own_options(pair.rendered.script).items()
            line = " ".join(f"--{name}={value}" if value else f"--{name}" for name, value in says)
            sys.stdout.write(f"  {pair.name}: {line}\n")
    taken, asked = accepted.total(), many.total()
    share = 100 * taken / asked if asked else 0.0
    sys.stdout.write(f"accepted {taken} of {asked} ({share:.3f} %)\n")
    return 0 if taken == asked else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sample", type=int, default=0, help="so many scripts [default: all]")
    parser.add_argument("--generated", type=int, default=0, help="in place of them, so many drawn")
    parser.add_argument("--seed", type=int, default=1, help="of the sample, or of what is drawn")
    parser.add_argument("--site", action="append", default=[], help="only this member")
    parser.add_argument("--show", type=int, default=5, help="scripts for each disagreement")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
