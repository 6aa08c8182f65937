"""Named points of the protocol, as they are seen from outside: in journals and run directories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.chaos.stage import Agent

Seen = Callable[[Agent], set[str]]
"""What stands at a point now: a fault strikes when something new does."""


def _phase(*wanted: str) -> Seen:
    def seen(agent: Agent) -> set[str]:
        return {token for token, phase in agent.phases().items() if phase in wanted}

    return seen


def _file(matches: Callable[[Path, set[str]], bool]) -> Seen:
    def seen(agent: Agent) -> set[str]:
        found = set()
        for token, phase in agent.phases().items():
            path = agent.state / "runs" / token
            if phase in ("submitting", "accepted"):
                try:
                    names = set(os.listdir(path))  # noqa: PTH208 - names are all that is wanted
                except OSError:
                    continue
                if matches(path, names):
                    found.add(token)
        return found

    return seen


def _any(prefix: str, names: set[str]) -> bool:
    return any(name.startswith(prefix) for name in names)


def _word(path: Path) -> str:
    try:
        return (path / "fence").read_text().strip()
    except OSError:
        return ""


POINTS: dict[str, Seen] = {
    "intended": _phase("intended"),
    "submitting": _phase("submitting"),
    "accepted": _phase("accepted"),
    "fenced": _file(lambda path, names: "fence" in names and _word(path) == "wait"),
    "asks": _file(lambda _path, names: _any("asks.", names) and not _any("exit.", names)),
    "may-begin": _file(lambda path, names: "fence" in names and _word(path) == "go"),
    "begun": _file(lambda _path, names: _any("begun.", names) and not _any("exit.", names)),
    "exit-written": _file(lambda _path, names: _any("exit.", names)),
    "ended": _phase("ended"),
    "cancelled": _file(lambda _path, names: _any("cancel", names)),
}
"""Each by its name."""
