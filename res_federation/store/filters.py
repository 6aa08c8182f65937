"""The filter of job lists: ``state=RUNNING AND user=ana AND active=true``."""

from __future__ import annotations

from dataclasses import dataclass

from res_federation.errors import InvalidArgument
from res_federation.model.job_state import JobState


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; an empty term matches all.

    Attributes:
        states: Any of these.
        user: Exactly.
        site: Exactly.
        name: Exactly.
        active: Only jobs that have not ended.

    """

    states: tuple[str, ...] = ()
    user: str = ""
    site: str = ""
    name: str = ""
    active: bool = False


_TERMS = "state=NAME[,NAME], user=NAME, site=ID, name=TEXT, active=true"


def parse_filter(text: str) -> JobFilter:
    """Read a filter.

    Raises:
        InvalidArgument: If a term is not known; the message lists those that are.

    """
    given: dict[str, str] = {}
    for term in text.split(" AND "):
        if not term.strip():
            continue
        key, equals, value = term.partition("=")
        key, value = key.strip().lower(), value.strip().strip('"')
        if not equals or key not in ("state", "user", "site", "name", "active"):
            raise InvalidArgument(
                f"'{term.strip()}' is not a term", field="filter", way_out=f"terms: {_TERMS}"
            )
        given[key] = value
    states = tuple(word.upper() for word in given.get("state", "").split(",") if word)
    for word in states:
        if word not in JobState.__members__:
            raise InvalidArgument(
                f"'{word}' is not a state",
                field="filter",
                way_out=f"states: {', '.join(JobState.__members__)}",
            )
    active = given.get("active", "false").lower()
    if active not in ("true", "false"):
        raise InvalidArgument(f"'{active}' is neither true nor false", field="filter")
    return JobFilter(
        states, given.get("user", ""), given.get("site", ""), given.get("name", ""),
        active == "true",
    )  # fmt: skip
