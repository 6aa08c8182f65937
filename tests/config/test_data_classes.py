"""Classes of data and the rule of sites as files: what is wrong is told, what is written holds."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from res_federation.config.data_classes import load_data_classes
from res_federation.config.site_writer import site_text
from res_federation.config.sites import check, load_site, load_sites
from res_federation.errors import InvalidArgument
from res_federation.model.confidence import Confidence
from res_federation.model.governance import Ens, Fact, Owner
from res_federation.placement.residency import barred
from res_federation.wire.governance import governance_from_message, governance_to_message
from tests.builders import a_job
from tests.config.test_faults import GOOD

ROOT = Path(__file__).parents[2]
RULE = """
[governance]
country = "ES"
operator = "A house"
owner = "private"
jurisdictions = ["ES", "EU", "US"]
ens = "medio"
certifications = ["iso-27001"]
cloud = true
confidence = "sourced"
confidence_of = { ens = "assumption" }
note = "made up"
"""


def _site(directory: Path, rule: str) -> Path:
    (directory / "here").mkdir()
    file = directory / "here" / "site.toml"
    file.write_text(GOOD + rule)
    return file


def test_the_rule_of_a_site_is_read_written_and_sent_as_it_stands(tmp_path: Path):
    site = load_site(_site(tmp_path, RULE))
    known = site.governance
    assert known is not None
    assert (known.owner, known.ens, known.cloud) == (Owner.PRIVATE, Ens.MEDIO, True)
    assert dict(known.confidence)[Fact.ENS] is Confidence.ASSUMPTION
    assert not known.known(Fact.ENS, (Confidence.SOURCED,))
    again = tmp_path / "again.toml"
    again.write_text(site_text(site))
    assert load_site(again).governance == known
    message = governance_to_message(known)
    assert message is not None
    assert governance_from_message(message) == known


def test_a_site_without_the_table_is_known_for_nothing(tmp_path: Path):
    assert load_site(_site(tmp_path, "")).governance is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["ES", "EU", "US"]', '["EU", "PT"]', "governance.jurisdictions: 'ES', where it stands"),
        ('["ES", "EU", "US"]', '["ES", "US"]', "add 'EU'"),
        ('"US"]', '"USA"]', "no code of a country"),
        ('"medio"', '"media"', "one of: basico, medio, alto"),
        ('"private"', '"mine"', 'write "public" or "private"'),
        ("cloud = true", 'cloud = "yes"', "governance.cloud"),
        ("cloud =", "clowd =", "unknown key 'clowd'; did you mean 'cloud'?"),
        ("{ ens =", "{ esn =", "'esn' is no fact"),
    ],
)
def test_a_fault_of_the_rule_is_told(tmp_path: Path, old: str, new: str, says: str):
    problems = check(_site(tmp_path, RULE.replace(old, new, 1)))
    assert any(says in str(problem) for problem in problems), problems


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[class]]\nname = "a"\n[[class]]\nname = "a"\n', "'a' stands here twice"),
        ('[[class]]\nname = "a"\n[projects]\np = "b"\n', "'b' is no [[class]]; there is: a"),
        ('[[class]]\nname = "a"\njurisdiction = ["ES"]\n', "did you mean 'jurisdictions'?"),
        ('[[class]]\nname = "a"\ntrusted = []\n', "trusted"),
    ],
)
def test_a_fault_of_the_classes_is_told(tmp_path: Path, text: str, says: str):
    (tmp_path / "data-classes.toml").write_text(text)
    _site(tmp_path, "")
    with pytest.raises(InvalidArgument, match=r"data-classes\.toml") as caught:
        load_data_classes(tmp_path)
    assert says in str(caught.value)
    assert any(says in str(problem) for problem in check(tmp_path))


def test_a_catalogue_without_classes_knows_none(tmp_path: Path):
    assert not load_data_classes(tmp_path).classes


def test_each_class_of_the_catalogue_is_stricter_than_the_one_before():
    classes = list(load_data_classes(ROOT / "sites").classes.values())
    for before, after in itertools.pairwise(classes):
        assert after.laxer(before) == ""
        assert before.laxer(after)


def test_the_table_of_the_documentation_is_what_the_catalogue_says():
    rules = load_data_classes(ROOT / "sites")
    page = (ROOT / "docs" / "residency.md").read_text()
    heads = re.search(r"^\| site \|(.*)\| unknown", page, re.MULTILINE)
    assert heads is not None
    names = [word.strip() for word in heads[1].split("|")]
    assert names == list(rules.classes)
    for site in load_sites(ROOT / "sites"):
        line = re.search(rf"^\| {site.id} \|(.*)\|$", page, re.MULTILINE)
        assert line is not None, site.id
        *said, unknown = [word.strip() for word in line[1].split("|")]
        found = [
            "yes" if barred(a_job(data_class=name).spec, site.governance, rules) is None else "no"
            for name in names
        ]
        assert said == found, site.id
        known = site.governance
        assert known is not None
        trusted = rules.classes["health-administration"].trusted
        asked = (Fact.JURISDICTIONS, Fact.ENS, Fact.COUNTRY, Fact.CLOUD)
        missing = [fact.name.lower() for fact in asked if not known.known(fact, trusted)]
        assert unknown == ", ".join(missing), site.id
