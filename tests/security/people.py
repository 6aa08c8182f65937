"""A real OpenID provider for tests, and a person who answers its pages without a browser."""

from __future__ import annotations

import fcntl
import http.cookiejar
import os
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from res_federation.model.issuers import Issuer
from res_federation.security.flows import DevicePrompt, LoginAt, Tokens, browser_login, device_login

PACKAGE = "oidc-provider@8.8.1"
"""The newest that runs on Debian 12's Node 18, and on newer ones."""
AUDIENCE = "urn:resfed:tests"
_HERE = Path(__file__).resolve().parent


def installed(npm: Path) -> Path:
    """Return the directory with the provider's modules, made once; npm's own settings hold."""
    cache = os.environ.get("RESFED_CACHE")
    base = Path(cache) if cache else _HERE.parents[1] / ".venv"
    where = base / PACKAGE.replace("@", "-")
    where.mkdir(parents=True, exist_ok=True)
    with (where / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers of the tests want it
        if not (where / ".done").exists():
            subprocess.run(
                [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
                 "--prefix", where, PACKAGE],
                check=True, timeout=240, capture_output=True,
            )  # fmt: skip
            (where / ".done").touch()
    return where


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Provider:
    """A provider that runs."""

    name: str
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def issuer(self, audience: str = AUDIENCE) -> Issuer:
        return Issuer(self.name, self.url, audience, "resfed", allow_http_loopback=True)

    def login_at(self, audience: str = AUDIENCE) -> LoginAt:
        scopes = ("openid", "offline_access", "federation")
        return LoginAt(self.name, self.url, "resfed", scopes, audience)

    def rotate(self, *, drop: bool = False) -> None:
        where = f"{self.url}/test/rotate{'?drop=1' if drop else ''}"
        urllib.request.urlopen(urllib.request.Request(where, b""), timeout=10).close()

    def groups(self, *, on: bool) -> None:
        """Say in new tokens which groups people are in, or none."""
        where = f"{self.url}/test/groups{'' if on else '?off=1'}"
        urllib.request.urlopen(urllib.request.Request(where, b""), timeout=10).close()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def tokens(self, login: str, audience: str = AUDIENCE) -> Tokens:
        """Log *login* in by the browser flow."""
        person = Person(login)
        return browser_login(self.login_at(audience), person.begin, timeout_s=30)

    def device_tokens(self, login: str, audience: str = AUDIENCE) -> Tokens:
        """Log *login* in by the device flow."""

        def tell(prompt: DevicePrompt) -> None:
            Person(login).visit(prompt.complete_url)

        return device_login(self.login_at(audience), tell, pause=lambda _s: None)


@contextmanager
def provider(
    node: Path, npm: Path, name: str = "people", *, token_s: int = 60
) -> Iterator[Provider]:
    """Run a provider whose access tokens hold for *token_s* seconds."""
    modules, port = installed(npm), _free_port()
    process = subprocess.Popen(
        [node, _HERE / "provider.mjs", modules, str(port), str(token_s)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", "the provider did not start"
        yield Provider(name, port, process)
    finally:
        process.kill()
        process.communicate(timeout=10)


_FORM = re.compile(r"<form[^>]*?action=\"([^\"]*)\"[^>]*>(.*?)</form>", re.DOTALL)
_INPUT = re.compile(r"<(?:input|button)\b[^>]*>")


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf"\b{name}=\"([^\"]*)\"", tag)
    return unescape(found[1]) if found else ""


class Person:
    """Somebody with a browser, more or less: cookies, redirects, and forms to fill in."""

    def __init__(self, login: str) -> None:
        self.login = login
        self._jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._jar)
        )

    def begin(self, url: str) -> None:
        """Open *url* beside what waits for the outcome."""
        threading.Thread(target=self.visit, args=(url,), daemon=True).start()

    def visit(self, url: str) -> str:
        """Open *url*, then log in, agree and confirm until no form is left; return that page."""
        page, where = self._open(url)
        for _ in range(8):
            found = _FORM.search(page)
            if found is None:
                return page
            tags = _INPUT.findall(found[2])
            words = {_attribute(tag, "name"): _attribute(tag, "value") for tag in tags}
            words.pop("", None)
            words.pop("abort", None)
            if "login" in words:
                words |= {"login": self.login, "password": "any"}
            action = urllib.parse.urljoin(where, unescape(found[1]))
            page, where = self._open(action, urllib.parse.urlencode(words).encode())
        raise AssertionError(f"forms without end: {page}")

    def _open(self, url: str, data: bytes | None = None) -> tuple[str, str]:
        with self._opener.open(url, data, timeout=10) as answer:
            return answer.read().decode(), answer.geturl()


def callback_port(url: str) -> int:
    """Return the port of the loopback to which a browser is sent back."""
    words = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    return urllib.parse.urlsplit(words["redirect_uri"]).port or 0


def status(url: str) -> int:
    """Return the status with which *url* is answered."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def beside(work: Callable[[], None]) -> None:
    """Do *work* in a thread of its own."""
    threading.Thread(target=work, daemon=True).start()
