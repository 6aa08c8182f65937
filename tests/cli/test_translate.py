"""`resfed translate`, as a user calls it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from res_federation.cli import main
from res_federation.cli.bench_translate import measure
from res_federation.config.sites import load_sites

ROOT = Path(__file__).parents[2]
SITES = ROOT / "sites"
SHARED = ROOT.parent / "shared" / "sbatch"
KEYS = {"target", "feasible", "reasons", "script", "diff", "notes", "account", "pool"}
SCRIPT = "#!/bin/bash\n#SBATCH --constraint=dgx\n#SBATCH --gres=gpu:1 # one\n#SBATCH --mem=8G\nid\n"


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "train.sbatch"
    file.write_text(SCRIPT, encoding="utf-8")
    return str(file)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = main.execute(["translate", *words, "--sites", str(SITES), "--json"])
    told = capsys.readouterr().out
    return code, json.loads(told) if told else None


def test_one_site(capsys: pytest.CaptureFixture[str], script: str) -> None:
    code, told = call(capsys, script, "--to", "cesga")
    assert code == 0
    assert set(told) >= KEYS
    assert told["feasible"]
    assert "#SBATCH --gres=gpu:a100:1\n" in told["script"]
    assert "-#SBATCH --constraint=dgx\n" in told["diff"]
    assert told["notes"][0] == "origin: uma, recognised by --constraint=dgx"


def test_all_sites(capsys: pytest.CaptureFixture[str], script: str) -> None:
    code, told = call(capsys, script, "--to", "all", "--origin", "uma")
    assert code == 0
    assert [each["target"] for each in told] == [site.id for site in load_sites(SITES)]
    for each in told:
        assert each["feasible"] == (not each["reasons"])
    home = next(each for each in told if each["target"] == "uma")
    assert (home["script"], home["diff"]) == (SCRIPT, "")


def test_infeasible_is_five_and_a_wrong_name_is_two(
    capsys: pytest.CaptureFixture[str], script: str
) -> None:
    code, told = call(capsys, script, "--to", "uv")
    assert (code, told["feasible"], told["script"]) == (5, False, None)
    assert told["reasons"]
    assert call(capsys, script, "--to", "nowhere")[0] == 2
    assert call(capsys, script + "x", "--to", "uv")[0] == 2


def test_account_and_pool(capsys: pytest.CaptureFixture[str], script: str) -> None:
    del script
    path = SHARED / "mn5-gpp-08.sbatch"
    if not path.exists():
        pytest.skip("the shared scripts are not here")
    _, told = call(capsys, str(path), "--to", "bsc")
    assert (told["account"], told["pool"]) == ("uv00", "res-a")
    assert told["script"] == path.read_text(encoding="utf-8")


def _texts() -> Iterator[str]:
    with gzip.open(SHARED / "public.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["script"]


def test_every_public_script_is_rendered_into_one_that_reads_the_same_resources() -> None:
    if not (SHARED / "public.jsonl.gz").exists():
        pytest.skip("the shared scripts are not here")
    result = measure(list(_texts())[::4], SITES, check=True)
    assert result["scripts"] > 400
    assert result["rendered"] > result["scripts"]
    assert result["lost"] == []


def test_the_bench_makes_its_own_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.execute(["bench", "translate", "--scripts", "60", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scripts"] == 60
    assert told["sites"] == 14
