"""As whom runs run at a site: real accounts, a file that changes, and everything fails closed."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from res_federation.agent.accounts import least_uid
from res_federation.agent.identity import MappedAccounts, OneAccount
from res_federation.errors import PermissionDenied
from res_federation.model.job import JobSpec
from tests.agent.local_accounts import People

RULE = '[[exact]]\nissuer = "idp"\nsubject = "{}"\naccount = "{}"\n'


def job(subject: str = "ana", issuer: str = "idp", project: str = "p") -> JobSpec:
    return JobSpec("j", subject, "", issuer=issuer, subject=subject, project=project)


def mapped(path: Path, text: str) -> MappedAccounts:
    (path / "accounts.toml").write_text(text)
    return MappedAccounts(path / "accounts.toml")


def account(identities: MappedAccounts, spec: JobSpec) -> str:
    found = identities.of(spec).account
    assert found is not None
    return found.name


def test_without_a_mapping_the_local_user_alone_is_served() -> None:
    site = OneAccount()
    assert site.of(job(issuer="local")).account is None
    assert site.of(job(issuer="", subject="")).account is None
    for issuer in ("idp", "machine", "Local", "local "):
        with pytest.raises(PermissionDenied, match="serves its own local user alone"):
            site.of(job(issuer=issuer))


def test_a_person_is_looked_up_with_all_their_groups(people: People, tmp_path: Path) -> None:
    site = mapped(tmp_path, RULE.format("ana", people.one))
    found = site.of(job()).account
    entry = pwd.getpwnam(people.one)
    assert found is not None
    assert (found.uid, found.gid, found.other) == (entry.pw_uid, entry.pw_gid, True)
    assert set(found.groups) == set(os.getgrouplist(people.one, entry.pw_gid))
    assert len(found.groups) == 2


@pytest.mark.parametrize("who", ["daemon", "nobody", "sync"])
def test_no_system_account(who: str, tmp_path: Path) -> None:
    site = mapped(tmp_path, f'[[pattern]]\nissuer="idp"\nsubject="{who}"\naccount="{{subject}}"\n')
    with pytest.raises(PermissionDenied, match="is none that jobs may run as"):
        site.of(job(who))


@pytest.mark.parametrize("who", ["root", "0", "-1", "ROOT", "a/b", "no-such-account", "x" * 40])
def test_never_root_nor_what_is_no_name(who: str, tmp_path: Path) -> None:
    text = '[[pattern]]\nissuer="idp"\nsubject="*"\naccount="{subject}"\n'
    site = mapped(tmp_path, text)
    with pytest.raises(PermissionDenied):
        site.of(job(who))


def test_bounds_of_the_file(people: People, tmp_path: Path) -> None:
    rules = "".join(RULE.format(n, n) for n in (people.one, people.two, people.shell_less))
    site = mapped(tmp_path, f'allowed_group = "{people.group}"\nallow_nologin = true\n{rules}')
    assert account(site, job(people.one)) == people.one
    for name in (people.two, people.shell_less):
        with pytest.raises(PermissionDenied):
            site.of(job(name))
    site = mapped(tmp_path, f"allow_nologin = true\n{rules}")
    assert account(site, job(people.shell_less)) == people.shell_less
    site = mapped(tmp_path, rules)
    with pytest.raises(PermissionDenied):
        site.of(job(people.shell_less))
    least = pwd.getpwnam(people.two).pw_uid
    site = mapped(tmp_path, f"min_uid = {least + 1}\n{rules}")
    with pytest.raises(PermissionDenied):
        site.of(job(people.two))


def test_a_system_account_with_a_shell_is_refused(people: People, tmp_path: Path) -> None:
    site = mapped(tmp_path, RULE.format("ana", people.system))
    assert pwd.getpwnam(people.system).pw_uid < least_uid()
    with pytest.raises(PermissionDenied):
        site.of(job())


def test_what_the_user_reads_tells_nothing_of_the_file(people: People, tmp_path: Path) -> None:
    site = mapped(tmp_path, RULE.format("ana", "root2") + RULE.format("eva", people.one))
    with pytest.raises(PermissionDenied) as seen:
        site.of(job())
    assert "root2" not in str(seen.value)
    assert str(tmp_path) not in str(seen.value)
    with pytest.raises(PermissionDenied, match=r"'zoe' of 'idp' in project 'p'.*accounts\.toml"):
        site.of(job("zoe"))


def test_the_file_is_read_anew_when_it_changes(people: People, tmp_path: Path) -> None:
    site = mapped(tmp_path, RULE.format("ana", people.one))
    assert account(site, job()) == people.one
    fresh = tmp_path / "fresh"
    fresh.write_text(RULE.format("ana", people.two))
    fresh.replace(tmp_path / "accounts.toml")
    assert account(site, job()) == people.two
    (tmp_path / "accounts.toml").write_text(RULE.format("eva", people.two))
    with pytest.raises(PermissionDenied):
        site.of(job())


@pytest.mark.parametrize("harm", ["half", "empty", "gone", "group", "world", "owner", "fifo"])
def test_a_file_with_a_fault_leaves_the_last_good_one(
    people: People, tmp_path: Path, harm: str
) -> None:
    site = mapped(tmp_path, RULE.format("ana", people.one))
    file = tmp_path / "accounts.toml"
    evil = RULE.format("ana", people.two)
    if harm == "half":
        file.write_text(evil[:-4])
    elif harm == "empty":
        file.write_text("")
    elif harm in ("gone", "fifo"):
        file.unlink()
    else:
        file.write_text(evil)
    if harm == "fifo":
        os.mkfifo(file)
    elif harm == "owner":
        os.chown(file, pwd.getpwnam(people.two).pw_uid, -1)
    elif harm in ("group", "world"):
        file.chmod(0o664 if harm == "group" else 0o646)
    assert account(site, job()) == people.one
    assert site.problem == ""
    assert "accounts.toml" in site.fault
    file.unlink(missing_ok=True)
    file.write_text(evil)
    assert account(site, job()) == people.two
    assert site.fault == ""


def test_a_mapping_that_was_never_good_serves_nobody(tmp_path: Path) -> None:
    site = MappedAccounts(tmp_path / "accounts.toml")
    assert "nobody is mapped" in site.problem
    for spec in (job(), job(issuer="local"), job(issuer="", subject="")):
        with pytest.raises(PermissionDenied):
            site.of(spec)


def test_the_local_user_needs_a_rule_too_where_there_is_a_mapping(
    people: People, tmp_path: Path
) -> None:
    site = mapped(tmp_path, RULE.format("ana", people.one))
    with pytest.raises(PermissionDenied):
        site.of(job(issuer="local", subject="root"))
