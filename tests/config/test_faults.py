"""A wrong file is told apart by file, line and field, with the way out, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.config.sites import check, load_distances, load_site, load_sites
from res_federation.errors import InvalidArgument

GOOD = """\
id = "here"
name = "A site"
machine = "Box"
city = "Here"
batch = "local"

[location]
latitude = 40.0
longitude = -3.5

[network]
gbps = 10
confidence = "sourced"

[[cluster]]
name = "box"
title = "Box"

[[partition]]
cluster = "box"
name = "cpu"
title = "CPU"
confidence = "sourced"
nodes = 4
cores = 64
memory = "256 GiB"

[[partition]]
cluster = "box"
name = "gpu"
title = "GPU"
confidence = "derived"
aliases = [
  "gpu_long",
]
nodes = 2
accelerator = "nvidia-a100-40gb"
accelerators = 4
accelerator_memory = "40 GiB"
max_time = "72:00:00"

[[qos]]
name = "normal"
partition = "cpu"
opens = ["cpu"]
confidence = "assumption"
"""

CASES = [
    # what is replaced, by what, the field and the words that must be there
    ('memory = "256 GiB"', 'memory = "256 GB"', "partition[1].memory", 'write "256 GiB"'),
    ('memory = "256 GiB"', 'memory = "256G"', "partition[1].memory", 'write "256 GiB"'),
    ('memory = "256 GiB"', "memory = 256", "partition[1].memory", "GiB or TiB"),
    ('memory = "256 GiB"', 'memory = "0 GiB"', "partition[1].memory", "leave the key out"),
    ('max_time = "72:00:00"', 'max_time = "72h"', "partition[2].max_time", '"72:00:00"'),
    ('max_time = "72:00:00"', "max_time = 72", "partition[2].max_time", '"72:00:00"'),
    ("cores = 64", "core = 64", "partition[1].core", "did you mean 'cores'?"),
    ('city = "Here"', 'zzz = "Here"\ncity = "H"', "zzz", "known here: id, name"),
    ('city = "Here"', 'city = "Here"\ndocs = "see www"', "docs", "write https://..."),
    ("gbps = 10", "gpbs = 10\ngbps = 10", "network.gpbs", "did you mean 'gbps'?"),
    ("cores = 64", "cores = -64", "partition[1].cores", "at least 1"),
    ("cores = 64", "cores = 6.5", "partition[1].cores", "not a whole number"),
    ("nodes = 4", 'nodes = "4"', "partition[1].nodes", "without quotes"),
    ("nodes = 4", "nodes = true", "partition[1].nodes", "not a whole number"),
    ("gbps = 10", "gbps = nan", "network.gbps", "leave the key out"),
    ("gbps = 10", "gbps = 0", "network.gbps", "more than 0"),
    ("latitude = 40.0", "latitude = 140.0", "location.latitude", "at most 90"),
    ('confidence = "derived"', 'confidence = "sure"', "partition[2].confidence", "general-know"),
    ('machine = "Box"\n', "", "machine", "is missing; add 'machine = ...'"),
    ("latitude = 40.0\n", "", "location.latitude", "is missing"),
    ('name = "gpu"', 'name = "cpu"', "partition[2].name", "twice"),
    ('name = "gpu"', 'name = "../up"', "partition[2].name", "lower-case"),
    ('"gpu_long"', '"cpu"', "partition[2].aliases", "name of a partition"),
    ("nvidia-a100-40gb", "NVIDIA A100", "partition[2].accelerator", "'nvidia-a100-40gb' here"),
    ("nvidia-a100-40gb", "cerebras", "partition[2].accelerator", "names no known model"),
    ('accelerator = "nvidia-a100-40gb"\n', "", "partition[2].accelerators", "no model"),
    ('opens = ["cpu"]', 'opens = ["cpus"]', "qos[1].opens", "there is: cpu, gpu"),
    ('cluster = "box"\nname = "gpu"', 'cluster = "bix"\nname = "gpu"', "partition[2].cluster",
     "there is: box"),
    ('batch = "local"', 'batch = "pbs"', "batch", "'local', 'slurm' or ''"),
    ('batch = "local"', 'batch = ""', "batch", "there are partitions"),
    ('batch = "local"', 'batch = "slurm"', "batch", "[slurm]"),
    ("nodes = 2", "nodes = 2\nmax_nodes = 3", "partition[2].max_nodes", "more than"),
    ("nodes = 2", 'nodes = 2\nconfidence_of = { cores = "derived" }',
     "partition[2].confidence_of", "no figure"),
]  # fmt: skip


def put(directory: Path, text: str, name: str = "here") -> Path:
    file = directory / name / "site.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def test_the_example_is_good(tmp_path):
    file = put(tmp_path, GOOD)
    assert check(file) == []
    assert [part.name for part in load_site(file).partitions] == ["cpu", "gpu"]


@pytest.mark.parametrize(("old", "new", "field", "words"), CASES)
def test_a_fault_names_line_field_and_way_out(tmp_path, old, new, field, words):
    assert old in GOOD
    file = put(tmp_path, GOOD.replace(old, new, 1))
    problem = check(file)[0]
    assert problem.field == field
    assert words in problem.message
    assert str(problem).startswith(f"{file}:{problem.line}: ")
    assert "\n" not in str(problem)
    with pytest.raises(InvalidArgument) as caught:
        load_site(file)
    assert f"{file}:{problem.line}" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('memory = "256 GiB"', 'memory = "256 GB"', 26),
        ('max_time = "72:00:00"', 'max_time = "72h"', 40),  # after an array of several lines
        ("latitude = 40.0", "latitude = 400.0", 8),
        ("latitude = 40.0\n", "", 7),  # what is missing stands at its table
        ('"gpu_long"', '"cpu"', 33),
        ("nodes = 2", "nodes = = 2", 36),
        ("nodes = 2", "nodes = 2\nnodes = 3", 37),
        ('city = "Here"', 'city = "Here', 4),
    ],
)
def test_the_line_is_the_right_one(tmp_path, old, new, line):
    assert check(put(tmp_path, GOOD.replace(old, new, 1)))[0].line == line


def test_all_faults_of_a_file_come_at_once(tmp_path):
    text = GOOD.replace("256 GiB", "256 GB").replace("gbps = 10", "gbps = -1")
    file = put(tmp_path, text)
    assert sorted(each.field for each in check(file)) == ["network.gbps", "partition[1].memory"]
    with pytest.raises(InvalidArgument, match="1 more: resfed site check"):
        load_site(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InvalidArgument, match="No such file"):
        load_site(tmp_path / "site.toml")


def test_a_file_that_is_not_text(tmp_path):
    file = put(tmp_path, GOOD)
    file.write_bytes(GOOD.replace("A site", "A s\xedte").encode("latin-1"))
    assert str(check(file)[0]) == f"{file}:2: is not UTF-8 text; save it as UTF-8"


def test_a_mark_before_the_text_is_no_fault(tmp_path):
    file = put(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n"))
    assert check(file) == []


def test_a_site_in_a_directory_of_another_name(tmp_path):
    put(tmp_path, GOOD, "there")
    problem = check(tmp_path)[0]
    assert (problem.field, problem.line) == ("id", 1)
    with pytest.raises(InvalidArgument, match="stands in the directory 'there'"):
        load_sites(tmp_path)


def test_a_source_that_is_not_listed(tmp_path):
    file = put(tmp_path, GOOD.replace("cores = 64", 'cores = 64\nsources = ["memo"]'))
    (tmp_path / "sources.toml").write_text('[source.note]\ntitle = "A note"\n', "utf-8")
    for problems in (check(tmp_path), check(file)):
        assert [(each.field, each.line) for each in problems] == [("partition[1].sources", 26)]


LINKS = """\
[[hub]]
name = "middle"
title = "Middle"

