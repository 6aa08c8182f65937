"""The guards of tests/conftest.py do what they say."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest


def test_a_test_cannot_leave_this_machine():
    elsewhere = ("192.0.2.1", 9)  # TEST-NET-1: nobody's
    with socket.socket() as sock, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        sock.connect(elsewhere)
    with socket.socket() as sock, pytest.raises(AssertionError, match="stay on this machine"):
        sock.connect_ex(elsewhere)
    with pytest.raises(AssertionError, match="stay on this machine"):
        socket.create_connection(elsewhere, timeout=1)


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_a_real_program_is_found_by_its_path(requires):
    assert requires("sh", "dash") == Path(shutil.which("sh") or "")


def test_a_missing_program_is_a_reason_on_a_users_machine(requires, monkeypatch):
    monkeypatch.delenv("RESFED_REQUIRE_COMPONENTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program.*apt-get install no-such"):
        requires("no-such-program", "no-such")


def test_a_missing_program_is_a_failure_where_it_must_be_there(requires, monkeypatch):
    monkeypatch.setenv("RESFED_REQUIRE_COMPONENTS", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install no-such"):
        requires("no-such-program", "no-such")
