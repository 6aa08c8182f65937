"""The real sbatch as the judge of rendered scripts with hostile values.

The laws say what our reader finds in them; here sbatch says what it finds, which must be the same.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from res_federation.agent.slurm.wrapper import batch_file
from res_federation.model.job import script_bytes
from tests.conformance.sbatch import real
from tests.fuzz import laws
from tests.fuzz.scripts import Supply, fields_of


def rendered(many: int, seed: int) -> list[str]:
    """Return *many* scripts as sites would be given them, and batch files made of them."""
    drawn = random.Random(seed)
    everywhere = laws.targets()
    found: list[str] = []
    while len(found) < many:
        supply = Supply(drawn.randbytes(drawn.choice((20, 60, 120))))
        account = drawn.choice(("", "uv00", "a b", 'x" --uid=0 #', "x\\"))
        spec = laws.is_read_or_refused(fields_of(supply))
        if spec is None:
            continue
        target = drawn.choice(everywhere)
        made = laws.is_rendered_or_refused(spec, laws.origins(spec)[0], target, account)
        if made is None:
            continue
        found.append(made.script)
        found.append(
            batch_file(
                made.script,
                run=Path("/runs/x"),
                token=laws.TOKEN,
                name=spec.name,
                site="here",
                partition="here/c/p",
            )
        )
    return found[:many]


def judged(many: int, seed: int, sbatch: str) -> tuple[int, list[str]]:
    """Let sbatch read *many* files; return how many, and what it understood otherwise."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, text in enumerate(rendered(many, seed)):
            (folder / f"{number:05d}").write_bytes(script_bytes(text))
        files = 0
        for file, ours, theirs in real(folder, sbatch):
            files += 1
            if ours[1].get("begin", "").startswith("now"):
                ours[1]["begin"] = theirs[1].get("begin")  # it has looked at the clock
            if ours != theirs:
                content = (folder / file).read_bytes()
                wrong.append(
                    f"sbatch reads otherwise: ours {ours!a}, sbatch {theirs!a}: {content!a}"
                )
    return files, wrong
