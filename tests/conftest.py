"""What holds for every test: seeds, no network beyond this machine, real components or a reason."""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.agent import local_accounts
from tests.agent.local_accounts import People
from tests.strategies import examples


def strict() -> bool:
    """Tell whether a missing component is a failure, as it is in continuous integration."""
    return os.environ.get("RESFED_REQUIRE_COMPONENTS") == "1"


# No deadlines: a busy machine is not a defect.  CI draws the same examples every time.
_USUAL = settings(deadline=None, print_blob=True, max_examples=examples(100))
_CALM = settings(_USUAL, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings(_CALM, derandomize=True))
settings.register_profile("dev", _USUAL)
settings.register_profile("long", _CALM)
settings.load_profile(os.environ.get("RESFED_HYPOTHESIS", "ci" if strict() else "dev"))

# Debian keeps the programs of a PostgreSQL server off the path.
_HIDDEN_PROGRAMS = "/usr/lib/postgresql/*/bin"


def _find(program: str) -> Path | None:
    on_path = shutil.which(program)
    if on_path is not None:
        return Path(on_path)
    hidden = sorted(Path("/").glob(f"{_HIDDEN_PROGRAMS.lstrip('/')}/{program}"))
    return hidden[-1] if hidden else None


@pytest.fixture(scope="session")
def requires() -> Callable[[str, str], Path]:
    """Give ``requires(program, package)``: the path of a real program that a test needs.

    Without the program the test is skipped, and the reason says what installs it; with
    ``RESFED_REQUIRE_COMPONENTS=1`` (continuous integration) it fails in place of that.
    """

    def look(program: str, package: str) -> Path:
        found = _find(program)
        if found is not None:
            return found
        reason = f"{program} is missing; install it with: apt-get install {package}"
        if strict():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return look


@pytest.fixture(scope="session")
def people(requires: Callable[[str, str], Path]) -> Iterator[People]:
    """Give real local accounts, made for this session: root alone can make them."""
    if os.geteuid() != 0:
        reason = "only root can make local accounts and run things as them"
        if strict():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    requires("useradd", "passwd")
    with local_accounts.people() as those:
        yield those


class BeyondThisMachine(AssertionError):
    """A test tried to talk to another machine."""


def _is_here(host: str) -> bool:
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False  # a name: looking it up is traffic already


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        # A datagram socket that connects sends nothing: Ray asks so for the machine's own address.
        if (
            self.family in {socket.AF_INET, socket.AF_INET6}
            and self.type == socket.SOCK_STREAM
            and not _is_here(address[0])
        ):
            message = f"tests stay on this machine, and this one went to {address[0]}"
            raise BeyondThisMachine(message)
        return original(self, address)

    return connect


@pytest.fixture(scope="session", autouse=True)
def _own_logins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let brokers leave their logins, and clients look for them, in this run's own directory."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RESFED_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    for variable in ("RESFED_TOKEN", "RESFED_CA"):
        patch.delenv(variable, raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _stay_here() -> Iterator[None]:
    """Refuse Python's connections beyond loopback; C cores (gRPC, Ray) are not seen."""
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Undo what a command that ran in this process did to logs: later tests read them."""
    hooks, handlers = (sys.excepthook, threading.excepthook), logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    sys.excepthook, threading.excepthook = hooks
    logging.getLogger().handlers[:] = handlers


# --- who runs what

_LABS = {
    "lab one": "dark_controller hostile_fields lab probe rendered",
    "lab two": "chaos_small discover forgetful_controller held_places identity jobs outcomes",
}
"""A lab is a dozen daemons: two of them at a time are what two cores bear."""
_SLOW = """
journeys/test_residency journeys/test_kill simulator/test_sweep security/test_reloading
security/test_ledger_kill journeys/test_identity broker/test_accounting security/test_floods
security/test_logins security/test_member_joins store/test_kill journeys/test_import_kill
security/test_sites_renewal simulator/test_background simulator/test_federation
simulator/test_table
"""
_PARTS = {
    f"tests/slurm/test_{name}.py": lab for lab, names in _LABS.items() for name in names.split()
}
_FIRST = [*_PARTS, *(f"tests/{name}.py" for name in _SLOW.split())]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest begin first: nobody waits for it in the end."""
    rank = {file: number for number, file in enumerate(_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each file to one worker, and what needs a lab to one of two, each with a lab.

    xdist's own groups (3.8) do nothing under pytest 9.2, where a test cannot be given a name.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Shares(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return _PARTS.get(file, file)

    config.option.loadscopereorder = False
    return Shares(config, log)