[[link]]
ends = ["here", "middle"]
gbps = 10
confidence = "sourced"
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('["here", "middle"]', '["here", "nowhere"]', 6, "'nowhere' is neither a site nor a"),
        ('["here", "middle"]', '["here", "here"]', 6, "linked with itself"),
        ('["here", "middle"]', '["here"]', 6, "at least 2"),
        ("gbps = 10", "gbps = 100", 7, "more than network.gbps = 10 of site 'here'"),
        ("gbps = 10", 'gbps = "10"', 7, "without quotes"),
        ('name = "middle"', 'name = "here"', 2, "already"),
        ("[[link]]", "[[lnk]]", 5, "did you mean 'link'?"),
    ],
)
def test_a_fault_of_the_links(tmp_path, old, new, line, words):
    put(tmp_path, GOOD)
    (tmp_path / "links.toml").write_text(LINKS.replace(old, new, 1), "utf-8")
    problem = check(tmp_path)[0]
    assert problem.line == line
    assert words in problem.message


def test_links_twice_and_sites_without(tmp_path):
    put(tmp_path, GOOD)
    put(tmp_path, GOOD.replace('id = "here"', 'id = "far"'), "far")
    (tmp_path / "links.toml").write_text(LINKS, "utf-8")
    assert "site 'far' has no link" in check(tmp_path)[0].message
    twice = LINKS + LINKS[LINKS.index("[[link]]") :]
    (tmp_path / "links.toml").write_text(twice, "utf-8")
    with pytest.raises(InvalidArgument, match="linked twice"):
        load_distances(tmp_path, load_sites(tmp_path))


lines = st.lists(
    st.one_of(
        st.sampled_from([*GOOD.splitlines(), "[", "]]", '"""', "a.b = {", "x = [[1,", "=", "'''"]),
        st.text(max_size=20),
    ),
    max_size=25,
)


@given(lines=lines)
def test_whatever_stands_in_a_file_is_a_site_or_a_line(lines, tmp_path_factory):
    file = put(tmp_path_factory.getbasetemp(), "\n".join(lines), "any")
    text = file.read_text("utf-8")
    for problem in check(file):
        assert 1 <= problem.line <= max(1, len(text.splitlines()))
        assert problem.message
