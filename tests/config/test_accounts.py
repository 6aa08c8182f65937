"""Files of the accounting: what is exported is imported as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.accounting import ledger
from res_federation.accounting.books import Books
from res_federation.accounting.exchange import ACCELERATOR, CORE
from res_federation.accounting.funds import UNLIMITED
from res_federation.accounting.ledger import Entry, Line
from res_federation.accounting.records import AccessMode, Grant, Pool, PoolKind, Project
from res_federation.config import accounts
from res_federation.config.accounts import Granted
from res_federation.control.events import Usage
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


_RECORDS = ("grant", "pool", "project")


@given(st.lists(granted(), max_size=5))
def test_grants_are_imported_as_they_were_exported(lines):
    read = accounts.read_grants(accounts.write_grants(lines), "x.csv")
    assert [one for _, one in read.rows] == lines
    once = [{getattr(one, what).id: getattr(one, what) for one in lines} for what in _RECORDS]
    alike = all(
        getattr(one, what) == first[getattr(one, what).id]
        for what, first in zip(_RECORDS, once, strict=True) for one in lines
    )  # fmt: skip
    assert bool(read.wrong) != alike, "a record that a file has twice is the same twice"


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
    read = accounts.read_ledger(text, "x.csv")
    assert [one for _, one in read.rows] == entries
    assert not read.wrong


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
    ((line, found),) = accounts.read_grants(GOOD, "x.csv").rows
    assert line == 2
    assert found.grant == Grant("g", "p", "res", "", 1793491200.0, 1803859200.0, 5 * 3600, 0, 1)
    assert found.pool == Pool("res", PoolKind.RES)


@pytest.mark.parametrize(("old", "new", "said"), [
    ("2027", "never", "ends: 'never-03-01' is not a time"),
    (",5,", ",five,", "core_hours: 'five' is not a number of hours"),
    (",B", ",1", "priority: '1' is not a letter"),
    ("g,p", "G P,p", "grant"),
    (",B", ",B,more", "has too many cells"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_line_and_the_others_are_read(old, new, said):
    after = "h,p,res,2026-11-01,2027-03-01,1,A\ng,q,res,2026-11-01,2027-03-01,1,A\n"
    read = accounts.read_grants(GOOD.replace(old, new, 1) + after, "x.csv")
    line, why = read.wrong[0]
    assert line == 2
    assert said in why
    assert [one.grant.id for _, one in read.rows] == ["h", "g"]


def test_a_grant_that_is_there_twice_otherwise_is_wrong():
    after = "g,q,res,2026-11-01,2027-03-01,1,A\n"
    read = accounts.read_grants(GOOD + GOOD.split("\n")[1] + "\n" + after, "x.csv")
    assert read.wrong == [(4, "grant 'g' is otherwise on line 2")]


def test_a_first_line_that_is_wrong_is_refused_and_spreadsheets_are_understood():
    with pytest.raises(InvalidArgument, match="no column 'project'"):
        accounts.read_grants(GOOD.replace("project", "prjkt", 1), "x.csv")
    read = accounts.read_grants("\ufeff" + GOOD.replace(",", ";"), "x.csv")
    assert read == accounts.read_grants(GOOD, "x.csv")


USED = "grant,once,core_hours,note\na,site:1,2.5,by hand\n"


def test_uses_are_read_and_each_has_a_name_of_its_own():
    assert accounts.read_usage(USED, "x.csv").rows == [
        (2, Usage("a", "site:1", 9000, 0, "by hand"))
    ]
    assert not accounts.read_usage(USED + "a,site:1,2.5,by hand\n", "x.csv").wrong
    for line, said in (
        ("a,site:1,3,", "once: 'site:1' is otherwise on line 2"), ("a,,3,", "once: is empty"),
        (",site:2,3,", "grant: is empty"), ("a,site:2,,", "no hours were used"),
        ("a,site:2,unlimited,", "no hours were used"), ("a,site:2,-3,", "not a number of hours"),
    ):  # fmt: skip
        ((number, why),) = accounts.read_usage(f"{USED}{line}\n", "x.csv").wrong
        assert number == 3
        assert said in why


def test_of_a_ledger_what_runs_and_imports_used_counts_and_it_has_to_balance():
    books = Books(kept=True)
    grant = Grant("a", "p", "res", "", 0.0, 1e9, 1000, 10)
    books.put_grant(grant)
    entries = [
        ledger.adjust(books, grant, 0.0, "granted"),
        ledger.reserve(books, grant, (100, 2), 1.0, "run-1"),
        ledger.settle(books, grant, (100, 2), (60, 1), 2.0, "run-1", given=("csuc", "uv", 60_000)),
        ledger.reserve(books, grant, (100, 2), 3.0, "run-2"),
        ledger.settle(books, grant, (100, 2), (0, 0), 4.0, "run-2"),
        ledger.charge(books, grant, (7, 0), 5.0, once="csuc:4:9", note="f"),
    ]
    text = "".join(accounts.write_ledger(entries))
    found = accounts.usage_of(accounts.read_ledger(text, "x.csv"))
    assert not found.wrong
    assert [one for _, one in found.rows] == [
        Usage("a", "run:run-1", 60, 1), Usage("a", "csuc:4:9", 7, 0, "f"),
    ]  # fmt: skip
    cut = text.replace(",60,1,0,", ",61,1,0,")
    ((line, why),) = accounts.usage_of(accounts.read_ledger(cut, "x.csv")).wrong
    assert (text.split("\n")[line - 1].split(",")[2], why) == (
        "settled", "entry 3 does not sum to zero"
    )  # fmt: skip


def test_the_catalogue_has_factors_for_cores_and_accelerators(tmp_path: Path) -> None:
    rates = accounts.load_factors(SITES)
    assert rates[CORE] == 1000
    assert rates["bsc/mn5/acc:accelerator"] > rates["h100"] > rates["a100"] > rates[ACCELERATOR]
    assert accounts.load_factors(tmp_path) == {}
    (tmp_path / "exchange.toml").write_text('unit = "x"\n[[core]]\nof = "a"\n')
    with pytest.raises(InvalidArgument):
        accounts.load_factors(tmp_path)
