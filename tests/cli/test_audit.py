"""`resfed audit verify` on files: exit codes, and what it says to people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from res_federation.cli.main import execute
from res_federation.model.audit import AuditEntry
from res_federation.model.audit_chain import (
    Head,
    Record,
    Tail,
    line_of_head,
    line_of_record,
    link,
    packed,
    signed_part,
)
from res_federation.security.audit_key import AuditKey


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An export of four entries with heads after the second and the last."""
    key = AuditKey.at(tmp_path / "audit.key")
    lines, tail = [], Tail()
    for number in range(1, 5):
        entry = packed(AuditEntry(float(number), "ana", "submit", f"job-{number}"))
        after = link(tail, entry)
        lines.append(line_of_record(Record(number, tail.hash, after.hash, entry)))
        tail = after
        if number in (2, 4):
            head = Head(number // 2, number, tail.hash, number)
            lines.append(line_of_head(replace(head, signature=key.sign(signed_part(head)))))
    (tmp_path / "audit.pem").write_text(key.public_pem, encoding="ascii")
    (tmp_path / "kept.jsonl").write_bytes(lines[2] + b"\n" + lines[-1] + b"\n")
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def verify(log: Path, *more: str) -> int:
    return execute(["audit", "verify", str(log), "--key", str(log.with_name("audit.pem")), *more])


def test_a_whole_log_is_said_to_be_whole(log: Path, capsys: pytest.CaptureFixture[str]):
    assert verify(log) == 0
    assert capsys.readouterr().out.startswith("entries 1 to 4 are whole, 2 signed heads; hash ")
    assert verify(log, "--json", "--head", str(log.with_name("kept.jsonl"))) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["first"], told["last"], told["heads"], told["unsigned"]) == (1, 4, 2, 0)


def test_a_part_says_where_it_begins(log: Path, capsys: pytest.CaptureFixture[str]):
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[3:]))
    assert verify(log) == 1
    assert capsys.readouterr().err == ("resfed: entry 1 is missing: entry 3 stands in its place\n")
    assert verify(log, "--from", "3") == 0
    assert verify(log, "--from", "3", "--head", str(log.with_name("kept.jsonl"))) == 1
    assert "before entry 3" in capsys.readouterr().err


def test_what_cannot_be_read_is_an_error_of_the_user(log: Path, capsys: pytest.CaptureFixture[str]):
    nonsense = log.with_name("nonsense")
    nonsense.write_bytes(b"\xff\x00nonsense")
    for words, said in (
        ([str(log), "--key", str(nonsense)], "holds no public Ed25519 key"),
        ([str(log), "--key", str(log.with_name("missing"))], "No such file"),
        ([str(log.with_name("missing")), "--key", str(log.with_name("audit.pem"))], "No such file"),
        ([str(log), "--db", "sqlite:///x", "--key", "k"], "one of them"),
        (["--key", str(log.with_name("audit.pem"))], "one of them"),
        ([str(log), "--key", str(log.with_name("audit.pem")), "--head", str(nonsense)],
         "nonsense:1: is no signed head"),
        (["--db", f"sqlite:///{log.with_name('no.db')}", "--key",
          str(log.with_name("audit.pem"))], "there is no database"),
    ):  # fmt: skip
        assert execute(["audit", "verify", *words]) == 2, words
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1
    assert not log.with_name("no.db").exists()


def test_what_is_no_log_is_refused(log: Path, capsys: pytest.CaptureFixture[str]):
    for content in (b"\xff\x00", b"[" * 100_000, b"{}\n", b'{"head":{}}\n', b"", b"\n"):
        log.write_bytes(content)
        assert verify(log) == 1, content
        assert capsys.readouterr().err.count("\n") == 1
