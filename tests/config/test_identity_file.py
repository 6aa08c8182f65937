"""The file that says who runs as whom: what its rules mean, and its faults with line and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.config.identity_file import load_rules, rules_from, rules_of
from res_federation.config.sites import check, load_site
from res_federation.model.local_identity import Claim, LocalRules, Mapped, is_account

GOOD = r"""
allowed_group = "res"

[projects]
"bio-1" = "hours_bio"

[[pattern]]
issuer = "center"
subject = '/(?P<name>[a-z]+)@center/'
account = "u_{name}"

[[exact]]
issuer = "center"
subject = "ana@center"
project = "bio-1"
account = "anabio"
slurm_account = "special"

[[exact]]
issuer = "center"
subject = "out@center"
refuse = true

[[pattern]]
issuer = "machine"
subject = "ci-*"
project = "bio-?"
account = "robot"
"""


def _rules(text: str = GOOD) -> LocalRules:
    found = rules_from(Path("accounts.toml"), text.encode())
    assert isinstance(found, LocalRules), found
    return found


def _faults(text: str) -> list[str]:
    found = rules_from(Path("accounts.toml"), text.encode())
    assert isinstance(found, list)
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("claim", "account", "charge"),
    [
        (("center", "ana@center", "bio-1"), "anabio", "special"),  # exact before pattern
        (("center", "ana@center", "bio-2"), "u_ana", ""),
        (("center", "eva@center", "bio-1"), "u_eva", "hours_bio"),
        (("machine", "ci-7", "bio-1"), "robot", "hours_bio"),
    ],
)
def test_who_is_whom(claim: tuple[str, str, str], account: str, charge: str) -> None:
    found = _rules().find(Claim(*claim))
    assert found is not None
    assert (found.account, found.charge) == (account, charge)


@pytest.mark.parametrize(
    "claim",
    [
        ("center", "out@center", "bio-1"),  # refused by name, though a pattern means them too
        ("center", "eva@centerx", ""),  # patterns are for the whole word
        ("center", "xeva@center\n", ""),
        ("center", "EVA@center", ""),
        ("centre", "eva@center", ""),
        ("center2", "ana@center", "bio-1"),
        ("machine", "ci-7", "bio-12"),
        ("", "ana@center", "bio-1"),
        ("center", "", "bio-1"),
        ("machine", "ci-\0", "bio-1"),
        ("machine", "ci-" + "x" * 300, "bio-1"),
    ],
)
def test_who_is_nobody(claim: tuple[str, str, str]) -> None:
    assert _rules().find(Claim(*claim)) is None


@given(subject=st.text(max_size=40), project=st.text(max_size=10))
def test_whatever_a_claim_says_the_account_is_a_plain_name(subject: str, project: str) -> None:
    text = '[[pattern]]\nissuer="i"\nsubject="*"\naccount="{subject}"\nslurm_account="{project}x"'
    found = _rules(text).find(Claim("i", subject, project))
    assert found is None or (is_account(found.account) and found.account == subject)
    assert found is None or not found.account[0].isdigit()
    assert found is None or not set(found.charge) & set(" -=\n#'\"") - {"-"}


def test_the_first_rule_wins() -> None:
    rule = '[[pattern]]\nissuer="*"\nsubject="*"\naccount="{}"\n'
    rules = _rules(rule.format("first") + rule.format("second"))
    assert rules.find(Claim("a", "b")) == Mapped("first", "", 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "accounts.toml:1: has no rule"),
        ("[[exact]\n", "accounts.toml:1: is not TOML"),
        ('[[exact]]\nissuer="i"\nsubject="s"\n', ":1: exact[1].account: is missing"),
        ('[[exact]]\nissuer="i"\nsubject="s"\naccount="root"\n', ":4: exact[1].account: nobody"),
        ('[[exact]]\nissuer="i"\nsubject="s"\naccount="1000"\n', ":4: exact[1].account: '1000'"),
        ('[[exact]]\nissuer="i"\nsubject="s"\naccount="-u"\n', ":4: exact[1].account: '-u'"),
        ('[[exact]]\nissuer="i"\nsubject="s*"\naccount="a"\n', ":3: exact[1].subject: 's*'"),
        ('[[exact]]\nissuer="i"\nsubject="s"\naccnt="a"\n', ":4: exact[1].accnt: unknown key"),
        ('[[exact]]\nissuer="i"\nsubject="s"\naccount=1\n', ":4: exact[1].account: 1 is not"),
        ('[[pattern]]\nissuer="i"\nsubject="/(a/"\naccount="a"\n', ":3: pattern[1].subject: "),
        ('[[pattern]]\nissuer="i"\nsubject="*"\naccount="{who}"\n', "'{who}' stands for nothing"),
        (
            '[[pattern]]\nissuer="i"\nsubject="/(?P<project>.*)/"\naccount="a"\n',
            ":3: pattern[1].subject: the group 'project'",
        ),
        (
            '[[exact]]\nissuer="i"\nsubject="s"\naccount="a"\nrefuse=true\n',
            ":5: exact[1].refuse: a rule that refuses",
        ),
        (
            '[[exact]]\nissuer="i"\nsubject="s"\naccount="a"\n' * 2,
            ":7: exact[2].subject: this person stands here twice",
        ),
        (
            '[[exact]]\nissuer="i"\nsubject="s"\naccount="a"\n[projects]\np="x y"\n',
            ":6: projects.p: 'x y' cannot be the name of a Slurm account",
        ),
    ],
)
def test_a_fault_has_its_line_and_field(text: str, says: str) -> None:
    assert any(says in fault for fault in _faults(text)), _faults(text)


def test_the_site_file_names_it_and_check_reads_it(tmp_path: Path) -> None:
    site = tmp_path / "one" / "site.toml"
    site.parent.mkdir()
    site.write_text('id = "one"\nmachine = "m"\nbatch = ""\n[identity]\nfile = "accounts.toml"\n')
    assert load_site(site).identity == str(site.parent / "accounts.toml")
    assert "cannot be read" in str(check(site)[0])
    (site.parent / "accounts.toml").write_text(GOOD)
    assert check(site) == []
    assert load_rules(site.parent / "accounts.toml").group == "res"
    (site.parent / "accounts.toml").write_text(GOOD + "colour = 1\n")
    (fault,) = check(site)
    assert fault.field == "pattern[2].colour"
    assert isinstance(rules_of(site.parent / "accounts.toml"), list)
