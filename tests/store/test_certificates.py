"""Invitations and certificates: whole steps, one winner, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from res_federation.errors import PermissionDenied
from res_federation.model.certificate import SiteCertificate, SiteInvitation
from res_federation.model.identifiers import SiteId
from res_federation.store.store import Store

CSUC, IAC = SiteId("csuc"), SiteId("iac")
DIGEST = b"d" * 32


def certificate(serial: str, site: SiteId = CSUC, key: str = "", at: float = 10.0):
    return SiteCertificate(site, serial, key or f"key-{serial}", at, at + 100.0, f"PEM {serial}")


async def invited(store: Store, site: SiteId = CSUC, digest: bytes = DIGEST) -> None:
    await store.certificates.invite(SiteInvitation(digest, site, 1.0, 50.0, "olga"))


async def enrolled(store: Store, serial: str, site: SiteId = CSUC, digest: bytes = DIGEST) -> None:
    await invited(store, site, digest)
    made = certificate(serial, site)
    await store.certificates.enrol(digest, site, made.key, 10.0, lambda: made)


def never() -> SiteCertificate:
    raise AssertionError("nothing is signed")


async def test_an_invitation_is_used_up_by_what_it_signed(store: Store) -> None:
    await enrolled(store, "a1")
    again = await store.certificates.enrol(DIGEST, CSUC, "key-a1", 11.0, never)
    assert again == certificate("a1")
    with pytest.raises(PermissionDenied, match="with another key"):
        await store.certificates.enrol(DIGEST, CSUC, "key-b1", 11.0, never)
    assert await store.certificates.of_serial("a1") == certificate("a1")


async def test_a_signature_that_fails_leaves_the_invitation_as_it_was(store: Store) -> None:
    await invited(store)

    def broken() -> SiteCertificate:
        raise PermissionDenied("no")

    with pytest.raises(PermissionDenied, match="no"):
        await store.certificates.enrol(DIGEST, CSUC, "key-a1", 10.0, broken)
    made = certificate("a1")
    assert await store.certificates.enrol(DIGEST, CSUC, made.key, 10.0, lambda: made) == made


@pytest.mark.parametrize(
    ("digest", "site", "at"), [(b"x", CSUC, 10.0), (DIGEST, IAC, 10.0), (DIGEST, CSUC, 50.0)]
)
async def test_another_invitation_another_site_or_too_late(
    store: Store, digest: bytes, site: SiteId, at: float
) -> None:
    await invited(store)
    with pytest.raises(PermissionDenied):
        await store.certificates.enrol(digest, site, "key", at, never)


async def test_of_many_renewals_at_once_one_is_signed(store: Store) -> None:
    await enrolled(store, "a1")

    async def renew(number: int) -> SiteCertificate:
        made = certificate(f"b{number}")
        return await store.certificates.renew("a1", made.key, 20.0, lambda: made)

    ends = await asyncio.gather(*(renew(n) for n in range(9)), return_exceptions=True)
    assert sum(isinstance(end, SiteCertificate) for end in ends) == 1
    assert sum(isinstance(end, PermissionDenied) for end in ends) == 8
    found, more = await store.certificates.listed("csuc", 0, 100)
    assert (len(found), more) == (2, False)
    assert {one.renewed for one in found} == {"", "a1"}


async def test_a_serial_goes_with_all_that_came_of_it_and_nothing_else(store: Store) -> None:
    await enrolled(store, "a1")
    await enrolled(store, "c1", digest=b"c" * 32)
    await enrolled(store, "i1", IAC, b"i" * 32)
    for old, new in (("a1", "a2"), ("a2", "a3")):
        made = certificate(new, at=20.0)
        await store.certificates.renew(old, made.key, 20.0, lambda made=made: made)  # type: ignore[misc]
    gone = await store.certificates.revoke(30.0, "stolen", serial="a1")
    assert {one.serial for one in gone} == {"a1", "a2", "a3"}
    assert await store.certificates.revoke(31.0, "again", serial="a1") == []
    with pytest.raises(PermissionDenied, match="revoked"):
        await store.certificates.renew("a3", "key", 32.0, never)
    await invited(store, digest=b"o" * 32)
    assert [one.serial for one in await store.certificates.revoke(33.0, "", site="csuc")] == ["c1"]
    with pytest.raises(PermissionDenied, match="is over"):
        await store.certificates.enrol(b"o" * 32, CSUC, "key", 34.0, never)
    kept = await store.certificates.of_serial("i1")
    assert kept is not None
    assert kept.refusal(34.0) == ""
    assert "expired" in kept.refusal(110.0)


async def test_pages_hold_all_newest_first(store: Store) -> None:
    for number in range(5):
        await enrolled(store, f"s{number}", digest=bytes([number]) * 32)
    first, more = await store.certificates.listed("", 0, 3)
    rest, over = await store.certificates.listed("", 3, 3)
    assert (more, over) == (True, False)
    assert len({one.serial for one in (*first, *rest)}) == 5
