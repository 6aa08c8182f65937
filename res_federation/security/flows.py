"""How a person logs in: the device flow, the browser flow with PKCE, and renewal afterwards."""

from __future__ import annotations

import hmac
import secrets
import time
import urllib.parse
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from res_federation.errors import Unauthenticated, Unavailable
from res_federation.security import fetching

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_LONGEST_POLL_S = 60.0
_HTTP_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class LoginAt:
    """Where and as what client a login is asked for.

    Attributes:
        name: The issuer's short name.
        url: The issuer.
        client_id: A public client.
        scopes: What is asked for.
        audience: Whom the token shall be for (parameter ``resource``, RFC 8707).

    """

    name: str
    url: str
    client_id: str
    scopes: tuple[str, ...]
    audience: str

    @property
    def plain(self) -> bool:
        """Whether the issuer is on this very machine, without TLS."""
        parts = urllib.parse.urlsplit(self.url)
        return parts.scheme == "http" and fetching.is_loopback(parts.hostname or "")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gave. It is written nowhere but in the owner's own file.

    Attributes:
        access: Goes with every call.
        refresh: Gets a new one, or "".
        expires_in_s: So long *access* holds.

    """

    access: str
    refresh: str
    expires_in_s: float

    def __repr__(self) -> str:
        """Say nothing of what is in it: this may come into a log."""
        return "Tokens(...)"


@dataclass(frozen=True, slots=True)
class DevicePrompt:
    """What a person does on any device with a browser.

    Attributes:
        url: To open.
        code: To type there.
        complete_url: The same with the code in it, or "".

    """

    url: str
    code: str
    complete_url: str


def device_login(
    where: LoginAt,
    tell: Callable[[DevicePrompt], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Tokens:
    """Log in by a code that the person types elsewhere.

    Args:
        where: The issuer.
        tell: Shows the person what to do.
        pause: Waits so many seconds between questions.

    Raises:
        Unauthenticated: If the person refused, or did nothing until the code was over.
        Unavailable: If the issuer does not answer, or has no device flow.

    """
    found = fetching.discovered(where.url, allow_http_loopback=where.plain)
    endpoint = _endpoint(found, "device_authorization_endpoint", "the device flow (--browser)")
    answer = _post(where, endpoint, scope=" ".join(where.scopes), resource=where.audience)
    code, left = _word(answer, "device_code"), float(answer.get("expires_in") or 600)
    interval = float(answer.get("interval") or 5)
    tell(
        DevicePrompt(
            url=_word(answer, "verification_uri"),
            code=_word(answer, "user_code"),
            complete_url=str(answer.get("verification_uri_complete") or ""),
        )
    )
    token_endpoint = _endpoint(found, "token_endpoint", "tokens")
    while left > 0:
        pause(interval)
        left -= interval
        status, got = _ask(
            where, token_endpoint, grant_type=_DEVICE_GRANT, device_code=code,
            resource=where.audience,
        )  # fmt: skip
        if status < _HTTP_BAD_REQUEST:
            return _tokens(got)
        if got.get("error") == "slow_down":
            interval = min(interval + 5, _LONGEST_POLL_S)
        elif got.get("error") != "authorization_pending":
            raise _refused(got)
    raise Unauthenticated("nobody logged in before the code was over", way_out="resfed login")


def browser_login(
    where: LoginAt, open_browser: Callable[[str], None], *, timeout_s: float
) -> Tokens:
    """Log in by a browser on this machine, which comes back to a port of the loopback.

    Args:
        where: The issuer.
        open_browser: Shows the person the address.
        timeout_s: Seconds to wait for the person.

    Raises:
        Unauthenticated: If the person refused, or did nothing in time.
        Unavailable: If the issuer does not answer.

    """
    found = fetching.discovered(where.url, allow_http_loopback=where.plain)
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Listener(state) as listener:
        redirect = f"http://127.0.0.1:{listener.server_port}/callback"
        words = {
            "response_type": "code", "client_id": where.client_id, "redirect_uri": redirect,
            "scope": " ".join(where.scopes), "resource": where.audience, "state": state,
            "code_challenge": challenge, "code_challenge_method": "S256", "prompt": "consent",
        }  # fmt: skip
        endpoint = _endpoint(found, "authorization_endpoint", "logins")
        open_browser(f"{endpoint}?{urllib.parse.urlencode(words)}")
        came = listener.wait(timeout_s)
    if "iss" in came and came["iss"] != where.url:  # RFC 9207: another issuer's answer
        raise Unauthenticated("the answer came from another issuer", way_out="resfed login")
    if "code" not in came:
        raise _refused(came)
    return _tokens(
        _post(
            where, _endpoint(found, "token_endpoint", "tokens"), grant_type="authorization_code",
            code=came["code"], redirect_uri=redirect, code_verifier=verifier,
            resource=where.audience,
        )
    )  # fmt: skip


def renewed(where: LoginAt, refresh: str) -> Tokens:
    """Return new tokens for the token *refresh*.

    Raises:
        Unauthenticated: If the login is over.
        Unavailable: If the issuer does not answer.

    """
    found = fetching.discovered(where.url, allow_http_loopback=where.plain)
    answer = _post(
        where, _endpoint(found, "token_endpoint", "tokens"), grant_type="refresh_token",
        refresh_token=refresh, resource=where.audience,
    )  # fmt: skip
    return _tokens(answer, refresh)


class _Listener(HTTPServer):
    """Waits on the loopback for the one request that carries our own *state*."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Callback)
        self.state = state
        self.came: dict[str, str] = {}

    def wait(self, timeout_s: float) -> dict[str, str]:
        until = time.monotonic() + timeout_s
        while not self.came:
            self.timeout = until - time.monotonic()
            if self.timeout <= 0:
                raise Unauthenticated("nobody logged in in time", way_out="resfed login --device")
            self.handle_request()
        return self.came


