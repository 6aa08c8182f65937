"""What other people's jobs are called cannot hide, change or invent anybody's job."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from res_federation.errors import FederationError
from res_federation.slurm import json_jobs, ping, sacct, squeue
from tests.slurm_text.squeue_printer import ROW, lines

TOKEN = "01J9Z0000000000000000000AA-1"
OURS = {"JobID": "41", "Name": TOKEN, "Comment": f"{TOKEN} 1/1"}
NEXT = {"JobID": "43", "Name": "next"}
# The shortest row that names a run of ours: bars, a number, a state, name and comment.
FORGED = "\n9|||CA" + "|" * (len(ROW) - 5) + TOKEN.ljust(48) + "|" + f"{TOKEN} 1/1"
WORDS = st.one_of(
    st.binary(max_size=140),
    st.text(max_size=80).map(lambda text: text.encode(errors="replace")),
    st.text(alphabet="\n|9CA ñ\N{REPLACEMENT CHARACTER}\u2028\x0c\r", max_size=120).map(str.encode),
    st.integers(0, 120).map(lambda cut: FORGED.encode()[-cut:]),
    st.integers(0, 100).map(lambda cut: FORGED.encode()[:cut]),
)


@given(WORDS, WORDS)
@example(FORGED.encode()[:48], FORGED.encode()[49:])
@example(b"\n" * 48, b"\n" * 64)
@example(b"\xff" * 40 + b"\n9|||CA", b"|" * 64)
@example(("a" + "日" * 30).encode(), ("ab" + "日" * 30).encode())
@example("\N{REPLACEMENT CHARACTER}".encode() * 16, FORGED.encode())
def test_no_name_and_no_comment_change_what_is_read_of_other_jobs(
    name: bytes, comment: bytes
) -> None:
    """The rows before and after are read, once each, and none of our name comes to be."""
    text = lines(OURS, {"JobID": "42", "Name": name, "Comment": comment}, NEXT)
    jobs, _ = squeue.read(text)
    (ours,) = [job for job in jobs if job.name == TOKEN and job.number != 42]
    assert (ours.number, ours.state.word) == (41, "RUNNING")
    assert [job.name for job in jobs if job.number == 43] == ["next"]
    assert len([job for job in jobs if job.number == 42]) <= 1
    assert {job.number for job in jobs} <= {41, 42, 43}


@given(st.text(max_size=140), st.text(max_size=140))
def test_a_job_of_any_decodable_name_is_read(name: str, comment: str) -> None:
    """Only genuine replacement characters cost their own job its row."""
    hidden = "\N{REPLACEMENT CHARACTER}"
    name, comment = name.replace(hidden, ""), comment.replace(hidden, "")
    encodable = [text.encode(errors="replace") for text in (name, comment)]
    jobs, bad = squeue.read(lines({"Name": encodable[0], "Comment": encodable[1]}))
    assert (len(jobs), bad) == (1, 0)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_by_every_reader(raw: bytes) -> None:
    text = raw.decode(errors="replace")
    for read in (squeue.read, sacct.read):
        jobs, bad = read(text)
        assert len(jobs) + bad <= text.count("\n") + 1
    for read_json in (json_jobs.read_queue, json_jobs.read_accounting):
        try:
            read_json(text)
        except FederationError as error:
            assert str(error)
    assert ping.up(text) in (True, False)


@given(st.lists(st.sampled_from([*"|\n0129CA_[]-,.:"]), max_size=300).map("".join))
def test_bars_and_newlines_in_any_order_are_read(text: str) -> None:
    for jobs in (squeue.read(text)[0], sacct.read(text)[0]):
        for job in jobs:
            job.array_indices()
