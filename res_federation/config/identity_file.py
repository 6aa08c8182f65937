"""A site's mapping of people to local accounts (``docs/identity.md`` describes it for people)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from res_federation.config.problems import Document, Problem, checked, first, parse, read
from res_federation.config.site_file import Strict, Text
from res_federation.model.local_identity import (
    BUILT_IN,
    LONGEST,
    LocalRules,
    Rule,
    fields_of,
    filled,
    is_account,
    is_charge,
)

_Path = tuple[str | int, ...]
_ISSUER_FIELDS = ("issuer", "subject", "project")
_MOST_RULES = 100_000


class _ExactTable(Strict):
    issuer: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    subject: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    project: Annotated[str, Field(max_length=LONGEST)] = ""
    account: str = ""
    slurm_account: str = ""
    refuse: bool = False


class _PatternTable(Strict):
    issuer: Text
    subject: Text
    project: Text = "*"
    account: str = ""
    slurm_account: str = ""
    refuse: bool = False


class _IdentityFile(Strict):
    min_uid: Annotated[int, Field(ge=1, le=2**31)] | None = None
    allowed_group: str = ""
    allow_nologin: bool = False
    allow_own_account: bool = False
    projects: dict[str, str] = Field(default_factory=dict)
    exact: list[_ExactTable] = Field(default_factory=list, max_length=_MOST_RULES)
    pattern: list[_PatternTable] = Field(default_factory=list, max_length=_MOST_RULES)


def load_rules(file: Path) -> LocalRules:
    """Return the rules of a file.

    Raises:
        InvalidArgument: With file, line, field and the way out of the first fault.

    """
    found = rules_of(file)
    if isinstance(found, LocalRules):
        return found
    raise first(found)


def rules_of(file: Path) -> LocalRules | list[Problem]:
    """Return the rules of a file, or every fault that stands against it."""
    return _rules(read(file))


def rules_from(file: Path, data: bytes) -> LocalRules | list[Problem]:
    """Return the rules that the bytes *data* of *file* hold, or every fault in them."""
    return _rules(parse(file, data))


def _rules(document: Document | Problem) -> LocalRules | list[Problem]:
    if isinstance(document, Problem):
        return [document]
    table = checked(document, _IdentityFile)
    if isinstance(table, list):
        return table
    problems: list[Problem] = []
    exact = tuple(_exact(document, table, problems))
    patterns = tuple(_patterns(document, table, problems))
    for name, charge in table.projects.items():
        if not is_charge(charge):
            words = f"'{charge}' cannot be the name of a Slurm account"
            problems.append(document.problem(("projects", name), words))
    if not exact and not patterns and not problems:
        words = "has no rule: nobody could run anything; add an [[exact]] or a [[pattern]]"
        problems.append(Problem(str(document.file), 1, "", words))
    return problems or LocalRules(
        exact=exact,
        patterns=patterns,
        projects=dict(table.projects),
        own_charge=table.allow_own_account,
        group=table.allowed_group,
        least_uid=table.min_uid,
        nologin=table.allow_nologin,
    )


def _exact(document: Document, table: _IdentityFile, problems: list[Problem]) -> Iterator[Rule]:
    seen: set[tuple[str, str, str]] = set()
    for index, row in enumerate(table.exact):
        at: _Path = ("exact", index)
        who = (row.issuer, row.subject, row.project)
        if who in seen:
            words = "this person stands here twice, and only the first rule counts; remove one"
            problems.append(document.problem((*at, "subject"), words))
        seen.add(who)
        for key, word in zip(_ISSUER_FIELDS, who, strict=True):
            if "*" in word:
                words = f"'{word}' is a pattern; a rule with patterns is a [[pattern]]"
                problems.append(document.problem((*at, key), words))
        problems += _name_faults(document, at, row, frozenset(BUILT_IN))
        line = document.positions.line(at)
        yield Rule(line, who, None, row.account, row.slurm_account, row.refuse)


def _patterns(document: Document, table: _IdentityFile, problems: list[Problem]) -> Iterator[Rule]:
    for index, row in enumerate(table.pattern):
        at: _Path = ("pattern", index)
        found: list[re.Pattern[str]] = []
        names = set(BUILT_IN)
        for key, word in zip(_ISSUER_FIELDS, (row.issuer, row.subject, row.project), strict=True):
            pattern = _pattern(word)
            if isinstance(pattern, str):
                problems.append(document.problem((*at, key), pattern))
                continue
            for name in sorted(names.intersection(pattern.groupindex)):
                words = f"the group '{name}' has the name of something else; give it another one"
                problems.append(document.problem((*at, key), words))
            names.update(pattern.groupindex)
            found.append(pattern)
        problems += _name_faults(document, at, row, frozenset(names))
        if len(found) == len(_ISSUER_FIELDS):
            three = (found[0], found[1], found[2])
            line = document.positions.line(at)
            yield Rule(line, None, three, row.account, row.slurm_account, row.refuse)


def _pattern(word: str) -> re.Pattern[str] | str:
    """Read ``/regular expression/`` or words with ``*`` and ``?``; a fault comes back as text."""
    if len(word) > 2 and word.startswith("/") and word.endswith("/"):
        try:
            return re.compile(word[1:-1], re.ASCII)
        except (re.error, RecursionError, OverflowError) as error:
            return f"'{word}' is no regular expression: {error}"
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(sign) or re.escape(sign) for sign in word))


def _name_faults(
    document: Document, at: _Path, row: _ExactTable | _PatternTable, known: frozenset[str]
) -> Iterator[Problem]:
    """Yield what is wrong with the names of accounts in a rule."""
    if row.refuse:
        if row.account or row.slurm_account:
            yield document.problem((*at, "refuse"), "a rule that refuses names no account")
        return
    if not row.account:
        words = "is missing; add 'account = ...', or 'refuse = true'"
        yield document.problem((*at, "account"), words)
        return
    for key, name in (("account", row.account), ("slurm_account", row.slurm_account)):
        missing = [each for each in fields_of(name) if each not in known]
        if missing:
            words = f"'{{{missing[0]}}}' stands for nothing; there is: {', '.join(sorted(known))}"
            yield document.problem((*at, key), words)
    if row.account in ("root", "nobody"):
        yield document.problem((*at, "account"), f"nobody ever runs as '{row.account}' here")
    elif not is_account(filled(row.account, dict.fromkeys(fields_of(row.account), "a"))):
        words = f"'{row.account}' cannot be the name of a local account (numbers never are)"
        yield document.problem((*at, "account"), words)
    charge = filled(row.slurm_account, dict.fromkeys(fields_of(row.slurm_account), "a"))
    if row.slurm_account and not is_charge(charge):
        words = f"'{row.slurm_account}' cannot be the name of a Slurm account"
        yield document.problem((*at, "slurm_account"), words)
