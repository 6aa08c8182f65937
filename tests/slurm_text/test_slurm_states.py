"""Slurm's states, the words for times, and whether a controller answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.job_state import FINAL, JobState
from res_federation.slurm import ping, slurm_states, slurm_times
from res_federation.slurm.slurm_states import Phase

WAITING = "PENDING PD CONFIGURING CF REQUEUED RQ REQUEUE_HOLD RH REQUEUE_FED RF SPECIAL_EXIT SE \
RESV_DEL_HOLD RD POWER_UP_NODE PN"
RUNNING = "RUNNING R SUSPENDED S STOPPED ST SIGNALING SI RESIZING RS UPDATE_DB UD"
ENDING = "COMPLETING CG STAGE_OUT SO"
OVER = {
    "COMPLETED CD": JobState.COMPLETED, "CANCELLED CA CANCELLED+": JobState.CANCELLED,
    "FAILED F LAUNCH_FAILED LF RECONFIG_FAIL": JobState.FAILED,
    "TIMEOUT TO DEADLINE DL": JobState.TIMEOUT, "NODE_FAIL NF BOOT_FAIL BF": JobState.NODE_FAIL,
    "OUT_OF_MEMORY OOM": JobState.OUT_OF_MEMORY, "PREEMPTED PR REVOKED RV": JobState.CANCELLED,
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "phase"),
    [(WAITING, Phase.WAITING), (RUNNING, Phase.RUNNING), (ENDING, Phase.ENDING)],
)
def test_words_of_jobs_that_are_not_over(words: str, phase: Phase) -> None:
    for word in words.split():
        state = slurm_states.read(word)
        assert (state.phase, state.end) == (phase, None), word


@pytest.mark.parametrize(("words", "end"), OVER.items())
def test_words_of_jobs_that_are_over(words: str, end: JobState) -> None:
    for word in words.split():
        state = slurm_states.read(word)
        assert (state.phase, state.end) == (Phase.OVER, end), word


def test_short_and_long_words_are_the_same_state() -> None:
    assert slurm_states.read("PR") == slurm_states.read("PREEMPTED")
    assert slurm_states.read("oom") == slurm_states.read("OUT_OF_MEMORY")


def test_who_cancelled_is_kept() -> None:
    state = slurm_states.read("CANCELLED by 1000")
    assert (state.word, state.end, state.by) == ("CANCELLED", JobState.CANCELLED, "1000")
    assert state.reason == "cancelled by 1000"


@pytest.mark.parametrize("word", ["PREEMPTED", "BOOT_FAIL", "DEADLINE", "REVOKED"])
def test_what_the_state_of_the_federation_leaves_out_is_the_reason(word: str) -> None:
    state = slurm_states.read(word)
    assert state.word == word
    assert state.reason
    assert not slurm_states.read("TIMEOUT").reason


@pytest.mark.parametrize(
    ("text", "word", "phase"),
    [
        ("COMPLETED,COMPLETING", "COMPLETED", Phase.ENDING),
        ("RUNNING,COMPLETING", "RUNNING", Phase.RUNNING),
        ("RUNNING,CONFIGURING", "CONFIGURING", Phase.WAITING),
        ("NODE_FAIL,REQUEUED", "REQUEUED", Phase.WAITING),
        ("CANCELLED,REVOKED", "REVOKED", Phase.OVER),
        ("FAILED,SPECIAL_EXIT", "SPECIAL_EXIT", Phase.WAITING),
        ("RUNNING,A_NEW_FLAG", "RUNNING", Phase.RUNNING),
        ("COMPLETED,A_NEW_FLAG", "COMPLETED,A_NEW_FLAG", Phase.UNKNOWN),
    ],
)
def test_a_state_with_flags(text: str, word: str, phase: Phase) -> None:
    state = slurm_states.read(text)
    assert (state.word, state.phase) == (word, phase)


@pytest.mark.parametrize("text", ["", "HIBERNATED", "COMPLETED later", "CANCELLED by", "ok", ",+"])
def test_unknown_words_are_not_guessed(text: str) -> None:
    state = slurm_states.read(text)
    assert (state.phase, state.end) == (Phase.UNKNOWN, None)


@given(st.text())
def test_any_text_is_some_state_and_only_known_ends_are_ends(text: str) -> None:
    state = slurm_states.read(text)
    assert (state.end is not None) == (state.phase is Phase.OVER) or state.phase is Phase.ENDING
    assert state.end is None or state.end in FINAL
    assert len(state.word) <= 64


@pytest.mark.parametrize(
    ("text", "offset", "seconds"),
    [
        ("1795229037", 0, 1795229037), ("2026-11-21T02:43:57", 0, 1795229037),
        ("2026-11-21T03:43:57", 3600, 1795229037), ("2026-11-20T20:43:57", -21600, 1795229037),
        ("N/A", 0, None), ("Unknown", 0, None), ("None", 0, None), ("", 0, None), ("0", 0, None),
        ("2026-13-21T02:43:57", 0, None), ("yesterday", 0, None), ("²", 0, None),
        ("9" * 30, 0, None), ("0000-00-00T00:00:00", 0, None), ("0001-01-01T00:00:00", 86399, None),
    ],
)  # fmt: skip
def test_times(text: str, offset: int, seconds: int | None) -> None:
    assert slurm_times.read(text, offset) == seconds


@given(st.text(), st.integers(-86399, 86399))
def test_any_text_is_a_time_or_none(text: str, offset: int) -> None:
    found = slurm_times.read(text, offset)
    assert found is None or found > 0


@pytest.mark.parametrize(
    ("text", "up"),
    [
        ("Slurmctld(primary) at vm is UP\n", True),
        ("Slurmctld(primary) at a is DOWN\nSlurmctld(backup) at b is UP\n", True),
        ("Slurmctld(primary/backup) at a/b are DOWN/UP\n", True),
        ("Slurmctld(primary/backup) at a/b are DOWN/DOWN\n", False),
        ("Slurmctld(primary) at vm is DOWN\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n", False),
        ("the network is UP\n", False), ("", False),
    ],
)  # fmt: skip
def test_whether_a_controller_answers(text: str, *, up: bool) -> None:
    assert ping.up(text) is up


@given(st.text())
def test_any_text_is_an_answer_to_ping(text: str) -> None:
    assert ping.up(text) in (True, False)
