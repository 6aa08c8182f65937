"""Count where our reader and sbatch agree, and list each script where they do not.

Against the recorded answers of sbatch 22.05.8 that lie beside the checkout, or, with a folder,
against the sbatch of this machine: ``make sbatch-conformance DIR=folder``. No controller runs and
nothing is submitted: sbatch ends once it has said what it understood.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from res_federation.slurm import script_header

SHARED = Path(__file__).parents[3] / "shared" / "sbatch"
DEADLINE_S = 20
CONF = """ClusterName=conformance
SlurmctldHost=localhost
SlurmctldPort=1
AuthType=auth/none
CredType=cred/none
MessageTimeout=2
NodeName=n1
PartitionName=p Nodes=n1 Default=YES
"""
_FOUND = re.compile(r'^sbatch: debug2: Found in script, argument "(.*)"$')
_OPTION = re.compile(r"^sbatch: ([a-z-]+) *: (.*)$")
_MASKED = re.compile(r"[\w.]+@example\.org")
_OURS = ("test-only", "verbose")
"""Options of the question itself."""

Answer = list[Any]
"""Words found, table of options, refused or not."""


def recorded() -> Iterator[tuple[str, Answer, Answer]]:
    """Yield name, our answer and sbatch's, from the answers that were recorded in ``/srv``."""
    for record in _records():
        nothing = record["rc"] == 255 or (record["rc"] == 1 and not record["options"])
        theirs = [record["found"], record["options"], nothing]
        yield record["name"], _masked(ours(record["script"], "/srv")), _masked(theirs)


def _records() -> Iterator[dict[str, Any]]:
    for line in (SHARED / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        yield record | {"script": (SHARED / record["name"]).read_text(encoding="utf-8")}
    with gzip.open(SHARED / "public.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _masked(answer: Answer) -> Answer:
    """Blank addresses, as the recorded answers do more thoroughly than their scripts."""
    masked: Answer = json.loads(_MASKED.sub("someone", json.dumps(answer)))
    return masked


def ours(script: str | bytes, directory: str) -> Answer:
    """Return our answer."""
    header = script_header.read(script, directory=directory)
    return [list(header.found), header.options, bool(header.refused)]


def real(folder: Path, sbatch: str) -> Iterator[tuple[str, Answer, Answer]]:
    """Yield name, our answer and that of the sbatch of this machine, for each file in *folder*."""
    with tempfile.TemporaryDirectory() as place:
        conf = Path(place) / "slurm.conf"
        conf.write_text(CONF, encoding="utf-8")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            theirs = _asked(sbatch, file.resolve(), place, conf)
            yield str(file.relative_to(folder)), ours(file.read_bytes(), place), theirs


def _asked(sbatch: str, file: Path, place: str, conf: Path) -> Answer:
    words = [sbatch, "-vvv", "--test-only", str(file)]
    environment = {"PATH": os.environ.get("PATH", ""), "SLURM_CONF": str(conf), "TZ": "UTC"}
    found: list[str] = []
    options: dict[str, str] = {}
    told = False
    with subprocess.Popen(
        words, cwd=place, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        encoding="utf-8", errors="surrogateescape",
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            told = told or line.startswith("sbatch: defined options")
            word, option = _FOUND.match(line), _OPTION.match(line)
            if word and not told:
                found.append(word[1])
            elif line.startswith("sbatch: end of defined options"):
                break
            elif option and told:
                options[option[1]] = option[2]
        process.kill()
        process.wait(DEADLINE_S)
    for name in _OURS:
        options.pop(name, None)
    return [found, options, not told]


def main() -> int:
    """Compare, list, count; 1 if there is a disagreement, 6 without anything to compare with."""
    folder = sys.argv[1] if len(sys.argv) > 1 else ""
    sbatch = shutil.which("sbatch")
    if folder and not sbatch:
        sys.stderr.write("sbatch is not installed (apt-get install slurm-client)\n")
        return 6
    if not folder and not (SHARED / "public.jsonl.gz").exists():
        sys.stderr.write("no recorded answers in ../shared/sbatch; name a folder: DIR=...\n")
        return 6
    pairs = real(Path(folder), sbatch or "") if folder else recorded()
    many = agreed = 0
    for name, our, their in pairs:
        many += 1
        if our == their:
            agreed += 1
            continue
        for what, one, other in zip(("found", "options", "refused"), our, their, strict=True):
            if one != other:
                line = f"{name}: {what}: ours {one!a}, sbatch {other!a}\n"
                sys.stdout.write(line)
    share = 100 * agreed / many if many else 0.0
    sys.stdout.write(f"{agreed} of {many} agree ({share:.3f} %)\n")
    return 0 if agreed == many else 1


if __name__ == "__main__":
    sys.exit(main())
