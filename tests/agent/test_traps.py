"""A run's directory may belong to the account of its payload: what lies there is not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from res_federation.agent.disk import write_whole
from res_federation.agent.fences import Fence
from res_federation.agent.outputs import pieces
from res_federation.agent.rundir import RunDirectory
from res_federation.model.identifiers import RunToken
from res_federation.model.order import Read

TOKEN = RunToken("01J0000000000000000000000A-1")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory.of(tmp_path / "runs", TOKEN)
    directory.path.mkdir(parents=True)
    return directory


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("exit 0 1 2 no .\n")
    return path


def test_output_that_is_a_link_is_not_read(run: RunDirectory, secret: Path):
    (run.path / "out.batch").symlink_to(secret)
    (piece,) = pieces(Read("r", TOKEN, -1, False, 0, 100), run.path.parent)
    assert piece.data == b""
    assert piece.error


def test_a_pipe_stops_nobody(run: RunDirectory):
    for name in ("out.batch", "exit.batch", "begun.batch", "fence", "lease"):
        os.mkfifo(run.path / name)
    fence = Fence(run.path)
    assert fence.word() == ""
    assert fence.exit("batch") is None
    assert run.lease() == 0.0
    (piece,) = pieces(Read("r", TOKEN, -1, False, 0, 100), run.path.parent)
    assert piece.error


def test_links_are_no_marks_of_ours(run: RunDirectory, secret: Path):
    (run.path / "exit.batch").symlink_to(secret)
    assert Fence(run.path).exit("batch") is None


def test_writing_goes_through_no_link(run: RunDirectory, secret: Path):
    for name in (".lease.new", "lease", ".fence.new", "fence"):
        (run.path / name).symlink_to(secret)
    run.write_lease(5.0)
    Fence(run.path).put_up()
    assert secret.read_text() == "exit 0 1 2 no .\n"
    assert run.lease() == 5.0
    assert Fence(run.path).word() == "wait"


def test_a_leftover_of_a_death_is_overwritten(tmp_path: Path):
    (tmp_path / ".file.new").write_text("half")
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
