"""Tokens of a real, certified provider: which hold, and which do not, whatever they say."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from res_federation.errors import InvalidArgument, Unauthenticated, Unavailable
from res_federation.model.issuers import Binding
from res_federation.model.principal import Role
from res_federation.security.flows import browser_login, renewed
from res_federation.security.membership import NoMemberships, principal_of
from res_federation.security.oidc import TokenVerifier
from tests.security import people

LEEWAY_S = 30
LIFE_S = 60


class Clock:
    """The machine's clock, so many seconds off."""

    def __init__(self, off_s: float = 0.0) -> None:
        self.off_s = off_s

    def __call__(self) -> float:
        return time.time() + self.off_s


@pytest.fixture(scope="module")
def ana(provider) -> str:
    token: str = provider.tokens("ana").access
    return token


def verifier(provider: people.Provider, off_s: float = 0.0) -> TokenVerifier:
    return TokenVerifier([provider.issuer()], Clock(off_s), apart_s=0)


def part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return found


def packed(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refused(verifier: TokenVerifier, token: str, why: str) -> None:
    with pytest.raises(Unauthenticated, match=why) as caught:
        await verifier.verify(token)
    assert token.split(".")[1][:20] not in str(caught.value)  # nothing of it is told


async def test_the_browser_flow_gives_a_token_that_holds(provider, ana):
    found = await verifier(provider).verify(ana)
    assert (found.issuer.name, found.claims["sub"]) == ("people", "ana")
    assert found.expires == found.claims["exp"] + LEEWAY_S


async def test_the_device_flow_gives_a_token_that_holds(provider):
    tokens = provider.device_tokens("operator-eva")
    found = await verifier(provider).verify(tokens.access)
    assert found.claims["sub"] == "operator-eva"
    assert "eyJ" not in repr(tokens)


async def test_a_login_is_renewed_without_the_person(provider):
    first = provider.tokens("bea")
    second = renewed(provider.login_at(), first.refresh)
    assert second.access != first.access
    assert (await verifier(provider).verify(second.access)).claims["sub"] == "bea"
    with pytest.raises(Unauthenticated, match="resfed login"):
        renewed(provider.login_at(), "never-given")


async def test_it_holds_within_the_leeway_and_not_beyond(provider, ana):
    made = part(ana, 1)["iat"] - time.time()
    assert await verifier(provider, made + LIFE_S + LEEWAY_S - 2).verify(ana)
    await refused(verifier(provider, made + LIFE_S + LEEWAY_S + 1), ana, "expired")
    assert await verifier(provider, made - LEEWAY_S + 1).verify(ana)
    await refused(verifier(provider, made - LEEWAY_S - 2), ana, "not valid yet")


async def test_a_token_for_somebody_else_is_refused(provider):
    other = provider.tokens("ana", "urn:another:service").access
    await refused(verifier(provider), other, "aud")


async def test_a_token_of_another_issuer_is_refused(provider, ana, requires):
    with people.provider(requires("node", "nodejs"), requires("npm", "npm"), "others") as other:
        strange = other.tokens("ana").access
        await refused(verifier(provider), strange, "issuer that this federation does not know")
        # the other issuer's signature under this issuer's name
        claims = packed({**part(strange, 1), "iss": provider.url})
        head, _, signature = strange.split(".")
        await refused(verifier(provider), f"{head}.{claims}.{signature}", "key that issuer")
        both = TokenVerifier([provider.issuer(), other.issuer()], Clock())
        assert (await both.verify(strange)).issuer.name == "others"
        assert (await both.verify(ana)).issuer.name == "people"


async def test_a_changed_token_is_refused(provider, ana):
    head, body, signature = ana.split(".")
    claims = packed({**part(ana, 1), "sub": "operator-eva"})
    await refused(verifier(provider), f"{head}.{claims}.{signature}", "signature")
    turned = ("A" if signature[0] != "A" else "B") + signature[1:]
    await refused(verifier(provider), f"{head}.{body}.{turned}", "signature")
    await refused(verifier(provider), f"{head}.{body}.", "signature")


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "HS256", "HS512", "ES256K", "dir", 7]
)
async def test_a_way_of_signing_that_is_not_taken_is_refused(provider, ana, algorithm):
    _head, body, signature = ana.split(".")
    header = packed({**part(ana, 0), "alg": algorithm})
    for end in (signature, ""):
        await refused(verifier(provider), f"{header}.{body}.{end}", "in a way that is not taken")


