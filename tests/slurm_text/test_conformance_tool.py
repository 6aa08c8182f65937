"""`make sbatch-conformance DIR=…` against the sbatch of this machine."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "conformance" / "sbatch.py"


def test_a_folder_of_scripts(tmp_path: Path) -> None:
    if shutil.which("sbatch") is None:
        pytest.skip("sbatch is not installed")
    (tmp_path / "a.sbatch").write_text('#!/bin/sh\n#SBATCH -n 4 -J "a b" --mem=4G # x\nid\n')
    (tmp_path / "b.sbatch").write_text("#!/bin/sh\n#SBATCH --no-such-option\nid\n")
    done = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=60,
        cwd=Path(__file__).parents[2], env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == "2 of 2 agree (100.000 %)\n", done.stdout + done.stderr
    assert done.returncode == 0
