"""A log that cannot be written ends nobody."""

from __future__ import annotations

import io

import structlog

from res_federation.telemetry.logs import configure


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_events_go_to_standard_error_with_values_quoted(capsys) -> None:
    configure()
    structlog.get_logger().info("job_submitted", name="a\nb")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert r"event='job_submitted' name='a\nb'" in told.err


def test_a_closed_or_full_standard_error_ends_nobody(monkeypatch, capsys) -> None:
    configure()
    log = structlog.get_logger().bind(site="csuc")
    closed = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", closed)
        log.error("first")
        closed.close()
        log.error("lost")
        patch.setattr("sys.stderr", FullDisk())
        log.error("lost too")
    log.error("heard again")
    assert "heard again" in capsys.readouterr().err


def test_a_logger_that_was_used_before_follows_what_is_set_later(capsys) -> None:
    configure("error")
    log = structlog.get_logger()
    log.info("quiet")
    configure("info")
    log.info("loud")
    told = capsys.readouterr().err
    assert "loud" in told
    assert "quiet" not in told
