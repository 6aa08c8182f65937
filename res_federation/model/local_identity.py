"""Who runs as whom at a site: the rules of its own file. Nothing is looked up here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST = 256
"""Characters of an issuer, a subject or a project; a longer one is nobody's."""
BUILT_IN = ("issuer", "subject", "project")
"""Names that stand for the claim itself in the name of an account."""
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_CHARGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks, as the broker has proved it.

    Attributes:
        issuer: Short name of who vouches for the person.
        subject: Whom that issuer means.
        project: For which project, or "".

    """

    issuer: str
    subject: str
    project: str = ""

    @property
    def sound(self) -> bool:
        """Tell whether it names somebody: both words, short, without control characters."""
        words = [self.issuer, self.subject, *([self.project] if self.project else [])]
        return all(len(word) <= LONGEST and _PLAIN.fullmatch(word) for word in words)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a rule says of a claim.

    Attributes:
        account: Name of the local account.
        charge: Slurm account that is charged, or "" for the local account's default.
        line: Where the rule stands in the file.

    """

    account: str
    charge: str
    line: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        line: Where it stands in the file.
        exact: Issuer, subject and project as they are ("" for any project), or None.
        patterns: The same as patterns for whole words, where *exact* is None.
        account: Name of the local account; ``{name}`` stands for a part of the claim.
        charge: Slurm account, written alike, or "".
        refuse: Whether it refuses those that it means.

    """

    line: int
    exact: tuple[str, str, str] | None = None
    patterns: tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]] | None = None
    account: str = ""
    charge: str = ""
    refuse: bool = False

    def words_of(self, claim: Claim) -> dict[str, str] | None:
        """Return what the fields of the names stand for, or None when it means somebody else."""
        words = {"issuer": claim.issuer, "subject": claim.subject, "project": claim.project}
        if self.exact is not None:
            issuer, subject, project = self.exact
            same = (claim.issuer, claim.subject) == (issuer, subject)
            return words if same and project in ("", claim.project) else None
        for pattern, word in zip(self.patterns or (), words.copy().values(), strict=True):
            found = pattern.fullmatch(word)
            if found is None:
                return None
            words |= {key: value or "" for key, value in found.groupdict().items()}
        return words


@dataclass(frozen=True, slots=True)
class LocalRules:
    """A site's whole file.

    Attributes:
        exact: Rules that name people, in the order of the file. They come first.
        patterns: Rules for many, in the order of the file.
        projects: Slurm account of a project, where its rule names none.
        own_charge: Whether a user may name a Slurm account with ``--account``.
        group: Every account must be in this local group; "" for no such bound.
        least_uid: Smallest number of an account, or None for what the machine itself says.
        nologin: Whether accounts without a login shell count.

    """

    exact: tuple[Rule, ...] = ()
    patterns: tuple[Rule, ...] = ()
    projects: Mapping[str, str] = field(default_factory=dict)
    own_charge: bool = False
    group: str = ""
    least_uid: int | None = None
    nologin: bool = False

    def rule_for(self, claim: Claim) -> Rule | None:
        """Return the first rule that means *claim*; those that name people come first."""
        if not claim.sound:
            return None
        for rule in (*self.exact, *self.patterns):
            if rule.words_of(claim) is not None:
                return rule
        return None

    def find(self, claim: Claim) -> Mapped | None:
        """Return what the file says of *claim*, or None for nobody: refused, or not in it.

        The names are plain: what a claim brings into them can make no other kind of word.
        """
        rule = self.rule_for(claim)
        words = None if rule is None else rule.words_of(claim)
        if rule is None or words is None or rule.refuse:
            return None
        account = filled(rule.account, words)
        charge = filled(rule.charge, words) if rule.charge else self.projects.get(claim.project, "")
        if not is_account(account) or (charge and not is_charge(charge)):
            return None
        return Mapped(account, charge, rule.line)


def is_account(name: str) -> bool:
    """Tell whether *name* can be that of a local account: never a number, an option or a path."""
    return _ACCOUNT.fullmatch(name) is not None


def is_charge(name: str) -> bool:
    """Tell whether *name* can be that of a Slurm account."""
    return _CHARGE.fullmatch(name) is not None


def fields_of(name: str) -> tuple[str, ...]:
    """Return the names in braces."""
    return tuple(_FIELD.findall(name))


def filled(name: str, words: Mapping[str, str]) -> str:
    """Return *name* with each ``{word}`` replaced; "" where one is not known."""
    if any(each not in words for each in fields_of(name)):
        return ""
    return _FIELD.sub(lambda match: words[match[1]], name)
