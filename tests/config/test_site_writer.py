"""What is written is what is read back, and what is not known is left to be filled in."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from res_federation.config.site_writer import site_text
from res_federation.config.sites import check, load_site
from res_federation.model.accelerators import accelerator
from res_federation.model.identifiers import SiteId, partition_id
from res_federation.model.resources import NodeShape
from res_federation.model.site import Confidence, Partition, Qos, Site, SlurmAccess

WORDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True)
TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
ANY_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
MODELS = st.sampled_from(["", "h100", "nvidia_h100_80gb_hbm3", "a100", "mi250x", "v100m32"])


@st.composite
def shapes(draw: st.DrawFn) -> NodeShape:
    """Draw what a node has."""
    word = draw(MODELS)
    model = accelerator(word) if word else None
    return NodeShape(
        cores=draw(st.none() | st.integers(1, 4096)),
        memory_mib=draw(st.none() | st.integers(1, 10_000_000)),
        accelerator=model.name if model else "",
        accelerators=draw(st.integers(0, 64)) if model else 0,
        accelerator_memory_mib=model.memory_mib if model else None,
        architecture=draw(st.sampled_from(["x86_64", "aarch64", "ppc64le"])),
    )


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Draw a site that has a Slurm."""
    name, cluster = draw(WORDS), draw(WORDS)
    parts = []
    for word in draw(st.lists(WORDS, min_size=1, max_size=4, unique=True)):
        nodes = draw(st.none() | st.integers(1, 10_000))
        parts.append(
            Partition(
                id=partition_id(name, cluster, word),
                name=word,
                shape=draw(shapes()),
                nodes=nodes,
                max_time_s=draw(st.none() | st.integers(1, 9999 * 3600)),
                max_nodes=draw(st.none() | st.integers(1, nodes or 99)),
                max_array=draw(st.none() | st.integers(1, 1_000_000)),
                features=tuple(draw(st.lists(ANY_TEXTS, max_size=3))),
                confidence=draw(st.sampled_from(list(Confidence))),
                note=draw(ANY_TEXTS | st.just("")),
            )
        )
    placed = draw(st.booleans())
    return Site(
        id=SiteId(name),
        name=draw(ANY_TEXTS | st.just(name)),
        machine=draw(ANY_TEXTS),
        city=draw(ANY_TEXTS | st.just("")),
        latitude=draw(st.floats(-90, 90)) if placed else None,
        longitude=draw(st.floats(-180, 180)) if placed else None,
        batch="slurm",
        partitions=tuple(parts),
        clusters=(cluster,),
        qos=tuple(
            Qos(word, parts[0].name, draw(st.none() | st.integers(1, 99)), opens=(parts[0].name,))
            for word in draw(st.lists(ANY_TEXTS, max_size=2, unique=True))
        ),
        wan_gbps=draw(st.none() | st.floats(0.001, 100_000)),
        slurm=SlurmAccess("/etc/slurm/" + draw(TEXTS), user=draw(WORDS | st.just(""))),
    )


def read_back(text: str) -> Site:
    """Write a file and read it as `resfed` does."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "site.toml"
        file.write_text(text, encoding="utf-8")
        return load_site(file)


@given(sites(), st.lists(st.text(max_size=200), max_size=3))
def test_what_is_written_is_read_back(site, words):
    remarks = {part.name: words for part in site.partitions}
    assert read_back(site_text(site, head=words, remarks=remarks, tail=words)) == site


def test_what_slurm_does_not_know_stands_there_to_be_filled_in(tmp_path):
    part = Partition(partition_id("x", "x", "main"), "main", NodeShape(8, 16384), 2)
    site = Site(
        id=SiteId("x"), name="x", machine="X", city="", latitude=None, longitude=None,
        batch="slurm", partitions=(part,), clusters=("x",), slurm=SlurmAccess("/etc/slurm.conf"),
    )  # fmt: skip
    text = site_text(site)
    for line in ('# city = "..."', '# user = "..."', "# [location]", "# latitude = ..."):
        assert line in text
    assert 'memory = "16 GiB"' in text
    file = tmp_path / "site.toml"
    filled = text.replace('# city = "..."', 'city = "Here"')
    filled = filled.replace("# [location]", "[location]")
    filled = filled.replace("# latitude = ...", "latitude = 1.5")
    file.write_text(filled.replace("# longitude = ...", "longitude = -3.0"))
    assert check(file) == []
    found = load_site(file)
    assert (found.city, found.latitude, found.longitude) == ("Here", 1.5, -3.0)


def test_the_sample_of_the_documentation_is_a_site_file_without_faults():
    assert check(Path(__file__).parents[2] / "docs" / "samples" / "site.toml") == []
