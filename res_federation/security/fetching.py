"""Asks an OpenID provider over HTTPS: bounded in time and size, and sent nowhere else."""

from __future__ import annotations

import ipaddress
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO, Any

from res_federation.errors import InvalidArgument, Unavailable

TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20


class _StayThere(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect could lead from https to http, or into somebody's network."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Refuse; the status of the redirect becomes an error."""
        del req, fp, code, msg, headers, newurl


def checked(url: str, *, allow_http_loopback: bool) -> str:
    """Return *url* if it may be asked.

    Raises:
        InvalidArgument: If it is not https, nor http on this machine where that is allowed.

    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and allow_http_loopback and is_loopback(parts.hostname or ""):
        return url
    raise InvalidArgument(f"'{url}' is no https address", way_out="write https://...")


def is_loopback(host: str) -> bool:
    """Tell whether *host* is an address of this machine's loopback; names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def document(
    url: str, *, allow_http_loopback: bool, form: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Get *url*, or post *form* to it; return the status and the JSON object that came.

    Raises:
        InvalidArgument: If the address may not be asked.
        Unavailable: If nobody answers in time, or the answer is no JSON object of a fair size.

    """
    checked(url, allow_http_loopback=allow_http_loopback)
    host = urllib.parse.urlsplit(url).hostname or ""
    handlers: list[urllib.request.BaseHandler] = [_StayThere()]
    if is_loopback(host):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data, {"Accept": "application/json"})  # noqa: S310 - checked above
    status = 200
    try:
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                body = answer.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            status = error.code
            with error:
                body = error.read(_MOST_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"{host} does not answer: {error}") from None
    if len(body) > _MOST_BYTES:
        raise Unavailable(f"the answer of {host} is over {_MOST_BYTES} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"the answer of {host} (status {status}) is no JSON object")
    return status, found


def discovered(url: str, *, allow_http_loopback: bool) -> dict[str, Any]:
    """Return the discovery document of the issuer at *url*; it must be about that issuer.

    Raises:
        FederationError: If there is none that holds.

    """
    where = f"{url.rstrip('/')}/.well-known/openid-configuration"
    status, found = document(where, allow_http_loopback=allow_http_loopback)
    if status != 200 or found.get("issuer") != url:
        raise Unavailable(f"{where} is not the discovery document of {url}")
    return found
