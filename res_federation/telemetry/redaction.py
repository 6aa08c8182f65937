"""Takes secrets out of text: tokens, keys and passwords, wherever they stand in it.

It works on the finished line, so depth and kind of a value do not matter. Rather too much is taken
out than too little.
"""

from __future__ import annotations

import re

HIDDEN = "[redacted]"
MOST_CHARACTERS = 64 * 1024
"""A longer line is cut: what users and sites write must not fill a disk."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}")
_BEARER = re.compile(r"\b((?:bearer|basic|dpop)(?:\s|%20|\+)+)[^\s'\"\\,;)\]}]{8,}", re.IGNORECASE)
_URL = re.compile(r"(://[^\s:/@'\"]{0,200}):[^\s'\"]{1,1000}@")
_NAMED = re.compile(
    r"((?:password|passwd|passphrase|pwd|secret|credential|private_key|api_key|apikey|id_token"
    r"|access_token|refresh_token|device_code|code_verifier|invitation|authorization)"
    r"['\"]?\s*(?:=|:|,(?=\s*b?['\"]))\s*(?:b?\\?['\"])?)([^\s'\"\\,;&)\]}]{3,})",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(\btoken['\"]?\s*(?:=|:|,(?=\s*b?['\"]))\s*(?:b?\\?['\"])?)([^\s'\"\\,;&)\]}]{16,})",
    re.IGNORECASE,
)
_RUN_TOKEN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}-\d+")
"""Names of runs are no secrets: logs are of no use without them."""
_OPAQUE = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{40,}(?![A-Za-z0-9_-])")
_MIXED = tuple(re.compile(part) for part in ("[a-z]", "[A-Z]", "[0-9]"))


def redacted(text: str) -> str:
    """Return *text* without the secrets in it, cut at `MOST_CHARACTERS`.

    Taken out are private keys, JSON Web Tokens, credentials after ``Bearer``, passwords in URLs,
    values of names such as ``password``, and long words of mixed letters and digits as tokens are.
    Kept are names of runs and digests in hexadecimal.
    """
    if len(text) > MOST_CHARACTERS:
        # cut first: a secret that is cut in two is still known by its beginning
        text = f"{text[:MOST_CHARACTERS]}… ({len(text) - MOST_CHARACTERS} characters more)"
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _JWT.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _URL.sub(rf"\1:{HIDDEN}@", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _TOKEN.sub(_unless_run, text)
    return _OPAQUE.sub(_unless_plain, text)


def _unless_run(found: re.Match[str]) -> str:
    if _RUN_TOKEN.fullmatch(found[2]):
        return found[0]
    return f"{found[1]}{HIDDEN}"


def _unless_plain(found: re.Match[str]) -> str:
    word = found[0]
    return HIDDEN if all(part.search(word) for part in _MIXED) else word
