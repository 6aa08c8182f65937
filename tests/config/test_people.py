"""The parts of security.toml about people: what is taken, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from res_federation.config.people import BindingPart, IssuerPart, people
from res_federation.model.principal import Role

ISSUER: dict[str, Any] = {"name": "res", "url": "https://login.example.org", "audience": "urn:x"}


def test_an_issuer_needs_three_words_and_the_rest_is_safe():
    found = people([IssuerPart(**ISSUER)], []).issuers[0]
    assert (found.leeway_s, found.allow_http_loopback) == (30, False)
    assert not any(name.startswith(("HS", "none")) for name in found.algorithms)
    assert found.token_types == ("at+jwt", "application/at+jwt")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"algorithms": ["HS256"]}, "not taken"),
        ({"algorithms": ["none"]}, "not taken"),
        ({"algorithms": []}, "at least 1"),
        ({"url": "http://127.0.0.1:1"}, "must be https"),
        ({"url": "https://user:secret@host"}, "no issuer's address"),
        ({"url": "https://host?x=1"}, "no issuer's address"),
        ({"name": "local"}, "broker's own"),
        ({"name": "machine"}, "broker's own"),
        ({"name": "a@b"}, "not a lower-case word"),
        ({"audience": ""}, "at least 1"),
        ({"leeway_s": 3600}, "less than or equal to 300"),
        ({"colour": "red"}, "not permitted"),
    ],
)
def test_an_issuer_that_is_not_safe_is_refused(change, why):
    with pytest.raises(ValidationError, match=why):
        IssuerPart(**(ISSUER | change))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"role": "operator"}, "either 'subject'"),
        ({"role": "operator", "subject": "a", "claim": "g", "value": "v"}, "either 'subject'"),
        ({"role": "operator", "claim": "g"}, "go together"),
        ({"role": "user", "subject": "a"}, "'project' goes with"),
        ({"role": "operator", "subject": "a", "project": "p"}, "'project' goes with"),
        ({"role": "site-administrator", "subject": "a"}, "'site' goes with"),
        ({"role": "auditor", "subject": "a", "site": "csuc"}, "'site' goes with"),
        ({"role": "god", "subject": "a"}, "Input should be"),
    ],
)
def test_a_binding_that_gives_too_much_or_nothing_is_refused(given, why):
    with pytest.raises(ValidationError, match=why):
        BindingPart(issuer="res", **given)


def test_a_binding_names_an_issuer_that_is_there():
    issuer = IssuerPart(**ISSUER)
    binding = BindingPart(role=Role.OPERATOR, issuer="other", subject="a")
    with pytest.raises(ValueError, match="'other', which is not there"):
        people([issuer], [binding])
    with pytest.raises(ValueError, match="stands twice"):
        people([issuer, IssuerPart(**(ISSUER | {"name": "res2"}))], [])
    kept = people([issuer], [binding.model_copy(update={"issuer": "res"})])
    assert kept.bindings[0].role is Role.OPERATOR
