"""The filter of job lists, ``state=RUNNING AND user=ana AND active=true``, and page tokens."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import blake2b

from res_federation.errors import InvalidArgument
from res_federation.model.identifiers import JobId
from res_federation.model.job_state import JobState


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; an empty term matches all.

    Attributes:
        states: Any of these.
        user: Exactly.
        site: Exactly.
        name: Exactly.
        project: Exactly.
        active: Only jobs that have not ended.

    """

    states: tuple[str, ...] = ()
    user: str = ""
    site: str = ""
    name: str = ""
    active: bool = False
    project: str = ""


_TERMS = (
    'state=NAME[,NAME], user=NAME, project=NAME, site=ID, name=TEXT or name="TEXT", active=true'
)
_LONGEST = 4096
_KEYS = ("state", "user", "project", "site", "name", "active")
# A term ends at the next AND or at the end; within quotes, AND is a word like any other.
_TERM = re.compile(r'\s*(\w+)\s*=\s*(?!AND\s)(?:"([^"]*)"|([^"\s].*?))\s*(?:\sAND\s|$)', re.ASCII)


def parse_filter(text: str) -> JobFilter:
    """Read a filter; "" matches all.

    Raises:
        InvalidArgument: If a term is not known, empty or given twice; the message has the term
            and the way out lists those that are known.

    """
    given: dict[str, str] = {}
    at, end = 0, len(text.rstrip())
    if end > _LONGEST:
        raise InvalidArgument(f"is longer than {_LONGEST} characters", field="filter")
    if text.split()[-1:] == ["AND"]:
        raise _bad("AND", "joins nothing")
    while at < end:
        term = _TERM.match(text, at, end)
        key = term[1].lower() if term else ""
        if term is None or key not in _KEYS:
            raise _bad(text[at:end].split(" AND ", 1)[0].strip(), "is not a term")
        if key in given:
            raise _bad(f"{key}={term[2] or term[3]}", "names its key a second time")
        given[key] = term[2] if term[2] is not None else term[3]
        if not given[key].strip():
            raise _bad(f'{key}=""', "has no value")
        at = term.end()
    return JobFilter(
        _states(given.get("state", "")),
        given.get("user", ""),
        given.get("site", ""),
        given.get("name", ""),
        _truth(given.get("active", "false")),
        given.get("project", ""),
    )


def _bad(term: str, what: str) -> InvalidArgument:
    return InvalidArgument(f"'{term}' {what}", field="filter", way_out=f"terms: {_TERMS}")


def _states(text: str) -> tuple[str, ...]:
    states = tuple(word.strip().upper() for word in text.split(",")) if text else ()
    for word in states:
        if word not in JobState.__members__:
            raise InvalidArgument(
                f"'{word}' is not a state",
                field="filter",
                way_out=f"states: {', '.join(JobState.__members__)}",
            )
    return states


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InvalidArgument(
            f"'active={text}' is neither true nor false",
            field="filter",
            way_out="active=true leaves out the jobs that have ended",
        )
    return text.lower() == "true"


def page_token(last: JobId, wanted: JobFilter) -> str:
    """Return the token of the page that follows job *last* in the list of *wanted*."""
    return base64.urlsafe_b64encode(_sum(last, wanted) + last.encode("ascii")).decode("ascii")


def read_page_token(token: str, wanted: JobFilter) -> JobId:
    """Return the job after which the page begins.

    Raises:
        InvalidArgument: If the token was changed, or given out for another filter.

    """
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        last = JobId(raw[_SUM_BYTES:].decode("ascii"))
    except (binascii.Error, UnicodeError):
        raw, last = b"", JobId("")
    if len(last) != _ID_LETTERS or page_token(last, wanted) != token:
        raise InvalidArgument(
            "is not one that this broker gave out for this filter",
            field="page_token",
            way_out="begin again without a token",
        )
    return last


_ID_LETTERS = 26
_SUM_BYTES = 10


def _sum(last: JobId, wanted: JobFilter) -> bytes:
    """Bind a token to its filter. It guards against mistakes: a token opens nothing by itself."""
    text = repr((last, wanted))
    return blake2b(text.encode("utf-8", "replace"), digest_size=_SUM_BYTES).digest()
