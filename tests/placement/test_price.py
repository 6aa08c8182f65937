"""Costs of a few classes in one loop: what the terms say, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from res_federation.placement.policies import named
from res_federation.placement.price import cost_of, prices
from res_federation.placement.row_memo import encode_rows
from res_federation.placement.rows import grades
from res_federation.placement.shapes import Tables, encode_shapes
from res_federation.placement.terms import Considered, static_cost
from tests.placement.drawn import queues, snapshots

POLICY = named("federated")


@given(snapshots(), queues)
def test_costs_are_the_sums_of_the_terms(snapshot, queue):
    rows = encode_rows(snapshot, POLICY)
    tables = Tables(rows.rows)
    columns = encode_shapes(queue, tables, rows, snapshot.distances, POLICY)
    of = Considered(
        rows, grades(rows), columns.numbers, columns.tables, tables.array(), columns.transfer,
        columns.reference, queue, snapshot, POLICY,
    )  # fmt: skip
    known = prices(of)
    assert (known is None) == bool(snapshot.moving or snapshot.factors)
    every = range(len(queue))
    assert np.array_equal(cost_of(of, known, columns, every), static_cost(of))
    some = [*every][::2]
    assert np.array_equal(cost_of(of, known, columns, some), static_cost(of)[some])
