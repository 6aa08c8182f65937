"""The files of the repository, as the architecture tests look at them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = Path("res_federation/api/v1")


@cache
def files() -> tuple[Path, ...]:
    """Return what git would keep, tracked or new, relative to the root."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.decode().rstrip("\0").split("\0")
        found = [Path(name) for name in names if (ROOT / name).is_file()]
    else:  # an unpacked archive: what is there, without what hides
        found = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
        found = [path for path in found if not any(part[0] == "." for part in path.parts)]
    return tuple(sorted(found))


@cache
def written(*suffixes: str) -> tuple[Path, ...]:
    """Return hand-written files with one of these suffixes."""
    kept = (path for path in files() if path.suffix in suffixes)
    return tuple(path for path in kept if not path.is_relative_to(GENERATED))


def text(path: Path) -> str | None:
    """Return a file's text, or None where it is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return None
