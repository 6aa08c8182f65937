"""Reservations and maintenance."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import FederationError, InvalidArgument
from res_federation.slurm import reservations

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "slurm"
LINE = (
    "ReservationName=maint StartTime=1000 EndTime=2000 Duration=00:16:40 Nodes=n[1-2],m7 "
    "NodeCnt=3 CoreCnt=80 Features=(null) PartitionName=(null) Flags=MAINT,IGNORE_JOBS,SPEC_NODES "
    "TRES=cpu=80 Users=root,ana Groups=(null) Accounts=(null) Licenses=(null) State=INACTIVE"
)


def test_a_reservation_covers_its_nodes_from_start_to_end() -> None:
    (one,) = reservations.read(LINE)
    assert (one.name, one.nodes, one.maintenance) == ("maint", ("n1", "n2", "m7"), True)
    assert one.users == ("root", "ana")
    assert [one.covers(at) for at in (999.0, 1000.0, 1999.0, 2000.0)] == [False, True, True, False]


def test_local_times_need_the_offset_of_the_site() -> None:
    line = LINE.replace("=1000", "=2026-11-21T02:00:00").replace("=2000", "=2026-11-21T03:00:00")
    (here,), (utc,) = reservations.read(line, 3600), reservations.read(line)
    assert (utc.start - here.start, utc.end - utc.start) == (3600.0, 3600.0)


def test_none_floating_and_of_licences_alone() -> None:
    assert reservations.read("No reservations in the system\n") == ()
    assert reservations.read(LINE.replace("EndTime=2000", "EndTime=Unknown")) == ()
    (licence,) = reservations.read(LINE.replace("Nodes=n[1-2],m7", "Nodes=(null)"))
    assert licence.nodes == ()
    (floats,) = reservations.read(LINE.replace("MAINT", "TIME_FLOAT"))
    assert not floats.covers(1500.0)


def test_a_hostile_list_of_nodes_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        reservations.read(LINE.replace("n[1-2],m7", "n[1-999999999]"))


@given(st.text(max_size=300) | st.lists(st.sampled_from(LINE.split())).map(" ".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    for line in (f"ReservationName=r {text}", LINE.replace("n[1-2],m7", text)):
        try:
            reservations.read(line)
        except FederationError as error:
            assert error.message


def test_recorded_reservations() -> None:
    if not FIXTURES.exists():
        pytest.skip("the recorded outputs of Slurm are not here")
    text = (FIXTURES / "drained" / "mn5" / "scontrol_reservation.txt").read_text()
    course, maint = sorted(reservations.read(text), key=lambda one: one.name)
    assert (course.nodes, course.maintenance, course.end - course.start) == (
        ("mn5-gpp2",), False, 3600.0,
    )  # fmt: skip
    assert (maint.nodes, maint.maintenance) == (("mn5-acc1",), True)
