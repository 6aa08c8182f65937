"""Files of federations: what they mean, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from res_federation.config.federations import load_federation
from res_federation.errors import InvalidArgument
from res_federation.simulator.site_models import federation_of
from tests.simulator.drawn_workload import drawn

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "simulations" / "federations"


def sizes(path: Path) -> list[int]:
    model = federation_of(load_federation(path), drawn(1, 50, processors=100))
    return [part.nodes or 0 for part in model.partitions]


def test_the_shipped_federations_stand_in_proportion_to_the_traces_machine():
    assert sizes(SHIPPED / "unequal.toml") == [100, 50, 25, 25, 12]
    assert sizes(SHIPPED / "equal.toml") == [100, 100, 100, 100]


def test_the_largest_job_just_fits_the_largest_partition_of_the_catalogue():
    jobs = drawn(1, 50)
    found = sizes(SHIPPED / "res.toml")
    assert max(found) == jobs.procs.max()
    assert min(found) == 1
    assert len(found) > 30


def test_a_directory_of_site_files_is_taken_as_it_is():
    model = federation_of(load_federation(ROOT / "sites"), drawn(1, 5))
    assert model.shaped
    assert {site.id for site in model.sites} >= {"bsc", "csuc"}
    assert all(part.nodes and part.shape.cores for part in model.partitions)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[site]]\nid = "a"\n', "site[1]: give it one of size and processors"),
        ('[[site]]\nid = "a"\nsize = 1\nprocessors = 3\n', "give it one of size and processors"),
        ('[[site]]\nid = "a"\nsize = -1\n', "site[1].size: -1 cannot be"),
        ('[[site]]\nid = "a"\nsze = 1\n', "did you mean 'size'?"),
        ('[[site]]\nid="a"\nsize=1\n[[site]]\nid="a"\nsize=1\n', "'a' stands for a site already"),
        ('catalogue = "nowhere"\n', "is not a directory"),
        ("title = 3\n", "title"),
        ("", "there is no [[site]]"),
        ("[[site\n", "is not TOML"),
    ],
)
def test_faults_name_the_file_the_line_and_the_way_out(tmp_path, text, told):
    file = tmp_path / "f.toml"
    file.write_text(text)
    with pytest.raises(InvalidArgument) as caught:
        load_federation(file)
    assert told in str(caught.value)
    assert str(file) in str(caught.value)