async def test_the_public_key_is_no_secret_to_sign_with(provider, ana):
    kid = part(ana, 0)["kid"]
    public = await verifier(provider).keys[provider.url].key(kid)
    pem = public.as_pem(private=False)
    text = f"{packed({**part(ana, 0), 'alg': 'HS256'})}.{ana.split('.')[1]}"
    made = hmac.digest(pem, text.encode(), "sha256")
    forged = f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"
    await refused(verifier(provider), forged, "in a way that is not taken")


async def test_a_key_that_comes_with_the_token_is_not_used(provider, ana):
    mine = ECKey.generate_key("P-256")
    header = {**part(ana, 0), "jwk": mine.as_dict(private=False), "jku": "http://127.0.0.1:9/k"}
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    forged = jws.serialize_compact(header, json.dumps(part(ana, 1)), mine, registry=registry)
    await refused(verifier(provider), forged, "signature")


async def test_an_identity_token_is_no_access_token(provider, ana):
    head = packed({**part(ana, 0), "typ": "JWT"})
    await refused(verifier(provider), f"{head}.{'.'.join(ana.split('.')[1:])}", "not an access")


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "....", "e30.e30.", "é.é.é", "W10.W10.x", "a" * 20_000]
)
async def test_what_is_no_token_is_refused(provider, text):
    with pytest.raises(Unauthenticated):
        await verifier(provider).verify(text)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("exp", float("nan")), ("exp", float("inf")), ("exp", 10**400), ("exp", "1e9"),
        ("exp", None), ("exp", True), ("iat", None), ("nbf", 4e9), ("sub", ""), ("sub", None),
        ("sub", "a\nb"), ("sub", "x" * 300), ("sub", ["ana"]), ("aud", None), ("aud", {}),
        ("aud", [["urn:resfed:tests"]]),
    ],
)  # fmt: skip
async def test_claims_that_are_not_what_they_should_be_are_refused(provider, ana, claim, value):
    """Signed with a key that the verifier trusts: a careless provider, not a forger."""
    trusted, mine = verifier(provider), ECKey.generate_key("P-256")
    await trusted.verify(ana)
    trusted.keys[provider.url]._keys["mine"] = mine
    header = {**part(ana, 0), "kid": "mine"}
    good = {**part(ana, 1), "exp": time.time() + 60}

    def signed(claims: dict[str, Any]) -> str:
        return jws.serialize_compact(header, json.dumps(claims), mine, algorithms=["ES256"])

    assert await trusted.verify(signed(good))
    await refused(trusted, signed({**good, claim: value}), "the token")


async def test_new_keys_are_found_and_old_ones_end(requires):
    with people.provider(requires("node", "nodejs"), requires("npm", "npm")) as turning:
        await _rotated(turning)


async def _rotated(provider: people.Provider) -> None:
    trusted = verifier(provider)
    old = provider.tokens("ana").access
    await trusted.verify(old)
    provider.rotate()
    new = provider.tokens("ana").access
    assert part(new, 0)["kid"] != part(old, 0)["kid"]
    assert await trusted.verify(new)
    assert await trusted.verify(old)  # it is still listed
    provider.rotate(drop=True)
    newest = provider.tokens("ana").access
    assert await trusted.verify(newest)
    await refused(trusted, old, "key that issuer")


