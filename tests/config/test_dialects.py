"""A dialect's faults name file, line and field; every member has a dialect."""

import shutil
from pathlib import Path

import pytest

from res_federation.config.dialects import load_dialects
from res_federation.config.sites import check, load_sites
from res_federation.errors import InvalidArgument
from res_federation.slurm.dialect import Use

SITES = Path(__file__).parents[2] / "sites"


def test_every_member_has_one_with_a_rule_for_each_partition() -> None:
    sites = load_sites(SITES)
    dialects = load_dialects(SITES, sites)
    for site in sites:
        assert (SITES / site.id / "dialect.toml").is_file()
        assert set(dialects[site.id].rules) == {part.name for part in site.partitions}
    assert dialects["bsc"].rule("acc").cores_per_gpu == 20
    assert dialects["cesga"].rule("a100").cores_per_gpu == 32
    assert dialects["bsc"].qos.use is Use.MUST
    assert dialects["iac"].conservative


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    copy = tmp_path / "sites"
    shutil.copytree(SITES, copy)
    return copy


@pytest.mark.parametrize(
    ("before", "after", "field", "word"),
    [
        ('use = "never"', 'use = "perhaps"', "account.use", "perhaps"),
        ('name = "exa"', 'name = "exo"', "partition[5].name", "exo"),
        ('constraint = "dgx"', 'constraint = "d x"', "partition[5].constraint", ""),
        ('gres = "untyped"', 'gres = "typed"', "partition[5].gres", "gres_type"),
        ("max_size = 1001", "max_size = 0", "array.max_size", "at least 1"),
        ('"picasso-man"', '"nowhere"', "sources", "sources.toml"),
        ('partition = "exa"', 'partition = "x"', "implies[1].partition", "x"),
        ('profile = "documented"', 'profile = "documented"\nodd = 1', "odd", "odd"),
    ],
)
def test_faults(catalogue: Path, before: str, after: str, field: str, word: str) -> None:
    file = catalogue / "uma" / "dialect.toml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    found = [problem for problem in check(catalogue) if problem.field == field]
    assert found, [str(problem) for problem in check(catalogue)]
    assert found[0].file == str(file)
    assert found[0].line >= 1
    assert word in str(found[0])
    assert check(catalogue / "uma") != []


def test_a_fault_stops_the_loading_and_a_missing_file_does_not(catalogue: Path) -> None:
    sites = load_sites(catalogue)
    (catalogue / "uma" / "dialect.toml").unlink()
    assert load_dialects(catalogue, sites)["uma"].conservative
    (catalogue / "csuc" / "dialect.toml").write_text("site = 3\n", encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"dialect\.toml:1"):
        load_dialects(catalogue, sites)
