"""What is checked in under res_federation/api is what proto/ says, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import GENERATED, ROOT


def test_generated_code_is_fresh(tmp_path: Path):
    pytest.importorskip("grpc_tools", reason="grpc_tools is missing; install it with: make setup")
    argv = [str(ROOT / ".ci" / "proto"), str(tmp_path), sys.executable]
    outcome = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr

    made = {path.name: path.read_bytes() for path in (tmp_path / GENERATED).iterdir()}
    kept = {path.name: path.read_bytes() for path in (ROOT / GENERATED).glob("*_pb2*.py*")}

    stale = sorted(name for name in made | kept if made.get(name) != kept.get(name))
    assert stale == [], "say: make proto"
