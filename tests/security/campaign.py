"""Every attack from outside at full size, and how an honest user fares: ``make attack``.

A broker of its own is started, an honest user submits a job and looks at it, over and over, first
in peace, then under each attack. One JSON document tells the P99 of both and their ratio, measured
in the one run. Exit code 1 when any ratio is over the bound, or an honest call failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from res_federation.client import FederationClient
from res_federation.model.job import JobSpec
from tests.security import attacks

ROOT = Path(__file__).resolve().parents[2]
PAUSE_S = 0.02


async def honest(address: str, seconds: float) -> dict[str, Any]:
    """Submit and look, one after the other; return the times of both together, in seconds."""
    times: list[float] = []
    failed: list[str] = []
    end = time.monotonic() + seconds
    async with FederationClient(address) as client:
        while time.monotonic() < end:
            since = time.perf_counter()
            try:
                async with asyncio.timeout(20):
                    job = await client.submit(JobSpec("honest", "", "#!/bin/sh\ntrue\n"))
                    await client.job(job.id)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                failed.append(f"{type(error).__name__}: {error}"[:200])
            times.append(time.perf_counter() - since)
            await asyncio.sleep(PAUSE_S)
    return {"times": times, "failed": failed}


def _me(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.security.campaign", *words]


def _measured(
    address: str, seconds: float, attack: str, count: int, seed: int, source: str = attacks.HONEST
) -> dict[str, Any]:
    """Measure the honest user while an attack is under way in another process."""
    attacker = None
    if attack:
        # another machine's processor would not be ours: the attacker gives way to both
        attacker = subprocess.Popen(
            ["nice", "-n", "19", *_me("--attack", attack, address, str(count), str(seed), source)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
        time.sleep(1.0)
    told = subprocess.run(
        _me("--honest", address, str(seconds)), check=True, capture_output=True, text=True, cwd=ROOT
    )
    found: dict[str, Any] = json.loads(told.stdout)
    if attacker is not None:
        out, _ = attacker.communicate(timeout=120)
        found["reached"] = int(out or 0)
    return found


def _p99(times: list[float]) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def campaign(told: argparse.Namespace) -> int:
    """Run every attack against a broker of its own; return the exit code."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "RESFED_RAY_WORKERS": "0", "RESFED_HOME": home}
        with Path(home, "broker.log").open("wb") as log:
            broker = subprocess.Popen(
                [sys.executable, "-m", "res_federation.cli.main", "broker", "serve",
                 "--listen", "127.0.0.1:0", "--home", home, "--sites", str(ROOT / "sites")],
                stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=ROOT,
            )  # fmt: skip
            try:
                assert broker.stdout is not None
                address = broker.stdout.readline().split()[-1]
                return _campaign(address, broker.pid, told)
            finally:
                broker.terminate()
                broker.wait(30)


def _campaign(address: str, broker: int, given: argparse.Namespace) -> int:
    count, seconds, seed = given.connections, given.seconds, given.seed
    _measured(address, 3, "", 0, seed)  # warm
    peace = [_measured(address, seconds, "", 0, seed)]
    rows: dict[str, Any] = {}
    bad = False
    for name in given.only or attacks.ATTACKS:
        found = _measured(address, seconds, name, count, seed, given.source)
        peace.append(_measured(address, 4, "", 0, seed))
        base = _p99([one for each in peace for one in each["times"]])
        ratio = _p99(found["times"]) / base
        bad = bad or ratio > given.most or bool(found["failed"])
        rows[name] = {
            "reached": found["reached"], "calls": len(found["times"]), "failed": found["failed"],
            "p99_s": round(_p99(found["times"]), 4), "max_s": round(max(found["times"]), 4),
            "ratio": round(ratio, 2),
        }  # fmt: skip
        sys.stderr.write(f"{name}: {rows[name]}\n")
    peaceful = [one for each in peace for one in each["times"]]
    memory = next(
        line.split()[1]
        for line in Path(f"/proc/{broker}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    told = {
        "connections": count, "p99_s_in_peace": round(_p99(peaceful), 4),
        "calls_in_peace": len(peaceful), "attacks": rows, "broker_peak_mib": int(memory) // 1024,
        "worst_ratio": max(row["ratio"] for row in rows.values()), "bound": given.most,
        "from": given.source,
    }  # fmt: skip
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return int(bad)


def main() -> int:
    """Be the campaign, or one of the processes that it starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=float, default=2.0, help="bound of the ratio of the P99")
    parser.add_argument("--source", default=attacks.HONEST, help="where attacks come from")
    parser.add_argument("--only", action="append", choices=list(attacks.ATTACKS))
    parser.add_argument("--honest", nargs=2, metavar=("ADDRESS", "SECONDS"))
    parser.add_argument("--attack", nargs=5, metavar=("NAME", "ADDRESS", "COUNT", "SEED", "SOURCE"))
    given = parser.parse_args()
    if given.honest:
        address, seconds = given.honest
        sys.stdout.write(json.dumps(asyncio.run(honest(address, float(seconds)))))
        return 0
    if given.attack:
        name, address, count, seed, source = given.attack
        held = attacks.ATTACKS[name](address, int(count), random.Random(int(seed)), source)
        sys.stdout.write(str(asyncio.run(held)))
        return 0
    return campaign(given)


if __name__ == "__main__":
    sys.exit(main())
