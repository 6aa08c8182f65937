from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from res_federation.agent.disk import open_database, write_whole
from res_federation.agent.journal import Journal, Phase
from res_federation.errors import FailedPrecondition, ResourceExhausted
from res_federation.model.accelerators import AcceleratorNeed
from res_federation.model.identifiers import PartitionId, RunToken, SiteId
from res_federation.model.job import JobSpec, RunObservation, TaskOutcome
from res_federation.model.job_state import JobState
from res_federation.model.resources import ResourceRequest

HERE = SiteId("here")
TOKEN = RunToken("01J0000000000000000000000A-1")
SPEC = JobSpec(
    name="ä/..", user="ana", script="#!/bin/sh\n", array=(1, 5), environment=(("A", "b=c"),),
    request=ResourceRequest(nodes=2, accelerator=AcceleratorNeed("a100", 1, "a100:x")),
)  # fmt: skip


def intend(journal: Journal, token: RunToken = TOKEN) -> list[RunToken]:
    return journal.intend([(token, PartitionId("here/box/cpu"), SPEC, False)], 1.0)


def test_a_run_is_kept_through_its_phases(tmp_path: Path) -> None:
    journal = Journal(tmp_path, HERE)
    assert intend(journal) == [TOKEN]
    assert intend(journal) == []
    (entry,) = journal.live()
    assert (entry.spec, entry.phase) == (SPEC, Phase.INTENDED)
    journal.submitting([TOKEN], 2.0)
    journal.accepted({TOKEN: "17"}, 3.0)
    name = journal.id
    journal.close()
    journal = Journal(tmp_path, HERE)
    assert journal.id == name
    (entry,) = journal.live()
    assert (entry.batch_id, entry.phase) == ("17", Phase.ACCEPTED)
    task = TaskOutcome(1, JobState.FAILED, exit_code=3, started=1.5, ended=2.5)
    over = RunObservation(TOKEN, JobState.FAILED, exit_code=3, begun=True, tasks=(task,))
    journal.forget([TOKEN], 4.0)
    assert journal.live() != []  # what has not ended is not forgotten
    journal.ended([over], 4.0)
    assert journal.live()[0].observation == over
    journal.forget([TOKEN], 5.0)
    assert journal.live() == []
    assert intend(journal) == [], "a tombstone keeps its token from starting again"
    assert journal.forgotten_before(6.0) == [TOKEN]
    journal.close()


def test_two_agents_cannot_share_a_directory(tmp_path: Path) -> None:
    journal = Journal(tmp_path, HERE)
    with pytest.raises(FailedPrecondition, match=rf"in use by another agent.*{os.getpid()}"):
        Journal(tmp_path, HERE)
    journal.close()
    with pytest.raises(FailedPrecondition, match="belongs to site 'here'"):
        Journal(tmp_path, SiteId("there"))
    Journal(tmp_path, HERE).close()


def test_a_full_disk_is_one_clear_line_and_keeps_nothing_half(tmp_path: Path) -> None:
    journal = Journal(tmp_path, HERE)
    intend(journal)
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count={pages}")
    many = [RunToken(f"01J{n:023d}-1") for n in range(2000)]
    with pytest.raises(ResourceExhausted, match=r"full.*nothing was started") as failure:
        journal.intend([(token, PartitionId("here/box/cpu"), SPEC, True) for token in many], 1.0)
    assert "\n" not in str(failure.value)
    assert [entry.token for entry in journal.live()] == [TOKEN]
    journal.close()


def test_a_path_that_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceExhausted, match="file"):
        Journal(tmp_path / "file" / "state", HERE)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(FailedPrecondition, match="not a sound database"):
        Journal(tmp_path / "state", HERE)


def test_commits_are_pushed_to_the_disk(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", "CREATE TABLE t (a)")
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert isinstance(database, sqlite3.Connection)
    database.close()


def test_small_files_replace_each_other_and_follow_no_link(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"one")
    write_whole(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    (tmp_path / ".b.new").symlink_to(tmp_path / "a")
    write_whole(tmp_path / "b", b"three")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "b").read_bytes() == b"three"
