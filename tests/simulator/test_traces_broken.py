"""Broken input: a clear error, or a counted repair; never a part that is taken for the whole."""

import gzip
import io
import os
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from res_federation.errors import InvalidArgument
from res_federation.simulator.traces.read import FORMATS, read_trace
from res_federation.simulator.traces.source import LONGEST_LINE
from tests.strategies import examples

JOB = b"1 0 -1 10 4 -1 -1 4 20 -1 1 1 1 1 1 1 -1 -1\n"


def write(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "trace.swf"
    file.write_bytes(data)
    return file


def refused(path: Path | str, match: str, **options) -> InvalidArgument:
    with pytest.raises(InvalidArgument, match=match) as caught:
        read_trace(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "of no format"),
        (b"\n \n", "of no format"),
        (b"; MaxProcs: 100\n", "has no jobs"),
        (b"\x7fELF\0\0\1\2", "is not text"),
        (bytes(range(1, 256)) * 9, "of no format"),
        (b"Dear all,\nplease find attached\n", "of no format"),
        (b"; x\none two three\n", "none of its 1 lines is a job of the format swf"),
        (b"BZh91AY&SY", "packed with bzip2"),
        (b"\xfd7zXZ\0\0", "packed with xz"),
        (b"\x1f\x8b", "ends too early"),
        (b"\x1f\x8bnonsense", "is damaged"),
    ],
)
def test_no_trace(tmp_path, data, match):
    refused(write(tmp_path, data), match)


def test_gzip_that_was_cut_off(tmp_path):
    packed = gzip.compress(JOB * 500)
    assert len(read_trace(write(tmp_path, packed))) == 500
    for size in [
        *range(2, 20),
        *range(20, len(packed) - 8, 7),
        *range(len(packed) - 8, len(packed)),
    ]:
        refused(write(tmp_path, packed[:size]), "ends too early, jobs are missing")


def test_gzip_that_was_cut_off_far_behind_the_first_jobs(tmp_path):
    lines = b"".join(b"%d %s" % (k, JOB[2:]) for k in range(300_000))
    packed = gzip.compress(lines, 1)
    refused(write(tmp_path, packed[:-100]), "ends too early", first=5)


def test_gzip_with_a_wrong_sum(tmp_path):
    packed = bytearray(gzip.compress(JOB * 500))
    packed[-6] ^= 1
    refused(write(tmp_path, bytes(packed)), "is damaged")


def test_gzip_in_several_members_with_padding(tmp_path):
    data = gzip.compress(JOB) + gzip.compress(JOB) + b"\0" * 100
    assert len(read_trace(write(tmp_path, data))) == 2
    refused(write(tmp_path, gzip.compress(JOB) + b"and more"), "is damaged")


def test_a_line_that_does_not_end(tmp_path):
    long = b"7 " * LONGEST_LINE
    error = refused(write(tmp_path, JOB + JOB + long), "line 3 is longer than 1,048,576 bytes")
    assert "a line for each job" in error.way_out
    refused(write(tmp_path, JOB + long + b"\n" + JOB * 9), "line 2 is longer")
    refused(write(tmp_path, gzip.compress(JOB + b"\0" * 80_000_000)), "line 2 is longer")


def test_the_longest_line_that_is_read(tmp_path):
    line = JOB.rstrip(b"\n").ljust(LONGEST_LINE) + b"\n"
    assert len(read_trace(write(tmp_path, line * 5 + JOB))) == 6
    refused(write(tmp_path, JOB + b" " + line), "line 2 is longer")


def test_a_gzip_bomb(tmp_path):
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(pack.compress(JOB * 20_000) for _ in range(20)) + pack.flush()
    file = write(tmp_path, data)
    error = refused(file, "more than 1,000,000 bytes when unpacked", limit_bytes=1_000_000)
    assert "--limit-bytes" in error.way_out
    assert len(read_trace(file)) == 400_000


def test_places_that_hold_no_trace(tmp_path):
    refused(tmp_path, "is a directory")
    refused(tmp_path / "nothing", "no such file")
    refused("a\0b", "is no file name")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "'-'" in refused(fifo, "is no regular file").way_out
    refused("/dev/null", "is no regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else(tmp_path):
    file = write(tmp_path, JOB)
    file.chmod(0)
    refused(file, "permission denied")


def test_standard_input(tmp_path, monkeypatch):
    with write(tmp_path, gzip.compress(JOB * 3)).open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        work = read_trace("-")
    assert (len(work), work.name) == (3, "standard input")


@pytest.mark.parametrize(
    ("options", "match"),
    [({"form": "xls"}, "there is no format 'xls'"), ({"first": 0}, "0 is no number of jobs")],
)
def test_options(tmp_path, options, match):
    refused(write(tmp_path, JOB), match, **options)


def test_marks_of_windows(tmp_path):
    work = read_trace(write(tmp_path, b"\xef\xbb\xbf" + JOB.replace(b"\n", b"\r\n") * 2))
    assert work.line.tolist() == [1, 2]


def test_no_newline_at_the_end(tmp_path):
    assert len(read_trace(write(tmp_path, JOB * 2 + JOB.rstrip()))) == 3


WORDS = st.sampled_from(
    b"; |,|.|-1|7|\n|\r\n|\t| |1e5|JobID|JobID\\|Submit\\|Elapsed\\|ReqCPUS\n|-dt|"
    b"-dt 1 -e submit_batch_job \\| |-sim-walltime 5 |-n 1 |name,cpu_milli,memory_mib,num_gpu,"
    b"gpu_milli,gpu_spec,creation_time,deletion_time,scheduled_time\n|\0|\xff|1700000000|00:01:00|"
    b"99999999999999999999".replace(b"\\|", b"\x01").split(b"|")
).map(lambda word: word.replace(b"\x01", b"|"))


@settings(max_examples=examples(200), deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.lists(st.one_of(WORDS, st.just(JOB), st.just(b"|")), max_size=60).map(b"".join),
    ),
    form=st.sampled_from(["", *FORMATS]),
    packed=st.booleans(),
)
def test_anything_is_a_workload_or_a_clear_refusal(tmp_path_factory, data, form, packed):
    file = tmp_path_factory.mktemp("any") / "trace"
    file.write_bytes(gzip.compress(data) if packed else data)
    try:
        work = read_trace(file, form=form)
    except InvalidArgument as error:
        assert str(file) in error.message
        return
    assert work.read == len(work) + sum(work.dropped.values())
    assert (work.runtime >= 1).all()
    assert (work.procs >= 1).all()
    assert (work.estimate >= work.runtime).all()
    assert (work.submit[1:] >= work.submit[:-1]).all()
    assert (work.shape < len(work.shapes)).all()
    assert {*work.first_lines} == {*work.dropped, *work.repaired}
