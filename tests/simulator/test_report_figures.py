"""The arithmetic of a report against a plain count, second by second."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from res_federation.simulator import report_figures as figures
from res_federation.simulator.report_files import Jobs

A_JOB = st.tuples(st.integers(0, 50), st.integers(0, 30), st.integers(0, 40), st.integers(1, 9))


def jobs_of(found: list[tuple[int, int, int, int]], first: int) -> Jobs:
    submit, wait, run, procs = (np.array(column, np.int64) for column in zip(*found, strict=True))
    zeros = np.zeros(len(found), np.int64)
    return Jobs(
        site=zeros, partition=zeros, submit=first + submit, start=first + submit + wait,
        end=first + submit + wait + run, procs=procs, group=zeros - 1,
        sites=("a",), partitions=("a/c/p",), groups=(), never_ran=0,
    )  # fmt: skip


@given(st.lists(A_JOB, min_size=1, max_size=30), st.sampled_from([0, 1_700_000_000]))
def test_processors_in_use_are_those_of_a_plain_count(found, first):
    jobs = jobs_of(found, first)
    edges = np.arange(first, int(jobs.end.max()) + 2, dtype=float)

    seen = figures.busy(jobs, jobs.site, 1, edges)[0]

    plain = [
        sum(int(p) for s, e, p in zip(jobs.start, jobs.end, jobs.procs, strict=True) if s <= t < e)
        for t in edges[:-1]
    ]
    assert np.allclose(seen, plain)
    assert figures.peak(jobs, jobs.site, 1)[0] == max(*plain, 1)


@given(st.lists(A_JOB, min_size=1, max_size=30))
def test_no_work_is_lost_in_bins_of_any_width(found):
    jobs = jobs_of(found, 0)
    edges = figures.bins(jobs, most=7)
    area = (figures.busy(jobs, jobs.site, 1, edges) * np.diff(edges)).sum()
    assert np.isclose(area, (jobs.procs * (jobs.end - jobs.start)).sum())


@given(st.lists(A_JOB, min_size=1, max_size=60))
def test_every_job_is_in_one_class(found):
    jobs = jobs_of(found, 0)
    classes = figures.wait_classes(jobs)
    assert classes.count.sum() == len(jobs)
    assert (np.isnan(classes.median) == (classes.count == 0)).all()
    (site,) = figures.treatments(jobs, jobs.site, jobs.sites)
    assert site.jobs == len(jobs)
    assert np.isclose(site.mean_wait, figures.waits(jobs).mean())
    assert site.slowdown >= 1.0


def test_jains_index_tells_equal_from_unequal():
    assert figures.jain([2.0, 2.0, 2.0]) == 1.0
    assert figures.jain([1.0, 0.0, 0.0, 0.0]) == 0.25
    assert figures.jain([]) is None
