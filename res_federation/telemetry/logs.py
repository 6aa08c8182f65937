"""Logs: events as words plus values, one line each, set up once by a process's entry point."""

from __future__ import annotations

import contextlib
import logging
import sys

import structlog

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


def configure(level: str = "info") -> None:
    """Write events at *level* and above to standard error as ``time level event key=value``.

    Standard output stays free for what programs read.  Values of users are quoted by the
    renderer, so that no script or name can forge a line.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(
                key_order=["timestamp", "level", "event"], drop_missing=True
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level, logging.INFO)),
        logger_factory=_StandardError,
        cache_logger_on_first_use=True,
    )
