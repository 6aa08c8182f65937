"""Commits steps with audit entries for ever and says the number of each; killed by its test."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from res_federation.model.audit import AuditEntry
from res_federation.security.audit_key import AuditKey
from res_federation.store.step import Step
from res_federation.store.store import Store


async def commit_for_ever(url: str, key: Path) -> None:
    store = await Store.open(url)
    store.sign = AuditKey.at(key).sign
    turn = 0
    while True:
        turn += 1
        entries = [AuditEntry(float(turn), "ana", "submit", f"{turn}-{n}") for n in range(5)]
        await store.commit(Step(audit=entries, sign_at=float(turn) if turn % 3 == 0 else None))
        assert store.chain is not None
        sys.stdout.write(f"{store.chain.tail.number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(commit_for_ever(sys.argv[1], Path(sys.argv[2])))
