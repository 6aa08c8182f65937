"""Licences, and limits of qualities of service."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from res_federation.model.capacity import License, QosLimit
from res_federation.slurm import licenses, qos_limits

LINES = (
    "LicenseName=matlab Total=4 Used=2 Free=2 Reserved=0 Remote=no\n"
    "LicenseName=ansys@db Total=10 Used=1 Free=9 Reserved=3 Remote=yes\n"
    "LicenseName=odd Total=2 Used=5\n"
)


def test_licences_by_name_with_what_is_free() -> None:
    assert licenses.read(LINES) == (
        License("ansys@db", 10, 6), License("matlab", 4, 2), License("odd", 2, 0),
    )  # fmt: skip
    assert licenses.read("No licenses configured in Slurm.\n") == ()


@given(st.text(max_size=300))
def test_any_text_is_read_without_failing(text: str) -> None:
    assert all(one.free >= 0 for one in licenses.read(f"LicenseName=x {text}"))
    assert all(limit.name for limit in qos_limits.read(text))


def test_limits_of_a_quality_of_service() -> None:
    text = (
        "normal||||||\n"
        "acc_debug|02:00:00|cpu=640,gres/gpu=32,node=8|node=4|1|2|node=100\n"
        "acc_res|3-00:00:00||cpu=8000||366|node=100\n"
        "torn|line\n"
    )
    assert qos_limits.read(text) == (
        QosLimit("acc_debug", 7200, 4, 1, 2, 640, 32),
        QosLimit("acc_res", 259_200, 100, None, 366),
        QosLimit("normal"),
    )
