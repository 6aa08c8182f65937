"""Kill -9 of the broker amid an import: what is imported again is booked once, to the second."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from res_federation.accounting.records import Grant, Pool, PoolKind, Project
from res_federation.client import Federation
from tests.journeys.running import RESFED, Up, until, up

HOUR = 3600
ROWS = 20_000
GRANTS = ("one", "two")


def found_grants(federation: Up) -> None:
    with Federation(federation.address) as client:
        books = client.accounting
        books.save_pool(Pool("res", PoolKind.RES))
        books.save_project(Project("fusion"))
        now = time.time()
        for name in GRANTS:
            books.save_grant(Grant(name, "fusion", "res", "", now, now + HOUR, 1 << 40, 0))


def charged(federation: Up) -> int:
    with Federation(federation.address, patience_s=60) as client:
        return sum(client.accounting.grant(name).used[0] for name in GRANTS)


@pytest.mark.slow
def test_an_import_that_is_cut_short_is_made_again_and_books_nothing_twice(
    tmp_path: Path,
) -> None:
    draw = random.Random(7)
    uses = [(draw.choice(GRANTS), f"old:{number}", draw.randint(1, 90)) for number in range(ROWS)]
    file = tmp_path / "used.csv"
    lines = (f"{grant},{once},0:{s // 60:02}:{s % 60:02}\n" for grant, once, s in uses)
    file.write_text("grant,once,core_hours\n" + "".join(lines))
    with up(tmp_path / "home", "csuc") as federation:
        found_grants(federation)
        command = subprocess.Popen(
            [*RESFED, "ledger", "import", str(file)],
            env={**os.environ, "RESFED_BROKER": federation.address},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(lambda: charged(federation) > 0)
        command.kill()  # the one who imports goes
        command.communicate()
        some = charged(federation)
        second = subprocess.Popen(
            [*RESFED, "ledger", "import", str(file)],
            env={**os.environ, "RESFED_BROKER": federation.address},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(lambda: charged(federation) > some or second.poll() is not None)
        until(lambda: federation.kill("broker", "serve"))  # and then the broker
        second.communicate()
        federation.resfed("ledger", "import", str(file))
        assert charged(federation) == sum(seconds for _, _, seconds in uses)
        with Federation(federation.address) as client:
            posted = Counter(
                one.once for one in client.accounting.entries() if one.kind == "imported"
            )
        assert posted == Counter(once for _, once, _ in uses)
