"""A `JobSpec` as bytes, for the agent's books: the script as the bytes that it was."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from res_federation.model.job import JobSpec, script_bytes

_decoder = msgspec.msgpack.Decoder(tuple[bytes, JobSpec])


def pack_spec(spec: JobSpec) -> bytes:
    """Return *spec* as bytes; a script need not be UTF-8 and stays what it was."""
    return msgspec.msgpack.encode((script_bytes(spec.script), replace(spec, script="")))


def unpack_spec(packed: bytes) -> JobSpec:
    """Return what `pack_spec` packed; raises msgspec.DecodeError for anything else."""
    script, spec = _decoder.decode(packed)
    return replace(spec, script=script.decode("utf-8", "surrogateescape"))
