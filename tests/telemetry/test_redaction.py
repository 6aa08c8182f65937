"""No secret gets into a log, by whatever way it comes."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
import sys
import threading
from dataclasses import dataclass

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from res_federation.telemetry.logs import configure
from res_federation.telemetry.redaction import HIDDEN, MOST_CHARACTERS, redacted

RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV-1"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _a_jwt() -> str:
    key = OctKey.import_key(b"0" * 32)
    return jwt.encode({"alg": "HS256"}, {"sub": "ana", "aud": "resfed"}, key)


def _a_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


SECRETS = {
    "bearer": ("Bearer {}", secrets.token_urlsafe(12)),
    "opaque": ("{}", secrets.token_urlsafe(32)),
    "jwt": ("{}", _a_jwt()),
    "key": ("{}", _a_key()),
    "database": ("postgresql://resfed:{}@127.0.0.1/resfed", "hunter2/with:odd@signs"),
    "query": ("postgresql:///resfed?password={}&sslmode=require", "hunter2"),
    "named": ("password={}", "hunter2"),
    "json": ('{{"refresh_token": "{}"}}', "hunter2"),
}


@dataclass
class Settings:
    url: str
    secret: bytes


def _middle(secret: str) -> str:
    """Return a part of the secret that no honest line has."""
    return secret if len(secret) < 30 else secret[len(secret) // 2 :][:16].splitlines()[0]


@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_is_logged_by_any_way(kind: str, capsys) -> None:
    configure()
    pattern, secret = SECRETS[kind]
    told = pattern.format(secret)
    log = structlog.get_logger().bind(bound=told)
    log.info("plain", value=told)
    log.info("bytes", value=told.encode())
    log.info("deep", value={"a": [({"b": told},)], "headers": [("authorization", told)]})
    log.info("object", value=Settings(told, secret.encode()))
    log.warning("error", why=ValueError(told))
    log.info(told)
    try:
        raise ValueError(told)
    except ValueError as error:
        log.exception("caught")
        logging.getLogger("grpc").exception("of a library %s", told)
        sys.excepthook(type(error), error, error.__traceback__)
    err = capsys.readouterr().err
    assert err.count(HIDDEN) >= 14
    assert "Traceback" in err
    assert _middle(secret) not in err


def test_what_nobody_caught_in_a_thread_or_a_task_is_redacted_too(capsys) -> None:
    configure()
    told, secret = SECRETS["jwt"][1], _middle(SECRETS["jwt"][1])

    def fail() -> None:
        raise ValueError(told)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    async def forgotten() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(forgotten())
    err = capsys.readouterr().err
    assert err.count("ValueError") >= 2
    assert secret not in err


def test_what_is_no_secret_stays() -> None:
    for text in (
        f"event='placed' token='{RUN}' partition='csuc/pirineus3/gpu' sha256={DIGEST}",
        "peer='ipv4:127.0.0.1:7443' why='token: has expired'",
        "postgresql+psycopg://127.0.0.1/resfed",
        "sqlite+aiosqlite:////var/lib/resfed/broker.db",
        "reason='bearer token missing'",
    ):
        assert redacted(text) == text


def test_a_line_that_is_too_long_is_cut() -> None:
    cut = redacted("x" * (MOST_CHARACTERS * 3))
    assert len(cut) < MOST_CHARACTERS + 100
    assert f"{MOST_CHARACTERS * 2} characters more" in cut


@pytest.mark.parametrize(
    "part",
    ["a", "://a", "://x:", "password=,", "eyJaaa", "a.-", "bearer ", "bearer+", "token='",
     "-----BEGIN PRIVATE KEY-----", "eyJaaaaa.", "password  ", "-", "Bearer%20"],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_no_text_makes_redaction_slow(part: str) -> None:
    # quadratic in 64 KiB would be minutes for these many
    for _ in range(20):
        redacted(part * (MOST_CHARACTERS // len(part)))


@given(st.binary(min_size=32, max_size=64), st.text(max_size=40), st.text(max_size=40))
def test_a_random_token_among_any_text_is_taken_out(raw: bytes, before: str, after: str) -> None:
    token = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    line = f"{before} token={token} {json.dumps(after)}"
    assert token not in redacted(line)
