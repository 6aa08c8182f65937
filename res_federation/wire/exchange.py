"""The agent stream's messages: reports and runs one way, orders the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

from res_federation.api.v1 import agents_pb2
from res_federation.errors import InvalidArgument
from res_federation.model.capacity import CapacityReport
from res_federation.model.identifiers import PartitionId, RunToken, is_run_token
from res_federation.model.job import RunObservation
from res_federation.model.order import (
    Arrange,
    Begin,
    Cancel,
    Certify,
    Forget,
    Order,
    Piece,
    Read,
    Renew,
    Start,
    Withdraw,
)
from res_federation.wire import sites
from res_federation.wire.jobs import (
    STATE_TO_WIRE,
    state_from_message,
    task_from_message,
    task_to_message,
)
from res_federation.wire.specs import spec_from_message, spec_to_message
from res_federation.wire.text import MOST_WORD, line
from res_federation.wire.times import from_duration, from_timestamp, to_duration, to_timestamp

MOST_YIELDS_S = 366 * 86400.0
MOST_RUNS = 200_000
"""Runs of one report."""
MOST_TOKEN = 40
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def observation_to_message(run: RunObservation) -> agents_pb2.HeldRun:
    """Return what an agent says of a run as a message."""
    return agents_pb2.HeldRun(
        token=run.token,
        state=STATE_TO_WIRE[run.state],
        reason=run.reason,
        start_time=None if run.started is None else to_timestamp(run.started),
        end_time=None if run.ended is None else to_timestamp(run.ended),
        exit_code=run.exit_code,
        refused=run.refused,
        withdrawn=run.withdrawn,
        begun=run.begun,
        fenced=run.fenced,
        asks=run.asks,
        uncounted=not run.counted,
        script_sha256=run.script_sha256,
        tasks=[task_to_message(task) for task in run.tasks],
    )


def observation_from_message(message: agents_pb2.HeldRun) -> RunObservation:
    """Check and return what an agent says of a run.

    Raises:
        InvalidArgument: If its token, state, times or numbers are none.

    """
    if not is_run_token(message.token) or len(message.token) > MOST_TOKEN:
        raise InvalidArgument("is no name of a run", field="runs.token")
    return RunObservation(
        token=RunToken(message.token),
        state=state_from_message(message.state),
        reason=line(message.reason),
        started=from_timestamp(message.start_time) if message.HasField("start_time") else None,
        ended=from_timestamp(message.end_time) if message.HasField("end_time") else None,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        refused=message.refused,
        withdrawn=message.withdrawn,
        begun=message.begun,
        fenced=message.fenced,
        asks=message.asks,
        counted=not message.uncounted,
        script_sha256=message.script_sha256 if _SHA256.match(message.script_sha256) else "",
        tasks=tuple(task_from_message(task) for task in message.tasks),
    )


def report_to_message(
    report: CapacityReport,
    runs: Sequence[RunObservation],
    journal: str,
    complete: bool,
    fences: bool = False,
) -> agents_pb2.SiteReport:
    """Return one exchange as a message: capacity and the full set of runs."""
    return agents_pb2.SiteReport(
        capacity=sites.report_to_message(report),
        runs=[observation_to_message(run) for run in runs],
        journal_id=journal,
        complete=complete,
        fences=fences,
    )


def report_from_message(
    message: agents_pb2.SiteReport,
) -> tuple[CapacityReport, tuple[RunObservation, ...], str, bool, bool]:
    """Check and return an exchange; raises InvalidArgument.

    Returns: report, runs, journal, whether the set is complete, whether the agent fences.
    """
    if len(message.runs) > MOST_RUNS:
        raise InvalidArgument(f"{len(message.runs)} runs; the most is {MOST_RUNS}", field="runs")
    return (
        sites.report_from_message(message.capacity),
        tuple(observation_from_message(run) for run in message.runs),
        line(message.journal_id, MOST_WORD),
        message.complete,
        message.fences,
    )


def order_to_message(order: Order) -> agents_pb2.Order:
    """Return an order as a message."""
    match order:
        case Start(token, partition, spec, fenced, yields_s):
            return agents_pb2.Order(
                start=agents_pb2.StartOrder(
                    token=token,
                    partition=partition,
                    spec=spec_to_message(spec),
                    fenced=fenced,
                    yields_seconds=yields_s,
                )
            )
        case Cancel(token, task):
            return agents_pb2.Order(cancel=agents_pb2.CancelOrder(token=token, task=task))
        case Withdraw(tokens):
            return agents_pb2.Order(withdraw=agents_pb2.WithdrawOrder(tokens=tokens))
        case Arrange(partition, tokens):
            return agents_pb2.Order(
                arrange=agents_pb2.ArrangeOrder(partition=partition, tokens=tokens)
            )
        case Renew(sequence, lease_s):
            return agents_pb2.Order(
                renew=agents_pb2.RenewOrder(sequence=sequence, lease=to_duration(lease_s))
            )
        case Begin(tokens):
            return agents_pb2.Order(begin=agents_pb2.BeginOrder(tokens=tokens))
        case Forget(tokens):
            return agents_pb2.Order(forget=agents_pb2.ForgetOrder(tokens=tokens))
        case Read(request_id, token, task, standard_error, offset, limit):
            return agents_pb2.Order(
                read=agents_pb2.ReadOrder(
                    request_id=request_id,
                    token=token,
                    task=task,
                    standard_error=standard_error,
                    offset=offset,
                    limit=limit,
                )
            )
        case Certify(certificate_pem, ca_pem):
            return agents_pb2.Order(
                certificate=agents_pb2.CertificateOrder(
                    certificate_pem=certificate_pem, ca_pem=ca_pem
                )
            )
        case _:
            assert_never(order)


def order_from_message(message: agents_pb2.Order) -> Order | None:
    """Return an order, or None for a kind that this version does not know."""
    match message.WhichOneof("order"):
        case "start":
            start = message.start
            return Start(
                RunToken(start.token),
                PartitionId(start.partition),
                spec_from_message(start.spec),
                start.fenced,
                start.yields_seconds if 0 <= start.yields_seconds < MOST_YIELDS_S else 0.0,
            )
        case "cancel":
            cancel = message.cancel
            return Cancel(RunToken(cancel.token), cancel.task if cancel.HasField("task") else None)
        case "certificate":
            return Certify(message.certificate.certificate_pem, message.certificate.ca_pem)
        case "withdraw":
            return Withdraw(tuple(RunToken(token) for token in message.withdraw.tokens))
        case "arrange":
            arrange = message.arrange
            return Arrange(
                PartitionId(arrange.partition), tuple(RunToken(token) for token in arrange.tokens)
            )
        case "renew":
            return Renew(message.renew.sequence, from_duration(message.renew.lease))
        case "begin":
            return Begin(tuple(RunToken(token) for token in message.begin.tokens))
        case "forget":
            return Forget(tuple(RunToken(token) for token in message.forget.tokens))
        case "read":
            read = message.read
            return Read(
                read.request_id,
                RunToken(read.token),
                read.task,
                read.standard_error,
                read.offset,
                read.limit,
            )
        case _:
            return None


def orders_from_message(message: agents_pb2.ConnectResponse) -> tuple[Order, ...]:
    """Return the orders of a message, in their order."""
    orders = (order_from_message(order) for order in message.orders)
    return tuple(order for order in orders if order is not None)


def piece_to_message(piece: Piece) -> agents_pb2.OutputPiece:
    """Return a piece of output as a message."""
    return agents_pb2.OutputPiece(
        request_id=piece.request_id,
        data=piece.data,
        offset=piece.offset,
        end=piece.end,
        error=piece.error,
    )


def piece_from_message(message: agents_pb2.OutputPiece) -> Piece:
    """Return a piece of output."""
    return Piece(message.request_id, message.data, message.offset, message.end, line(message.error))
