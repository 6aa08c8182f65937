"""Accounts of machines: a pipeline's own, for one project and a bounded time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineAccount:
    """An account and its one token. The token itself is kept nowhere.

    Attributes:
        id: Its subject in jobs; never given to another.
        digest: SHA-256 of the token.
        label: What it is for, a word.
        project: Whose jobs it may submit and see.
        scopes: What it is good for.
        owner: Who made it (`Principal.user`).
        made: UTC seconds.
        expires: UTC seconds.
        revoked: UTC seconds, or None.
        seen: UTC seconds when its maker last came with a claim that makes them a member of its
            project; 0.0 where they came without one since.

    """

    id: str
    digest: bytes
    label: str
    project: str
    scopes: tuple[str, ...]
    owner: str
    made: float
    expires: float
    revoked: float | None = None
    seen: float = 0.0

    def refusal(self, now: float) -> str:
        """Return why its token does not hold at *now*, or ""."""
        if self.revoked is not None:
            return f"the token of machine account '{self.id}' was revoked"
        if now >= self.expires:
            return f"the token of machine account '{self.id}' has expired"
        return ""
