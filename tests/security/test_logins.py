"""From `resfed login` to a job in one's own name: the commands, a real broker, a real issuer."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from res_federation.errors import PermissionDenied
from res_federation.security import saved_login
from tests.security import people
from tests.security.federation import Broker, broker

SCRIPT = "#!/bin/sh\n#SBATCH -t 5\necho hello\n"


class Shell:
    """Commands of one person on one machine."""

    def __init__(self, running: Broker, home: Path) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(home), "RESFED_BROKER": running.address, "BROWSER": "true",
            "RESFED_RUNTIME_DIR": str(home / "runtime"),
        }  # fmt: skip
        self.ca = str(running.home / "authority" / "ca.pem")

    async def begin(self, *words: str, **more: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "res_federation.cli.main", *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=self.environment | more, cwd=self.home,
        )  # fmt: skip

    async def run(self, *words: str, code: int = 0, **more: str) -> str:
        """Run a command; return what it said on standard output, or on error where it failed."""
        process = await self.begin(*words, **more)
        async with asyncio.timeout(60):
            out, error = await process.communicate()
        assert process.returncode == code, (out, error)
        return (out or error).decode()

    async def login(self, name: str) -> None:
        """Log in by the device flow, as *name*."""
        process = await self.begin("login", "--device", "--json", "--ca", self.ca)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            told = json.loads(await process.stdout.readline())
            await asyncio.to_thread(people.Person(name).visit, told["open"])
            out, error = await process.communicate()
        assert process.returncode == 0, error
        assert json.loads(out)["user"] == f"{name}@people"

    @property
    def file(self) -> Path:
        (found,) = (self.home / ".config" / "resfed" / "logins").glob("*.json")
        return found


@pytest_asyncio.fixture
async def running(provider: people.Provider, tmp_path: Path) -> AsyncIterator[Broker]:
    home = tmp_path / "broker"
    home.mkdir()
    async with broker(home, provider) as found:
        yield found


@pytest.fixture
def shell(running: Broker, tmp_path: Path) -> Shell:
    home = tmp_path / "ana"
    home.mkdir()
    (home / "job.sh").write_text(SCRIPT)
    return Shell(running, home)


def kept_in(home: Path, *secrets: str) -> list[str]:
    """Name the files of the broker that hold a secret, or the half of one that proves it."""
    proofs = [secret.rpartition(".")[2].encode() for secret in secrets]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name == "broker.db" for path in files)
    return [str(one) for one in files if any(proof in one.read_bytes() for proof in proofs)]


async def test_a_person_logs_in_by_device_and_submits_in_their_own_name(
    shell: Shell, running: Broker
):
    refused = await shell.run("queue", code=4, RESFED_CA=shell.ca)
    assert refused == "resfed: nobody is logged in (resfed login, or set RESFED_TOKEN)\n"
    await shell.login("ana")
    assert stat.S_IMODE(shell.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(shell.file.parent.stat().st_mode) == 0o700
    who = json.loads(await shell.run("whoami", "--json"))
    assert (who["user"], who["projects"]) == ("ana@people", {"p": "user"})
    # project p has no hours: the job is taken, and cannot run anywhere
    job = json.loads(await shell.run("submit", "--json", "job.sh", code=5))["job"]
    (seen,) = json.loads(await shell.run("queue", "--json", "--all"))
    assert (seen["job"], seen["user"]) == (job, "ana@people")
    saved = json.loads(shell.file.read_text())
    assert kept_in(running.home, saved["access"], saved["refresh"]) == []
    assert "you may not call DrainSite" in await shell.run("site", "drain", "csuc", code=4)
    assert "logged out" in await shell.run("logout")
    assert "nobody is logged in" in await shell.run("queue", code=4, RESFED_CA=shell.ca)


async def test_who_does_not_know_the_broker_is_told_how_to(shell: Shell):
    told = await shell.run("login", "--device", code=3)
    assert "resfed login --fingerprint SHA256" in told
    told = await shell.run("login", "--device", "--fingerprint", "0" * 64, code=4)
    assert "is not the one" in told


async def test_a_person_logs_in_by_browser(shell: Shell):
    process = await shell.begin("login", "--browser", "--ca", shell.ca)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        line = (await process.stderr.readline()).decode()
        await asyncio.to_thread(people.Person("bea").visit, line.split()[-1])
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.decode().strip().endswith("as bea@people")
    assert "bea@people" in await shell.run("whoami")


async def test_a_login_is_renewed_by_itself_and_its_end_is_told(shell: Shell, running: Broker):
    await shell.login("ana")
    first = json.loads(shell.file.read_text())
    _aged(shell, expires=time.time() + 1)
    assert "ana@people" in await shell.run("whoami")
    second = json.loads(shell.file.read_text())
    assert second["access"] != first["access"]
    # two at once renew once: the issuer takes a renewal that comes twice for a stolen one
    _aged(shell, expires=time.time() + 1)
    both = await asyncio.gather(*(shell.run("whoami") for _ in range(3)))
    assert all("ana@people" in one for one in both)
    _aged(shell, expires=time.time() - 1, refresh="gone")
    told = await shell.run("whoami", code=4)
    assert told == f"resfed: your login at {running.address} is over (resfed login)\n"


def _aged(shell: Shell, **changes: Any) -> None:
    shell.file.write_text(json.dumps(json.loads(shell.file.read_text()) | changes))


async def test_a_login_that_others_could_read_or_plant_is_not_used(shell: Shell, monkeypatch):
    await shell.login("ana")
    shell.file.chmod(0o640)
    assert "not trusted" in await shell.run("whoami", code=4)
    shell.file.chmod(0o600)
    target = shell.home / "elsewhere.json"
    shell.file.rename(target)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shell.home / ".config"))
    address = shell.environment["RESFED_BROKER"]
    shell.home.joinpath(".config/resfed/logins", f"{address.replace(':', '_')}.json").symlink_to(
        target
    )
    with pytest.raises(PermissionDenied):
        saved_login.find(address)


async def test_a_pipeline_uses_a_token_until_it_is_revoked(shell: Shell, running: Broker):
    await shell.login("ana")
    made = json.loads(
        await shell.run(
            "admin", "token", "create", "--label", "ci", "--scope", "submit", "--scope", "read",
            "--days", "1", "--json",
        )
    )  # fmt: skip
    robot = {"RESFED_TOKEN": made["token"], "RESFED_CA": shell.ca, "HOME": "/nonexistent"}
    job = json.loads(await shell.run("submit", "--json", "job.sh", code=5, **robot))["job"]
    shown = json.loads(await shell.run("show", "--json", job, **robot))
    assert shown["user"] == f"{made['account']}@machine"
    assert "you may not call CancelJob" in await shell.run("cancel", job, code=4, **robot)
    (listed,) = json.loads(await shell.run("admin", "token", "list", "--json"))
    assert listed["account"] == made["account"]
    assert made["token"] not in json.dumps(listed)
    assert kept_in(running.home, made["token"]) == []
    await shell.run("admin", "token", "revoke", made["account"])
    assert "was revoked" in await shell.run("queue", code=4, **robot)
