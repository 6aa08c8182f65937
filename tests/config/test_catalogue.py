"""The catalogue in ``sites/``: sound, complete against the facts, and of any number of members."""

from __future__ import annotations

import json
import math
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from res_federation.config.sites import check, load_distances, load_site, load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.accelerators import accelerator
from res_federation.model.site import Site

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "sites"
FACTS = ROOT.parent / "shared" / "facts" / "res-sites.json"
MEMBERS = [
    "bsc", "cesga", "computaex", "csuc", "iac", "nasertic", "pic",
    "scayle", "uam", "uc", "uma", "unizar", "upm", "uv",
]  # fmt: skip


def partition(site: Site, name: str):
    return next(each for each in site.partitions if each.name == name)


def test_the_catalogue_has_no_faults():
    assert check(CATALOGUE) == []


def test_fourteen_members_by_identifier():
    assert [site.id for site in load_sites(CATALOGUE)] == MEMBERS


def test_a_site_is_read_from_its_file_or_its_directory():
    assert load_site(CATALOGUE / "csuc") == load_site(CATALOGUE / "csuc" / "site.toml")


def test_what_a_partition_declares():
    site = load_site(CATALOGUE / "csuc")
    gpu = partition(site, "gpu")
    assert gpu.id == "csuc/pirineus3/gpu"
    assert (gpu.nodes, gpu.shape.cores, gpu.shape.memory_mib) == (29, 64, 384 * 1024)
    assert gpu.shape.accelerator == "nvidia-h100-80gb"
    assert (gpu.shape.accelerators, gpu.shape.accelerator_memory_mib) == (2, 80 * 1024)


def test_every_identifier_is_unique_and_carries_a_cluster_of_its_site():
    sites = load_sites(CATALOGUE)
    identifiers = [part.id for site in sites for part in site.partitions]
    assert len(set(identifiers)) == len(identifiers)
    for site in sites:
        assert {part.id.split("/")[1] for part in site.partitions} == set(site.clusters)


def test_a_member_with_two_machines():
    assert load_site(CATALOGUE / "unizar").clusters == ("agustina", "mequinenza")


def test_a_data_member_offers_nothing_to_jobs():
    pic = load_site(CATALOGUE / "pic")
    assert (pic.batch, pic.partitions) == ("", ())


@pytest.mark.parametrize(
    ("site", "name", "alias"),
    [
        ("bsc", "acc", "acc_resa"),
        ("bsc", "acc", "acc_debug"),
        ("bsc", "gpp", "gp_resa"),
        ("uma", "exa", "dgx"),
        ("cesga", "ilk", "short"),
        ("cesga", "ilk", "medium"),
        ("cesga", "ilk", "long"),
    ],
)
def test_the_words_of_scripts_name_a_partition(site, name, alias):
    assert alias in partition(load_site(CATALOGUE / site), name).aliases


@pytest.mark.parametrize(
    ("site", "name", "architecture"),
    [
        ("bsc", "ngt-grace", "aarch64"),
        ("scayle", "grace", "aarch64"),
        ("nasertic", "power9", "ppc64le"),
        ("bsc", "acc", "x86_64"),
    ],
)
def test_other_instruction_sets_are_told_apart(site, name, architecture):
    found = partition(load_site(CATALOGUE / site), name)
    assert found.shape.architecture == architecture


def test_a_time_limit_is_the_loosest_sourced_one_that_is_not_on_request():
    acc = partition(load_site(CATALOGUE / "bsc"), "acc")
    assert acc.max_time_s == 72 * 3600  # acc_xlong has 240 h, on request
    assert partition(load_site(CATALOGUE / "cesga"), "ilk").max_time_s is None  # seen, not sourced


