"""What became of a submission: each text that was measured, and nothing is guessed of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.slurm.outcome import Outcome, of_submission

FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("out", "number"), [("17\n", "17"), ("17;mn5\n", "17"), ("67108865;ft3\n", "67108865")]
)
def test_a_number_is_an_acceptance(out, number):
    assert of_submission(0, out, "") == (Outcome.ACCEPTED, number)
    assert of_submission(0, out, "sbatch: warning: something\n") == (Outcome.ACCEPTED, number)


@pytest.mark.parametrize(
    "text",
    [
        "Requested node configuration is not available",
        "Invalid partition name specified",
        "Invalid feature specification",
        "Invalid node name specified",
        "Required partition not available (inactive or drain)",
    ],
)
def test_a_refusal_is_certain_and_in_slurms_own_words(text):
    assert of_submission(1, "", FAILED + text + "\n") == (Outcome.REFUSED, text)


@pytest.mark.parametrize(
    "err",
    [
        "sbatch: unrecognized option '--no-such'\nTry \"sbatch --help\" for more information\n",
        "sbatch: error: Invalid --time specification\n",
    ],
)
def test_options_that_sbatch_cannot_read_are_a_refusal(err):
    assert of_submission(255, "", err)[0] is Outcome.REFUSED


@pytest.mark.parametrize(
    "err",
    [
        "sbatch: error: Unable to open file script\n",
        "sbatch: error: This does not look like a batch script.  The first\n",
        FAILED + "Unable to contact slurm controller (connect failure)\n",
        "sbatch: error: If munged is up, restart with --num-threads=10\n"
        "sbatch: error: Munge encode failed: Failed to access socket\n"
        "sbatch: error: slurm_send_node_msg: authentication error\n"
        + FAILED
        + "Protocol authentication error\n",
        "sbatch: error: s_p_parse_file: cannot stat file slurm.conf, retrying in 1sec up to 60sec",
        "sbatch: error: 'mn5' can't be reached now, or it is an invalid entry for --cluster.\n",
        "sbatch: error: There is a problem talking to the database: Connection refused.\n",
    ],
)
def test_what_surely_was_not_sent_may_be_tried_again(err):
    assert of_submission(1, "", err)[0] is Outcome.NOT_SENT


def test_a_command_that_is_not_there_sent_nothing():
    assert of_submission(127, "", "sbatch: not found") == (Outcome.NOT_SENT, "sbatch: not found")


def test_a_command_that_could_not_be_started_with_these_words_never_will():
    assert of_submission(126, "", "sbatch: Argument list too long")[0] is Outcome.REFUSED


@pytest.mark.parametrize(
    ("code", "out", "err"),
    [
        (1, "", FAILED + "Socket timed out on send/recv operation\n"),
        (1, "", FAILED + "Connection reset by peer\n"),
        (1, "", FAILED + "Zero Bytes were transmitted or received\n"),
        (None, "", ""),  # killed, for it did not answer
        (None, "17\n", ""),  # killed after it had the number: look for it
        (-9, "", ""),
        (None, "", "sbatch: Slurm temporarily unable to accept job, sleeping and retrying.\n"),
        (1, "", "sbatch: Slurm temporarily unable to accept job, sleeping and retrying.\n"
                + FAILED + "Invalid partition name specified\n"),
        (0, "", ""),
        (0, "no number\n", ""),
        (1, "", ""),
        (2, "", "sbatch: error: something new\n"),
        (139, "", "Segmentation fault\n"),
    ],
)  # fmt: skip
def test_whatever_proves_nothing_is_unknown(code, out, err):
    what, why = of_submission(code, out, err)
    assert what is Outcome.UNKNOWN
    assert why, "it is said to people"


_KNOWN = (
    "not available", "Invalid", "unrecognized", "requires an argument", "not permitted", "violates",
    "denied", "More processors", "Unable to", "does not look like", "authentication error",
    "cannot stat", "can't be reached", "problem talking", "invalid option", "requested reservation",
)  # fmt: skip


@given(
    code=st.integers(-64, 255).filter(lambda code: code not in (0, 126, 127)),
    out=st.text(max_size=40),
    err=st.text(max_size=200).filter(lambda text: not any(word in text for word in _KNOWN)),
)
def test_every_other_text_is_unknown(code, out, err):
    assert of_submission(code, out, err)[0] is Outcome.UNKNOWN
    assert of_submission(1, out, FAILED + err)[0] is Outcome.UNKNOWN


@given(code=st.none() | st.integers(-64, 255), out=st.text(), err=st.text())
def test_it_never_fails_and_always_has_a_word(code, out, err):
    what, why = of_submission(code, out, err)
    assert why
    assert "\n" not in why
    if what is Outcome.ACCEPTED:
        assert code == 0
        assert why.isdigit()
