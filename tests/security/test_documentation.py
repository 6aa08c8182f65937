"""Every test that docs/security.md names is there: a promise without its test is none."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(test_\w+\.py)(?:::(test_\w+))?`")


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    files: dict[str, str] = {}
    for path in ROOT.joinpath("tests").rglob("test_*.py"):
        files[path.name] = files.get(path.name, "") + path.read_text(encoding="utf-8")
    named = NAMED.findall(page)
    assert len(named) > 20
    for file, test in named:
        assert file in files, f"{file} is not there"
        assert not test or re.search(rf"def {test}\(", files[file]), f"{file} has no {test}"