def limits(site: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return the partitions of a site's file, each with the QoS whose limits hold for it."""
    file = written(site)
    documented = [
        qos
        for qos in file.get("qos", [])
        if qos["confidence"] == "sourced"
        and not re.search("on request|user script", qos.get("note", ""))
    ]
    return [
        (part, [qos for qos in documented if part["name"] in qos.get("opens", [])])
        for part in file.get("partition", [])
    ]


@pytest.mark.parametrize("site", MEMBERS)
@pytest.mark.parametrize("limit", ["max_time", "max_nodes"])
def test_a_limit_of_a_partition_is_the_loosest_documented_one(site, limit):
    for part, opening in limits(site):
        known = [qos[limit] for qos in opening if limit in qos]
        loosest = max(known, key=lambda text: int(str(text).split(":")[0])) if known else None
        assert part.get(limit) == loosest, part["name"]


@pytest.mark.parametrize("site", MEMBERS)
def test_a_quality_of_service_that_scripts_name_opens_what_it_stands_for(site):
    file = written(site)
    for qos in file.get("qos", []):
        meant = [p["name"] for p in file["partition"] if qos["name"] in p.get("aliases", [])]
        assert not meant or meant == qos["opens"], qos["name"]


def test_no_address_of_a_person_and_only_public_pages():
    for file in CATALOGUE.rglob("*.*"):
        assert not re.search(r"[\w.-]+@[\w-]+\.\w", file.read_text("utf-8")), file
    sources = tomllib.loads((CATALOGUE / "sources.toml").read_text("utf-8"))["source"]
    for key, source in sources.items():
        assert re.fullmatch(r"https?://\S+", source.get("url", "https://none")), key


def test_some_sites_only():
    assert [site.id for site in load_sites(CATALOGUE, only=["upm", "bsc"])] == ["bsc", "upm"]


def test_an_unknown_site_lists_the_known():
    with pytest.raises(InvalidArgument, match=r"no site 'bcs' .*bsc, cesga, .*uv"):
        load_sites(CATALOGUE, only=["bsc", "bcs"])


def test_no_catalogue_at_all(tmp_path):
    with pytest.raises(InvalidArgument, match="no site in"):
        load_sites(tmp_path)
    with pytest.raises(InvalidArgument, match="is not a directory"):
        load_sites(tmp_path / "nowhere")
    assert [each.line for each in check(tmp_path)] == [1]


def test_thirteen_members_work_the_same(tmp_path):
    catalogue = tmp_path / "sites"
    shutil.copytree(CATALOGUE, catalogue)
    shutil.rmtree(catalogue / "pic")
    links = (catalogue / "links.toml").read_text("utf-8")
    without = re.sub(r'\[\[link\]\]\nends = \["pic".*?(?=\n\[\[|\Z)', "", links, flags=re.DOTALL)
    (catalogue / "links.toml").write_text(without, "utf-8")
    _works(catalogue, 13)


def test_sixteen_members_work_the_same(tmp_path):
    catalogue = tmp_path / "sites"
    shutil.copytree(CATALOGUE, catalogue)
    links = (catalogue / "links.toml").read_text("utf-8")
    for name in ("ciemat", "uib"):
        (catalogue / name).mkdir()
        old = (catalogue / "iac" / "site.toml").read_text("utf-8")
        new = old.replace('id = "iac"', f'id = "{name}"')
        (catalogue / name / "site.toml").write_text(new, "utf-8")
        links += f'\n[[link]]\nends = ["{name}", "rediris"]\ngbps = 10\nconfidence = "assumption"\n'
    (catalogue / "links.toml").write_text(links, "utf-8")
    _works(catalogue, 16)


def _works(catalogue: Path, members: int) -> None:
    assert check(catalogue) == []
    sites = load_sites(catalogue)
    assert len(sites) == members
    assert len(load_distances(catalogue, sites).pairs) == members * (members - 1)


def test_a_catalogue_without_links_knows_no_distances(tmp_path):
    shutil.copytree(CATALOGUE / "iac", tmp_path / "iac")
    assert load_distances(tmp_path, load_sites(tmp_path)).pairs == {}


def test_distances_of_some_sites_only_pass_through_the_others():
    sites = load_sites(CATALOGUE, only=["bsc", "pic", "iac"])
    pairs = load_distances(CATALOGUE, sites).pairs
    assert len(pairs) == 6
    assert pairs["bsc", "pic"].gbps == 200
    assert pairs["iac", "bsc"].gbps == 10
    assert 13 < pairs["bsc", "iac"].latency_ms < 17  # some 2,300 km
    assert all(math.isfinite(each.gbps) for each in pairs.values())


# --- against the facts ---------------------------------------------------------------------------

needs_facts = pytest.mark.skipif(not FACTS.is_file(), reason="no shared/facts beside the checkout")
PARTITION_KEYS = {
    "nodes": "nodes", "cores_per_node": "cores", "mem_gb_per_node": "memory",
    "accelerators_per_node": "accelerators", "accelerator_mem_gb": "accelerator_memory",
    "peak_pflops": "peak_pflops", "res_share_pct": "res_share_percent",
    "cpu": "cpu", "note": "note", "sources": "sources", "confidence": "confidence",
}  # fmt: skip


def facts() -> dict[str, dict[str, Any]]:
    if not FACTS.is_file():
        return {}
    return {site["id"]: site for site in json.loads(FACTS.read_text("utf-8"))["sites"]}


def written(site: str) -> dict[str, Any]:
    return tomllib.loads((CATALOGUE / site / "site.toml").read_text("utf-8"))


def in_file(key: str, value: object) -> object:
    """Return a figure of the facts as the catalogue writes it; None is "not there"."""
    if key in ("mem_gb_per_node", "accelerator_mem_gb"):
        return None if value is None else f"{value} GiB"
    if key == "accelerators_per_node":
        return value or None
    return value


@needs_facts
def test_the_members_are_those_of_the_facts():
    assert sorted(facts()) == MEMBERS


@needs_facts
@pytest.mark.parametrize("site", MEMBERS)
def test_figures_of_a_site_are_those_of_the_facts(site):
    fact, file = facts()[site], written(site)
    assert file["name"] == fact["institution"]
    assert (file["location"]["latitude"], file["location"]["longitude"]) == (
        fact["lat"], fact["lon"],
    )  # fmt: skip
    assert file.get("peak_pflops") == fact["peak_pflops"]
    assert file.get("res_share_percent") == fact["res_share_pct"]
    assert file["network"]["gbps"] == fact["network"]["wan_gbps"]
    assert file["network"]["confidence"] == fact["network"]["confidence"]
    assert file["sources"] == fact["sources"]
    assert file.get("rules", []) == fact["rules"]


@needs_facts
@pytest.mark.parametrize("site", [name for name in MEMBERS if name != "pic"])
def test_figures_of_partitions_are_those_of_the_facts(site):
    parts = {part["title"]: part for part in written(site)["partition"]}
    published = facts()[site]["partitions"]
    assert sorted(parts) == sorted(part["name"] for part in published)
    for fact in published:
        part = parts[fact["name"]]
        for key, name in PARTITION_KEYS.items():
            assert part.get(name) == in_file(key, fact[key]), (fact["name"], name)
        memory = fact["accelerator_mem_gb"]
        model = accelerator(fact["accelerator"] or "", memory * 1024 if memory else None)
        assert part.get("accelerator") == (model.name if model else None)


@needs_facts
@pytest.mark.parametrize("site", MEMBERS)
def test_qualities_of_service_are_those_of_the_facts(site):
    found = {qos["name"]: qos for qos in written(site).get("qos", [])}
    names = set()
    for fact in facts()[site].get("qos") or []:
        stem, brace, rest = fact["name"].partition("{")
        plain = re.sub(r"^\(partition\) ", "", fact["name"]).strip("()")
        for name in [stem + end for end in rest.rstrip("}").split(",")] if brace else [plain]:
            names.add(name)
            qos, hours = found[name], fact["max_walltime_h"]
            assert qos.get("max_nodes") == fact["max_nodes"]
            assert qos.get("max_time") == (None if hours is None else f"{hours:02d}:00:00")
            assert qos["confidence"] == fact["confidence"]
            assert qos["partition"] == fact["partition"]
    assert set(found) == names


@needs_facts
def test_links_have_the_speeds_of_the_facts():
    per_site = json.loads(FACTS.read_text("utf-8"))["network"]["per_site_gbps"]
    links = tomllib.loads((CATALOGUE / "links.toml").read_text("utf-8"))["link"]
    access = {link["ends"][0]: link for link in links if link["ends"][0] in per_site}
    assert {name: (link["gbps"], link["confidence"]) for name, link in access.items()} == {
        name: (fact["gbps"], fact["confidence"]) for name, fact in per_site.items()
    }
