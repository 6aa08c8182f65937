"""Fuzz reader and renderer: ``python -m tests.fuzz.campaign --seed 1 --lines 1200000``.

Some of the lines are drawn by hypothesis, most made by atheris, guided by coverage; two processes
at a time. Then a sample of what was rendered is given to the real sbatch, where there is one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.judge import judged

SHARES = {"hypothesis": 0.4, "scripts": 0.42, "fields": 0.17, "readers": 0.01}
"""Of all lines, how many each is to make."""
LINES_OF_AN_INPUT = {"scripts": 14.0, "fields": 6.0, "readers": 1.0}
"""About how many lines the fuzzer's inputs come to: they bound a run, the count is exact."""
_LONGEST_INPUT = 400
_SECONDS_OF_AN_INPUT = 10
"""An input that takes longer is a hang, and a finding."""
_MOST_MEMORY_MIB = 2048
ABSENT = "atheris is not installed (it has wheels for Linux on x86_64, Python 3.11 to 3.13)"


@dataclass(frozen=True, slots=True)
class Part:
    """What one process came to."""

    name: str
    lines: int
    seconds: float
    findings: int
    said: str = ""


def guided(name: str, lines: int, seed: int, place: Path) -> Part:
    """Run one target under atheris until about *lines* lines are made."""
    corpus, count = place / name, place / f"{name}.count"
    corpus.mkdir()
    count.write_bytes(bytes(8))
    drawn = random.Random(seed)
    for number in range(200):
        (corpus / str(number)).write_bytes(drawn.randbytes(drawn.choice((20, 60, 120, 240))))
    began, made, found, said, turn = time.monotonic(), 0, 0, "", 0
    while made < lines and not found:
        left = max(200, round((lines - made) / LINES_OF_AN_INPUT[name]))
        argv = [
            sys.executable, "-m", "tests.fuzz.guided", name, str(count), f"-seed={seed + turn}",
            f"-runs={left}", f"-max_len={_LONGEST_INPUT}", "-len_control=0",
            f"-timeout={_SECONDS_OF_AN_INPUT}", f"-rss_limit_mb={_MOST_MEMORY_MIB}",
            "-verbosity=0", f"-artifact_prefix={place}/{name}-", str(corpus),
        ]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
        made += int.from_bytes(count.read_bytes(), "little")
        turn += 1
        if done.returncode:
            found, said = 1, done.stdout[-3000:] + done.stderr[-3000:]
    for broken in sorted(place.glob(f"{name}-*")):
        said += f"\n{broken.name}: {broken.read_bytes().hex()}"
    return Part(f"atheris {name}", made, time.monotonic() - began, found, said)


def drawn(lines: int, seed: int, place: Path) -> Part:
    """Run the properties of hypothesis until about *lines* lines are drawn."""
    count = place / "hypothesis.count"
    argv = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider",
        "--timeout=7200", f"--hypothesis-seed={seed}", "tests/slurm_text/test_fuzz.py",
    ]  # fmt: skip
    environment = os.environ | {
        "RESFED_FUZZ_EXAMPLES": str(max(1, lines // 16)), "RESFED_FUZZ_COUNT": str(count),
    }  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    made = int(count.read_text()) if count.exists() else 0
    found = 1 if done.returncode else 0
    said = done.stdout[-6000:] + done.stderr[-2000:] if found else ""
    return Part("hypothesis", made, time.monotonic() - began, found, said)


def parts(lines: int, seed: int, place: Path) -> Iterator[Part]:
    """Run everything, two processes at a time; yield each as it ends."""
    shares = dict(SHARES)
    if importlib.util.find_spec("atheris") is None:
        sys.stdout.write(f"{ABSENT}: hypothesis alone\n")
        shares = {"hypothesis": 1.0}
    with ThreadPoolExecutor(2) as pool:
        tasks = [
            pool.submit(drawn, round(lines * share), seed, place)
            if name == "hypothesis"
            else pool.submit(guided, name, round(lines * share), seed, place)
            for name, share in shares.items()
        ]
        for task in tasks:
            yield task.result()


def main() -> int:
    """Run, print what it came to; 1 if there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=1_200_000)
    parser.add_argument("--judge", type=int, default=400, help="rendered scripts for sbatch")
    asked = parser.parse_args()
    began = time.monotonic()
    total = findings = 0
    with tempfile.TemporaryDirectory(prefix="resfed-fuzz-") as place:
        for part in parts(asked.lines, asked.seed, Path(place)):
            total += part.lines
            findings += part.findings
            sys.stdout.write(
                f"{part.name}: {part.lines:,} lines, {part.seconds:.0f} s, "
                f"{part.findings} findings\n{part.said}"
            )
            sys.stdout.flush()
    sbatch = shutil.which("sbatch")
    files, wrong = judged(asked.judge, asked.seed, sbatch) if sbatch else (0, [])
    findings += len(wrong)
    for line in wrong:
        sys.stdout.write(f"{line}\n")
    said = {
        "lines": total, "seconds": round(time.monotonic() - began, 1), "findings": findings,
        "seed": asked.seed, "judged_by_sbatch": files,
    }  # fmt: skip
    sys.stdout.write(f"{json.dumps(said)}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
