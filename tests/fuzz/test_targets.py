"""A small part of the fuzzing with the tests: the same targets, from seeds, and what was found."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from res_federation.errors import FederationError
from tests.conftest import strict
from tests.fuzz import laws
from tests.fuzz.campaign import ABSENT
from tests.fuzz.judge import judged
from tests.fuzz.readers import READERS, SEEDS
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_inputs_from_a_seed_break_no_law(name: str, seed: int) -> None:
    drawn = random.Random(f"{name} {seed}")
    for _ in range(250):
        assert TARGETS[name](drawn.randbytes(drawn.choice((8, 40, 120, 240)))) >= 0


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_answers_or_refuses(reader: str) -> None:
    """What is sound, and what was cut, doubled or turned round at any place."""
    drawn = random.Random(reader)
    texts = [*SEEDS.get(reader, ()), "", "\0", "9" * 5000, "[" * 5000, "(" * 5000, "a," * 5000]
    for text in texts:
        for _ in range(30):
            at, to = sorted((drawn.randrange(len(text) + 1), drawn.randrange(len(text) + 1)))
            changed = drawn.choice(
                (text, text[:at], text[at:], text[at:to] * 3, text[:at] + text[to:], text[::-1])
            )
            try:
                READERS[reader](changed)
            except FederationError as error:
                assert error.message


def test_sbatch_finds_in_rendered_scripts_what_we_find(
    requires: Callable[[str, str], Path],
) -> None:
    sbatch = requires("sbatch", "slurm-client")
    files, wrong = judged(24, 1, str(sbatch))
    assert (files, wrong) == (24, [])


def test_the_guided_fuzzer_runs_and_counts(tmp_path: Path) -> None:
    if not strict():
        pytest.importorskip("atheris", reason=ABSENT)
    count = tmp_path / "count"
    count.write_bytes(bytes(8))
    argv = [
        sys.executable, "-m", "tests.fuzz.guided", "readers", str(count), "-seed=1", "-runs=300",
        f"-artifact_prefix={tmp_path}/",
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert int.from_bytes(count.read_bytes(), "little") >= 300


def test_a_law_notices_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes that are left out, an option that is dropped: the targets must say so."""
    monkeypatch.setattr("res_federation.slurm.directives.quoted", lambda value: value)
    with pytest.raises(AssertionError):
        laws.is_one_directive("comment", "a --uid=0")
