"""Files of the accounting: what is exported is imported as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.accounting.exchange import ACCELERATOR, CORE
from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.ledger import Entry, Line
from res_federation.accounting.records import AccessMode, Grant, Pool, PoolKind, Project
from res_federation.config import accounts
from res_federation.config.accounts import Granted
from res_federation.errors import InvalidArgument

SITES = Path(__file__).resolve().parents[2] / "sites"
words = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
amounts = st.one_of(st.just(UNLIMITED), st.integers(0, (1 << 53) - 1))
times = st.integers(0, 4_000_000_000).map(float)


@st.composite
def granted(draw: st.DrawFn) -> Granted:
    kind = draw(st.sampled_from(PoolKind))
    mode = draw(st.sampled_from(AccessMode)) if kind is PoolKind.AI_FACTORY else AccessMode.NONE
    pool, project = Pool(draw(words), kind, mode), Project(draw(words), draw(texts), draw(words))
    begins = draw(times)
    grant = Grant(
        draw(words), project.id, pool.id, draw(st.just("") | words), begins,
        begins + draw(st.integers(1, 10**7)), draw(amounts), draw(amounts),
        draw(st.integers(0, 25)), draw(texts),
    )  # fmt: skip
    return Granted(grant, pool, project)


@given(st.lists(granted(), max_size=5))
def test_grants_are_imported_as_they_were_exported(lines):
    assert accounts.read_grants(accounts.write_grants(lines), "x.csv") == lines


_lines = st.lists(
    st.builds(
        Line, words.map(lambda word: f"grant:{word}:used"), st.integers(), st.integers(),
        st.integers(),
    ),
    max_size=4,
).map(tuple)  # fmt: skip
_entries = st.builds(
    Entry, st.integers(1), st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000), words,
    words, words, words, _lines, texts, texts,
)  # fmt: skip


@given(st.lists(_entries, max_size=5, unique_by=lambda entry: entry.number))
def test_a_ledger_is_read_as_it_was_written(entries):
    text = "".join(accounts.write_ledger(iter(entries)))
    assert accounts.read_ledger(text, "x.csv") == entries


@pytest.mark.parametrize(("text", "seconds"), [
    ("", 0), ("1", 3600), ("0.25", 900), ("1:00:01", 3601), ("unlimited", UNLIMITED),
])  # fmt: skip
def test_hours_are_exact_to_the_second(text, seconds):
    assert accounts.seconds(text, "hours") == seconds
    assert accounts.seconds(accounts.hours(seconds), "hours") == seconds


@pytest.mark.parametrize("text", ["x", "-1", "0.0001", "1:2", "nan", "inf", "1:00:00:00", "1e400"])
def test_what_are_no_hours_are_refused(text):
    with pytest.raises(InvalidArgument):
        accounts.seconds(text, "hours")


GOOD = "grant,project,pool,begins,ends,core_hours,priority\ng,p,res,2026-11-01,2027-03-01,5,B\n"


def test_a_short_file_is_enough():
    (found,) = accounts.read_grants(GOOD, "x.csv")
    assert found.grant == Grant("g", "p", "res", "", 1793491200.0, 1803859200.0, 5 * 3600, 0, 1)
    assert found.pool == Pool("res", PoolKind.RES)


@pytest.mark.parametrize(("old", "new", "said"), [
    ("2027", "never", "line 2: ends: 'never-03-01' is not a time"),
    (",5,", ",five,", "line 2: core_hours: 'five' is not a number of hours"),
    (",B", ",1", "line 2: priority: '1' is not a letter"),
    ("project", "prjkt", "no column 'project'"),
    ("g,p", "G P,p", "line 2"),
    (",B", ",B,more", "line 2 has too many cells"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(old, new, said):
    with pytest.raises(InvalidArgument) as told:
        accounts.read_grants(GOOD.replace(old, new, 1), "x.csv")
    assert said in str(told.value)


def test_the_catalogue_has_factors_for_cores_and_accelerators(tmp_path: Path) -> None:
    rates = accounts.load_factors(SITES)
    assert rates[CORE] == 1000
    assert rates["bsc/mn5/acc:accelerator"] > rates["h100"] > rates["a100"] > rates[ACCELERATOR]
    assert accounts.load_factors(tmp_path) == {}
    (tmp_path / "exchange.toml").write_text('unit = "x"\n[[core]]\nof = "a"\n')
    with pytest.raises(InvalidArgument):
        accounts.load_factors(tmp_path)