class _Callback(BaseHTTPRequestHandler):
    """One request of a browser."""

    server: _Listener
    timeout = 5.0  # a connection that says nothing does not hold the login up
    _PAGE = b"<!doctype html><title>resfed</title><p>You can close this page and go back.</p>"

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        words = dict(urllib.parse.parse_qsl(parts.query))
        ours = hmac.compare_digest(words.get("state", "").encode(), self.server.state.encode())
        if parts.path != "/callback" or not ours:
            self.send_error(404)
            return
        self.server.came = words
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self._PAGE)))
        self.end_headers()
        self.wfile.write(self._PAGE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Write nothing: the request holds a code."""


def _endpoint(found: dict[str, Any], key: str, what: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise Unavailable(f"the issuer has no {key}: it does not offer {what}")
    return value


def _ask(where: LoginAt, url: str, **form: str) -> tuple[int, dict[str, Any]]:
    words = {"client_id": where.client_id, **form}
    return fetching.document(url, allow_http_loopback=where.plain, form=words)


def _post(where: LoginAt, url: str, **form: str) -> dict[str, Any]:
    status, answer = _ask(where, url, **form)
    if status >= _HTTP_BAD_REQUEST:
        raise _refused(answer)
    return answer


def _refused(answer: dict[str, Any]) -> Unauthenticated:
    why = answer.get("error_description") or answer.get("error") or "no reason given"
    return Unauthenticated(f"the issuer gave no login: {str(why)[:200]}", way_out="resfed login")


def _word(answer: dict[str, Any], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise Unavailable(f"the issuer's answer has no {key}")
    return value


def _tokens(answer: dict[str, Any], refresh: str = "") -> Tokens:
    kept = answer.get("refresh_token")
    seconds = answer.get("expires_in")
    return Tokens(
        access=_word(answer, "access_token"),
        refresh=kept if isinstance(kept, str) and kept else refresh,
        expires_in_s=float(seconds) if isinstance(seconds, int | float) else 300.0,
    )
