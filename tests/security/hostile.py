"""Requests that nobody honest sends: every field of every message, with words for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

WORDS = (
    "", " ", "\0", "a\0b", "../../../../etc/passwd", "/etc/passwd", "jobs/../../x", "jobs/",
    "sites/", "sites/../csuc", "projects/../p", "certificates/", "certificates/" + "f" * 40,
    "x' OR '1'='1", "'; DROP TABLE jobs; --", "%", "_%", "*", "$(id)", "`id`", "a;b", "a\nb",
    "a\r\nb: c", "\x1b]0;x\x07", "{0.__class__}", "%s%n%x", "\u202e", "\ufeff", "é" * 50,
    "A" * 70_000, "01J0000000000000000000000A", "01J0000000000000000000000A-1", "-1", "1e999",
    "nan", "99999999999999999999", "user=ana and", "state=", "((((",
    "user=ana" + " or user=b" * 900,
    "csuc", "local", "sites/csuc", "projects/local", "pools/local", "grants/local",
    "sites/csuc/x/y/z",
    "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 100, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 10**12)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), 5e-324)
BLOBS = (
    b"",
    b"\0",
    b"\xff\xfe",
    b"#!/bin/sh\nid\n",
    b"x" * 70_000,
    b"#!/bin/sh\n#SBATCH --uid=0\n",
)
_DEEP = 6
_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def value(field: FieldDescriptor, draw: random.Random, deep: int) -> Any:
    """Return something for one field; a message for those that hold one."""
    if field.message_type is not None:
        return message(field.message_type, draw, deep + 1)
    return draw.choice(_values(field))


def message(kind: Descriptor, draw: random.Random, deep: int = 0) -> Any:
    """Return a message of *kind* with some of its fields filled in."""
    made = message_factory.GetMessageClass(kind)()
    filled = draw.choice([0.3, 0.6, 1.0])
    for field in kind.fields:
        if draw.random() > filled or (deep > _DEEP and field.message_type is not None):
            continue
        _set(made, field, draw, deep)
    return made


def _set(made: Any, field: FieldDescriptor, draw: random.Random, deep: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, one = field.message_type.fields
        if one.message_type is None:
            getattr(made, field.name)[value(key, draw, deep)] = value(one, draw, deep)
        return
    if field.is_repeated:
        for _ in range(draw.choice([0, 1, 2, 5])):
            if field.message_type is not None:
                getattr(made, field.name).add().CopyFrom(value(field, draw, deep))
            else:
                getattr(made, field.name).append(value(field, draw, deep))
    elif field.message_type is not None:
        getattr(made, field.name).CopyFrom(value(field, draw, deep))
    else:
        setattr(made, field.name, value(field, draw, deep))


def changed(good: Any, draw: random.Random | None = None) -> Iterator[Any]:
    """Yield *good* with one of its fields changed, each in turn, however deep it lies.

    With *draw* one value is drawn for each field, else each value is tried.
    """
    for path, field in _fields(good, ()):
        values = _values(field)
        for one in [draw.choice(values)] if draw else values:
            made = type(good)()
            made.CopyFrom(good)
            _put(made, path, field, one)
            yield made


def _fields(good: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], FieldDescriptor]]:
    for field in good.DESCRIPTOR.fields:
        if field.message_type is None:
            yield (*path, field.name), field
        elif field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated:
            for number, one in enumerate(getattr(good, field.name)):
                yield from _fields(one, (*path, field.name, number))
        elif good.HasField(field.name):
            yield from _fields(getattr(good, field.name), (*path, field.name))


def _put(made: Any, path: tuple[Any, ...], field: FieldDescriptor, one: Any) -> None:
    for step in path[:-1]:
        made = made[step] if isinstance(step, int) else getattr(made, step)
    if field.is_repeated:
        getattr(made, field.name).append(one)
    else:
        setattr(made, field.name, one)


def _values(field: FieldDescriptor) -> tuple[Any, ...]:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return BLOBS if field.type == FieldDescriptor.TYPE_BYTES else WORDS
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return FLOATS
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return (True, False)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        assert field.enum_type is not None, field.name
        return (*field.enum_type.values_by_number, 99, -5)
    low, high = _BOUNDS[kind]
    return tuple(one for one in NUMBERS if low <= one <= high)
