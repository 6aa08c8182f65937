"""The audit log to protobuf and back."""

from __future__ import annotations

from res_federation.api.v1 import audit_pb2
from res_federation.model.audit_chain import Head, Record, microseconds
from res_federation.wire.times import from_timestamp, to_timestamp

_MICROSECONDS = 1_000_000


def record_to_message(record: Record) -> audit_pb2.AuditRecord:
    """Return a record as a message."""
    return audit_pb2.AuditRecord(
        number=record.number, previous=record.previous, hash=record.hash, entry=record.entry
    )


def record_from_message(message: audit_pb2.AuditRecord) -> Record:
    """Return a record."""
    return Record(message.number, message.previous, message.hash, message.entry)


def head_to_message(head: Head) -> audit_pb2.AuditHead:
    """Return a head as a message."""
    return audit_pb2.AuditHead(
        index=head.index,
        number=head.number,
        hash=head.hash,
        sign_time=to_timestamp(head.at / _MICROSECONDS),
        signature=head.signature,
    )


def head_from_message(message: audit_pb2.AuditHead) -> Head:
    """Return a head."""
    at = microseconds(from_timestamp(message.sign_time))
    return Head(message.index, message.number, message.hash, at, message.signature)


def item_to_message(item: Record | Head) -> audit_pb2.ExportEntriesResponse.Item:
    """Return a line of an export as a message."""
    if isinstance(item, Head):
        return audit_pb2.ExportEntriesResponse.Item(head=head_to_message(item))
    return audit_pb2.ExportEntriesResponse.Item(record=record_to_message(item))


def item_from_message(message: audit_pb2.ExportEntriesResponse.Item) -> Record | Head:
    """Return a line of an export."""
    if message.HasField("head"):
        return head_from_message(message.head)
    return record_from_message(message.record)
