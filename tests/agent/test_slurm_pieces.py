from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from res_federation.agent.slurm.pieces import pieces
from res_federation.slurm import arrays

indices = st.sets(st.integers(0, 5000), min_size=1, max_size=300).map(lambda s: tuple(sorted(s)))


@given(indices, st.integers(2, 400), st.integers(0, 9))
def test_every_index_is_in_one_piece_that_slurm_takes(array, size, throttle):
    cut = pieces(array, size, throttle)
    back = []
    for piece in cut:
        asked = arrays.read(piece.array)
        assert asked.indices[-1] < size
        assert asked.throttle == throttle
        back += [piece.index(place) for place in asked.indices]
    assert back == list(array)
    assert [piece.number for piece in cut] == list(range(1, len(cut) + 1))


def test_an_array_that_fits_keeps_its_own_indices():
    (piece,) = pieces((1, 2, 3, 7, 9, 10), 1001, 4)
    assert (piece.array, piece.mapped) == ("1-3,7,9-10%4", False)


def test_a_job_without_an_array_is_one_piece():
    (piece,) = pieces((), 1001, 0)
    assert (piece.array, piece.indices) == ("", (-1,))


def test_places_that_are_not_there_are_nobodys():
    (piece,) = pieces((5000,), 1001, 0)
    assert (piece.index(0), piece.index(1), piece.index(-1)) == (5000, None, None)
