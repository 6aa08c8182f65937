"""Logs: events as words plus values, one line each, set up once by a process's entry point."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import structlog

from res_federation.telemetry.redaction import redacted

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _StandardError:
    """Writes lines to standard error as it is now; one that cannot be written harms nobody.

    An agent whose terminal is gone, or whose log's disk is full, goes on with its work.
    """

    def __init__(self, *_: object) -> None:
        """Take structlog's positional arguments, of which there are none here."""

    def msg(self, message: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = failure = err = msg


class _Line(structlog.processors.KeyValueRenderer):
    """Renders an event as one line, without the secrets in it."""

    def __call__(self, logger: Any, name: str, event_dict: Any) -> str:
        """Return the line."""
        return redacted(super().__call__(logger, name, event_dict))


class _Others(logging.Handler):
    """Writes what libraries log as they mean it, without the secrets in it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, with its traceback if it has one."""
        _StandardError().msg(redacted(self.format(record)))


def configure(level: str = "info") -> None:
    """Write events at *level* and above to standard error as ``time level event key=value``.

    Standard output stays free for what programs read.  Values of users are quoted by the
    renderer, so that no script or name can forge a line.  Tokens, keys and passwords are taken
    out of everything: events, what libraries log, and tracebacks of what nobody caught.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _Line(key_order=["timestamp", "level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level, logging.INFO)),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,  # whoever asked for a logger before follows too
    )
    others = _Others(logging.WARNING)
    others.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if type(one).__name__ != _Others.__name__]
    root.addHandler(others)
    sys.excepthook = _uncaught
    threading.excepthook = lambda told: _uncaught(
        told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback
    )


def _uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):  # of a thread that ends itself
        return
    _StandardError().msg(redacted("".join(traceback.format_exception(kind, error, where)).rstrip()))
