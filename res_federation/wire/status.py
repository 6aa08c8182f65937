"""`FederationError` to `google.rpc.Status` and back, so that both sides raise the same class."""

from __future__ import annotations

import math
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from res_federation.errors import (
    FAMILIES,
    FederationError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "res-federation"
UNKNOWN_CERTIFICATE = "UnknownCertificate"
"""Code of a refusal that a new enrolment heals: this federation never signed that certificate."""
RENEWAL_DENIED = "RenewalDenied"
"""Code of a refusal to renew a certificate; to ask again is of no use."""
_BY_NAME = {family.__name__: family for family in FAMILIES}


def to_status(error: FederationError) -> status_pb2.Status:
    """Return *error* with ErrorInfo, BadRequest (the field) and RetryInfo (when it will do)."""
    details = [
        error_details_pb2.ErrorInfo(
            reason=error.code,
            domain=DOMAIN,
            metadata={
                "family": type(error).__name__,
                "field": error.field,
                "way_out": error.way_out,
            },
        )
    ]
    packed = [_pack(detail) for detail in details]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message
        )
        packed.append(_pack(error_details_pb2.BadRequest(field_violations=[violation])))
    if isinstance(error, ResourceExhausted) and error.retry_s > 0:
        delay = Duration()
        delay.FromMilliseconds(math.ceil(error.retry_s * 1000))
        packed.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(
        code=code_pb2.Code.Value(error.grpc_code), message=error.message, details=packed
    )


def _pack(
    message: error_details_pb2.ErrorInfo
    | error_details_pb2.BadRequest
    | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def from_rpc_error(error: Any, peer: str = "the broker") -> FederationError:
    """Return the same error that the other side raised, or the nearest family.

    Args:
        error: As gRPC raised it.
        peer: Who was called, for the message ("127.0.0.1:7443").

    """
    code: grpc.StatusCode = error.code()
    text: str = error.details() or ""
    status = rpc_status.from_call(error)
    if status is not None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
                family = _BY_NAME.get(info.metadata["family"], FederationError)
                found = family(
                    status.message,
                    field=info.metadata["field"],
                    way_out=info.metadata["way_out"],
                    code=info.reason,
                )
                if isinstance(found, ResourceExhausted):
                    found.retry_s = retry_s(status)
                return found
    return _nearest(code, text, peer)


def retry_s(status: status_pb2.Status) -> float:
    """Return after how many seconds the same call will do; 0.0 where the status does not say."""
    for detail in status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return 0.0


def _nearest(code: grpc.StatusCode, text: str, peer: str) -> FederationError:
    if code == grpc.StatusCode.UNAVAILABLE and "CERTIFICATE_VERIFY_FAILED" in text:
        return Unavailable(
            f"who answers at {peer} is not a broker that this account knows",
            way_out="name its authority with RESFED_CA=FILE, or resfed login --fingerprint SHA256",
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable(
            f"no broker answers at {peer}",
            way_out="start one with 'resfed up', or set RESFED_BROKER=HOST:PORT",
        )
    if code == grpc.StatusCode.NOT_FOUND:
        return NotFound(text)
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return Unauthenticated(text, way_out="resfed login")
    if code == grpc.StatusCode.PERMISSION_DENIED:
        return PermissionDenied(text)
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return FederationError(
            f"{peer} does not know this call", way_out="the broker is of another version"
        )
    return FederationError(f"{peer} answered {code.name}: {text}")
