"""The Standard Workload Format against the oracle, and against a reader that is obviously right."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.simulator.traces import rules
from res_federation.simulator.traces.read import fit_to, read_trace
from tests.strategies import examples

SHARED = Path(__file__).parents[2].parent / "shared"
TRACES = SHARED / "traces"
ORACLE = SHARED / "oracle"
KTH = "KTH-SP2-1996-2.1-cln.swf.gz"


def shared(path: Path) -> Path:
    if not path.exists():
        pytest.skip("the shared traces are not here")
    return path


def rows(work):
    """Return the jobs in the order of the file."""
    order = work.line.argsort()
    columns = (work.job_ids, work.submit, work.procs, work.runtime, work.estimate)
    return list(zip(*(column[order].tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("name", "trace", "first", "processors"),
    [
        ("kth-sp2-5k", TRACES / KTH, 5000, 100),
        ("kth-sp2-full", TRACES / KTH, None, 100),
        ("micro-ties", ORACLE / "micro-ties" / "raw.swf", None, 10),
    ],
)
def test_jobs_of_the_oracle(name, trace, first, processors):
    work = fit_to(read_trace(shared(trace), first=first), processors)
    with gzip.open(shared(ORACLE / name / "jobs.csv.gz"), "rt", encoding="ascii") as file:
        expected = [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]
    assert rows(work) == expected
    assert (work.submit[1:] >= work.submit[:-1]).all()
    assert work.read == len(work) + sum(work.dropped.values())


@pytest.mark.parametrize(
    ("name", "processors", "read", "dropped", "repaired"),
    [
        (KTH, 100, 28_476, {rules.NO_PROCESSORS: 1},
         {rules.ZERO_RUN_TIME: 8, rules.LOW_ESTIMATE: 475}),
        ("SDSC-SP2-1998-first5k.swf.gz", 128, 4_961, {rules.NEGATIVE_RUN_TIME: 355},
         {rules.LOW_ESTIMATE: 309}),
        ("NASA-iPSC-1993-3.1-cln.swf.gz", 128, 18_239, {},
         {rules.ZERO_RUN_TIME: 173, rules.NO_ESTIMATE: 18_239}),
    ],
)  # fmt: skip
def test_counts_of_the_index(name, processors, read, dropped, repaired):
    work = read_trace(shared(TRACES / name))
    assert (work.processors, work.read) == (processors, read)
    assert work.dropped == dropped
    assert work.repaired == repaired
    assert work.form == "swf"
    assert len(work) == read - sum(dropped.values())


def test_first_submit_of_kth_is_not_its_start():
    assert read_trace(shared(TRACES / KTH)).submit[0] == 599_850


FIELDS = 18
NUMBER = st.one_of(
    st.integers(-1, 5),
    st.integers(0, 10**6),
    st.decimals(-10, 10**6, allow_nan=False, allow_infinity=False, places=2),
)
SPACE = st.text(st.sampled_from(" \t\f\v"), min_size=1, max_size=3)


@st.composite
def job_line(draw):
    numbers = draw(st.lists(NUMBER, min_size=1, max_size=22))
    blanks = draw(st.lists(SPACE, min_size=len(numbers), max_size=len(numbers)))
    line = "".join(f"{number}{blank}" for number, blank in zip(numbers, blanks, strict=True))
    return draw(st.sampled_from(["", " ", "\t "])) + (line if draw(st.booleans()) else line.strip())


COMMENT = st.builds(
    lambda space, text: f"{space};{text}",
    st.sampled_from(["", "  "]),
    st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=20),
)
TEXT = st.lists(
    st.tuples(
        st.one_of(job_line(), job_line(), COMMENT, st.just(""), st.just("  ")),
        st.sampled_from(["\n", "\r\n"]),
    ),
    min_size=1,
    max_size=12,
)


def slowly(text: str, first: int | None):
    """Return what section 1 of the conventions makes of a text, one line at a time."""
    jobs, counts, seen = [], dict.fromkeys(["broken", "run", "procs"], 0), 0
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or line.lstrip().startswith(";"):
            continue
        seen += 1
        if first is not None and seen > first:
            break
        if len(words) < 9:
            counts["broken"] += 1
            continue
        values = [int(Decimal(word)) for word in words[:18]]
        procs = values[7] if values[7] > 0 else values[4]
        run, estimate = values[3], values[8]
        if run < 0:
            counts["run"] += 1
        elif procs <= 0:
            counts["procs"] += 1
        else:
            run = max(run, 1)
            estimate = run if estimate <= 0 else max(estimate, run)
            jobs.append((values[1], number, values[0], procs, run, estimate))
    return sorted(jobs, key=lambda job: job[:2]), counts, min(seen, first or seen)


@settings(max_examples=examples(100), deadline=None)
@given(lines=TEXT, first=st.one_of(st.none(), st.integers(1, 10)), packed=st.booleans())
def test_as_a_slow_reader(tmp_path_factory, lines, first, packed):
    text = "; Version: 2\n" + "".join(line + end for line, end in lines)
    file = tmp_path_factory.mktemp("swf") / "trace"
    data = text.encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    jobs, counts, seen = slowly(text, first)
    if counts["broken"] == seen:
        with pytest.raises(InvalidArgument, match=r"has no jobs|none of its"):
            read_trace(file, first=first)
        return
    work = read_trace(file, first=first)
    columns = (work.submit, work.line, work.job_ids, work.procs, work.runtime, work.estimate)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == jobs
    assert work.read == seen
    assert work.dropped.get(rules.BROKEN_LINE, 0) == counts["broken"]
    assert work.dropped.get(rules.NEGATIVE_RUN_TIME, 0) == counts["run"]
    assert work.dropped.get(rules.NO_PROCESSORS, 0) == counts["procs"]


def write(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "trace.swf"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


JOB = "{} {} -1 {} {} -1 -1 {} {} -1 1 {} 1 1 {} 1 -1 -1"


def job(number=1, submit=0, run=10, procs=1, estimate=20, user="1", queue="1"):
    return JOB.format(number, submit, run, procs, procs, estimate, user, queue)


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("1e2", 100), ("+7", 7), ("7.", 7), (".9", 1), ("0000000000000000000000012", 12)],
)
def test_numbers_written_otherwise(tmp_path, word, seconds):
    assert read_trace(write(tmp_path, job(run=word, estimate=500))).runtime.tolist() == [seconds]


@pytest.mark.parametrize("word", ["nan", "inf", "1:20", "abc", "--1", "1e", "0x10", "."])
def test_words_are_no_run_time(tmp_path, word):
    work = read_trace(write(tmp_path, job(), job(2, run=word)))
    assert work.dropped == {rules.BROKEN_LINE: 1}
    assert work.first_lines == {rules.BROKEN_LINE: 2}


def test_a_word_as_user_is_unknown(tmp_path):
    work = read_trace(write(tmp_path, job(user="anna", queue="?")))
    assert (work.user.tolist(), work.queue.tolist()) == ([-1], [-1])
    assert work.repaired == {rules.NO_NUMBER: 2}


@pytest.mark.parametrize("submit", ["99999999999999999", "1e90", "9" * 400, "-1e30"])
def test_numbers_that_no_clock_shows_are_left_out(tmp_path, submit):
    work = read_trace(write(tmp_path, job(), job(2, submit=submit)))
    assert work.dropped == {rules.OUT_OF_RANGE: 1}
    assert work.job_ids.tolist() == [1]


def test_a_limit_without_an_end_is_lowered(tmp_path):
    work = read_trace(write(tmp_path, job(estimate=2**64 - 1)))
    assert work.estimate.tolist() == [100_000_000_000]
    assert work.repaired == {rules.HIGH_ESTIMATE: 1}


def test_disorder_is_sorted_and_counted(tmp_path):
    lines = [job(1, 50), job(2, 10), job(3, 50), job(4, 10)]
    work = read_trace(write(tmp_path, *lines))
    assert work.job_ids.tolist() == [2, 4, 1, 3]
    assert work.repaired == {rules.DISORDER: 2}
    assert work.line.tolist() == [2, 4, 1, 3]


def test_header(tmp_path):
    head = ("; MaxNodes: 64", "; MaxProcs: 1,024", "", ";Queue: 0 batch", "; Queue: 2 debug")
    work = read_trace(write(tmp_path, *head, job()))
    assert work.processors == 1024
    assert work.queues == ("batch", "", "debug")


def test_nodes_where_the_header_has_no_processors(tmp_path):
    lines = ("; MaxNodes: 64", "; MaxProcs: -1", job())
    assert read_trace(write(tmp_path, *lines)).processors == 64


def test_short_lines_have_unknown_users(tmp_path):
    work = read_trace(write(tmp_path, "1 0 -1 10 4 -1 -1 4 20"))
    assert (work.user.tolist(), work.queue.tolist()) == ([-1], [-1])
    assert work.repaired == {rules.SHORT_LINE: 1}


@pytest.mark.parametrize("many", [19, 21])
def test_more_columns_than_eighteen(tmp_path, many):
    line = job() + " 7.5" * (many - 18)
    assert len(read_trace(write(tmp_path, line, line))) == 2


def test_blocks_and_lines_across_them(tmp_path):
    lines = [job(number, number) for number in range(150_000)]  # more than one block
    lines[140_000] = "broken line"
    work = read_trace(write(tmp_path, *lines))
    assert work.first_lines == {rules.BROKEN_LINE: 140_001}
    assert len(work) == 149_999
    assert work.line[-1] == 150_000


def test_jobs_larger_than_the_machine(tmp_path):
    work = read_trace(write(tmp_path, job(1, procs=8), job(2, procs=9), job(3, procs=1)))
    fitted = fit_to(work, 8)
    assert fitted.job_ids.tolist() == [1, 3]
    assert fitted.dropped == {rules.TOO_LARGE: 1}
    assert fitted.shape.tolist() == [-1, -1]
    assert fit_to(fitted, 8) is fitted