async def test_a_flood_of_unknown_keys_makes_no_flood_of_questions(provider):
    clock = Clock()
    trusted = TokenVerifier([provider.issuer()], clock, apart_s=10)
    ana = provider.tokens("ana").access
    await trusted.verify(ana)
    keys = trusted.keys[provider.url]
    assert keys.fetches == 1
    _, body, signature = ana.split(".")
    clock.off_s = 11
    for number in range(500):
        header = packed({**part(ana, 0), "kid": f"none-{number}"})
        await refused(trusted, f"{header}.{body}.{signature}", "key that issuer")
    assert keys.fetches == 2
    assert await trusted.verify(ana)  # who has a good one notices nothing


async def test_keys_are_used_for_a_day_while_the_issuer_is_away(requires):
    with people.provider(requires("node", "nodejs"), requires("npm", "npm")) as gone:
        clock = Clock()
        ana = gone.tokens("ana").access
        patient = replace(gone.issuer(), leeway_s=3 * 86_400)  # so that only the keys' age counts
        trusted, late = TokenVerifier([patient], clock), TokenVerifier([patient], clock)
        await trusted.verify(ana)
        gone.stop()
        assert await trusted.verify(ana)
        clock.off_s = 3600
        assert await trusted.verify(ana)
        clock.off_s = 86_400 + 60
        with pytest.raises(Unavailable, match="keys of issuer 'people'"):
            await trusted.verify(ana)
        with pytest.raises(Unavailable, match="keys of issuer 'people'"):
            await late.verify(ana)


async def test_an_issuer_without_tls_is_taken_only_on_this_machine_and_when_allowed(provider, ana):
    closed = TokenVerifier([replace(provider.issuer(), allow_http_loopback=False)], Clock())
    with pytest.raises(Unavailable):
        await closed.verify(ana)
    from res_federation.security import fetching

    for url in ("http://192.0.2.1/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "https://"):
        with pytest.raises(InvalidArgument, match="no https address"):
            fetching.checked(url, allow_http_loopback=True)


def test_the_browser_flow_takes_only_its_own_answer(provider):
    """A page that calls the loopback port with another state is not listened to."""
    person, tried = people.Person("ana"), []

    def open_browser(url: str) -> None:
        port = people.callback_port(url)
        tried.append(people.status(f"http://127.0.0.1:{port}/callback?code=stolen&state=guess"))
        person.begin(url)

    def both(url: str) -> None:
        people.beside(lambda: open_browser(url))

    assert browser_login(provider.login_at(), both, timeout_s=30).access
    assert tried == [404]


async def test_bindings_give_roles_and_nothing_else_does(provider):
    issuer = provider.issuer()
    bindings = (
        Binding(Role.OPERATOR, "people", claim="groups", value="operators"),
        Binding(Role.LEAD, "people", subject="ana", project="bsc01"),
        Binding(Role.USER, "people", subject="ana", project="bsc01"),
        Binding(Role.SITE_ADMINISTRATOR, "people", subject="ana", site="csuc"),
        Binding(Role.AUDITOR, "others", subject="ana"),
        Binding(Role.PLANNER, "people", claim="realm.roles", value="planner"),
    )

    def of(claims: Mapping[str, Any]) -> Any:
        return principal_of(issuer, claims, bindings, NoMemberships())

    ana = of({"sub": "ana"})
    assert ana.projects == {"bsc01": Role.LEAD}
    assert (ana.roles, ana.sites, ana.user) == (frozenset(), {"csuc"}, "ana@people")
    token = provider.tokens("operator-eva").access
    eva = of((await verifier(provider).verify(token)).claims)
    assert eva.roles == {Role.OPERATOR}
    assert of({"sub": "kim", "groups": "operators"}).roles == {Role.OPERATOR}
    assert of({"sub": "kim", "realm": {"roles": ["planner"]}}).roles == {Role.PLANNER}
    assert of({"sub": "kim", "groups": ["operators2"], "realm": "planner"}).roles == frozenset()
