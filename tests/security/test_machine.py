"""Accounts of machines: what their tokens open, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from res_federation.errors import FederationError, InvalidArgument, NotFound, Unauthenticated
from res_federation.model.principal import MACHINE, Role
from res_federation.security.machine import LONGEST_S, MachineAccounts, new_account, revoked
from res_federation.telemetry.redaction import redacted


def made(**changes):
    given: dict[str, Any] = {
        "label": "ci", "project": "p", "scopes": ["read"], "owner": "ana@people",
        "now": 100.0, "lifetime_s": 60.0,
    }  # fmt: skip
    given |= changes
    return new_account(**given)


def test_a_token_is_known_until_it_expires():
    account, token = made(scopes=["submit", "read", "read"])
    known = MachineAccounts([account])
    found, who = known.principal(token, 159.0)
    assert (who.issuer, who.subject, found.expires) == (MACHINE, account.id, 160.0)
    assert who.projects == {"p": Role.USER}
    assert who.scopes == frozenset({"submit", "read"})
    assert who.roles == frozenset()
    with pytest.raises(Unauthenticated, match="expired"):
        known.principal(token, 160.0)


def test_a_revoked_token_is_dead_at_once_and_stays_so():
    account, token = made()
    known = MachineAccounts([account])
    known.put(revoked(account, 120.0))
    with pytest.raises(Unauthenticated, match="revoked"):
        known.principal(token, 121.0)
    assert revoked(revoked(account, 120.0), 130.0).revoked == 120.0


@pytest.mark.parametrize("token", ["", "resfed_", "resfed_" + "x" * 43, "é", "\udcff"])
def test_what_was_not_given_is_not_known(token):
    account, _ = made()
    with pytest.raises(Unauthenticated):
        MachineAccounts([account]).principal(token, 101.0)


def test_the_token_is_kept_nowhere_and_taken_out_of_logs():
    account, token = made()
    assert token not in repr(account)
    assert token[7:] not in redacted(f"made {token}")
    assert made()[1] != token
    assert made()[0].id != account.id


@pytest.mark.parametrize(
    "changes",
    [{"scopes": []}, {"scopes": ["admin"]}, {"lifetime_s": LONGEST_S + 1}, {"lifetime_s": 1.0},
     {"lifetime_s": -5.0}, {"label": "Not A Word"}, {"lifetime_s": float("nan")}],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes):
    with pytest.raises(InvalidArgument):
        made(**changes)


def test_an_unknown_account_is_named():
    with pytest.raises(NotFound, match="no machine account 'x'"):
        MachineAccounts().account("x")
    assert issubclass(NotFound, FederationError)
