"""A runtime of our own is for this machine and this user alone."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import psutil

from res_federation.scatter import environment
from res_federation.scatter.ray_scatter import RayScatter


def _tree(pid: int) -> list[psutil.Process]:
    engine = psutil.Process(pid)
    return [engine, *engine.children(recursive=True)]


def _listening(pid: int) -> set[str]:
    return {
        connection.laddr.ip
        for process in _tree(pid)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text)
    inner = getattr(address, "ipv4_mapped", None)
    return (inner or address).is_loopback


def test_nothing_listens_beyond_loopback(scatters):
    scatter = scatters(2)
    scatter.start()
    addresses = _listening(scatter._process.pid)
    assert addresses
    assert all(_is_loopback(address) for address in addresses), addresses


def test_files_are_closed_to_others_and_end_with_the_runtime(scatters):
    scatter = scatters(2)
    scatter.start()
    folders = {
        Path(word.removeprefix("--temp_dir=")).parent
        for process in _tree(scatter._process.pid)
        for word in process.cmdline()
        if word.startswith("--temp_dir=")
    }
    assert len(folders) == 1
    folder = folders.pop()
    assert folder.stat().st_mode & 0o077 == 0
    scatter.close()
    assert not folder.exists()


def test_nothing_of_ray_is_set_up_before_it_is_needed():
    RayScatter(2).close()
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_cluster_that_is_joined_keeps_its_own_ways(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    environment.prepare("10.0.0.1:6379")
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ
    assert "RAY_AUTH_TOKEN" not in os.environ
    environment.prepare(None)
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
