"""Whoever holds the public key finds any single record that was changed, removed or moved."""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from res_federation.errors import DataLoss, InvalidArgument
from res_federation.model.audit import AuditEntry
from res_federation.model.audit_chain import (
    Head,
    Record,
    Tail,
    canonical,
    entry_of,
    line_of_head,
    line_of_record,
    link,
    packed,
    signed_part,
)
from res_federation.model.audit_verify import Verified, Verifier, head_in
from res_federation.security.audit_key import AuditKey, checking

ROOT = Path(__file__).parents[2]

_words = st.text(max_size=12)
entries = st.builds(
    AuditEntry,
    at=st.floats(0, 4e9),
    actor=_words,
    act=st.sampled_from(["submit", "place", "site.drain"]),
    target=_words,
    outcome=st.sampled_from(["done", "denied"]),
    reason=_words,
    data=st.dictionaries(_words, _words, max_size=3).map(lambda one: tuple(one.items())),
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> AuditKey:
    return AuditKey.at(tmp_path_factory.mktemp("authority") / "audit.key")


def chained(packs: list[bytes], signed: set[int], key: AuditKey) -> list[bytes]:
    """Return an export with a head after each number in *signed*, and at its end."""
    lines, tail, index = [], Tail(), 0
    for entry in packs:
        after = link(tail, entry)
        lines.append(line_of_record(Record(after.number, tail.hash, after.hash, entry)))
        tail = after
        if tail.number in signed or tail.number == len(packs):
            index += 1
            head = Head(index, tail.number, tail.hash, 1_000_000 * index)
            lines.append(line_of_head(replace(head, signature=key.sign(signed_part(head)))))
    return lines


def verified(lines: list[bytes], key: AuditKey, kept: list[Head] | None = None) -> Verified:
    verifier = Verifier(checking(key.public_pem.encode(), name="key"), kept=kept or ())
    for line in lines:
        verifier.line(line)
    return verifier.end(signed=True)


@st.composite
def exports(draw: st.DrawFn) -> tuple[list[bytes], set[int]]:
    made = draw(st.lists(entries, min_size=1, max_size=6))
    return [packed(one) for one in made], draw(st.sets(st.integers(1, 6), max_size=3))


@given(made=exports(), data=st.data())
def test_any_changed_byte_is_found(made, data, key: AuditKey):
    lines = chained(made[0], made[1], key)
    whole = b"\n".join(lines) + b"\n"
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert verified(lines, key).tail.number == len(made[0])
    with pytest.raises(DataLoss):
        verified(io.BytesIO(changed).readlines(), key)


@given(made=exports(), data=st.data())
def test_any_line_that_is_removed_doubled_or_moved_is_found(made, data, key: AuditKey):
    lines = chained(made[0], made[1], key)
    one = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda n: n != one))
    swapped = list(lines)
    swapped[one], swapped[other] = lines[other], lines[one]
    moved = lines[:one] + lines[one + 1 :]
    moved.insert(other, lines[one])
    for forged in (
        lines[:one] + lines[one + 1 :],
        [*lines[:one], lines[one], *lines[one:]],
        swapped,
        moved,
    ):
        with pytest.raises(DataLoss):
            verified(forged, key)


@given(made=exports(), forged=entries, data=st.data())
def test_a_chain_that_was_made_anew_is_found_by_its_heads(made, forged, data, key: AuditKey):
    """Whoever writes the database can hash, but cannot sign."""
    packs, signed = made
    at = data.draw(st.integers(0, len(packs) - 1))
    other = packed(replace(forged, reason="forged"))
    heads = {
        head.number: line
        for line in chained(packs, signed, key)
        if (head := head_in(line)) is not None
    }
    for renewed in ([*packs[:at], other, *packs[at + 1 :]], [*packs[:at], other, *packs[at:]]):
        lines = []
        for line in chained(renewed, signed, key):
            head = head_in(line)
            lines.append(line if head is None else heads.get(head.number, line_of_head(
                replace(head, signature=bytes(64)))))  # fmt: skip
        with pytest.raises(DataLoss):
            verified(lines, key)


def test_an_end_that_was_cut_off_is_found_with_a_head_that_was_kept(key: AuditKey):
    packs = [packed(AuditEntry(float(n), "ana", "submit", f"job-{n}")) for n in range(5)]
    lines = chained(packs, {2, 4}, key)
    kept = head_in(lines[-1])
    assert kept is not None
    cut = lines[:3]  # entries 1 and 2 and their head: in itself it is whole
    assert verified(cut, key).tail.number == 2
    with pytest.raises(DataLoss, match="ends with entry 2, but a head of entry 5 was kept"):
        verified(cut, key, [kept])
    assert verified(lines, key, [kept]).heads == 3


def test_another_history_with_the_same_key_is_found_with_a_head_that_was_kept(key: AuditKey):
    packs = [packed(AuditEntry(float(n), "ana", "submit", f"job-{n}")) for n in range(3)]
    kept = head_in(chained(packs, {2}, key)[2])
    assert kept is not None
    packs[1] = packed(AuditEntry(1.0, "eve", "submit", "job-1"))
    with pytest.raises(DataLoss, match="entry 2 is not the one of which a head was kept"):
        verified(chained(packs, {2}, key), key, [kept])


def test_another_key_verifies_nothing(key: AuditKey, tmp_path: Path):
    lines = chained([packed(AuditEntry(1.0, "ana", "submit", "x"))], set(), key)
    with pytest.raises(DataLoss, match=r"head 1 .* is not signed with this key"):
        verified(lines, AuditKey.at(tmp_path / "other.key"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[1:], "entry 1 is missing: entry 2 stands in its place"),
        (lambda lines: [lines[0], *lines], "entry 1 stands where entry 2 belongs"),
        (lambda lines: [lines[0].replace(b"ana", b"eve"), *lines[1:]], "entry 1 was changed"),
        (lambda lines: lines[:-1], "no signed head follows entry 3"),
        (lambda lines: [*lines[:2], b"{}", *lines[2:]], "the line after entry 2 was changed"),
        (lambda lines: [b" " + lines[0], *lines[1:]], "the line after entry 0 was changed"),
        (lambda lines: [], "there is no entry 1"),
    ],
)  # fmt: skip
def test_what_is_said_names_the_number(change, said: str, key: AuditKey):
    packs = [packed(AuditEntry(float(n), "ana", "submit", f"job-{n}")) for n in range(3)]
    with pytest.raises(DataLoss, match=said):
        verified(change(chained(packs, set(), key)), key)


@given(entries)
def test_an_entry_reads_back_as_it_was_packed(entry: AuditEntry):
    again = entry_of(packed(entry))
    assert packed(entry) == canonical(json.loads(packed(entry)))
    assert abs(again.at - entry.at) <= 1e-6
    assert replace(again, at=entry.at) == replace(entry, data=tuple(sorted(entry.data)))


def test_a_text_that_is_not_utf8_or_too_long_is_written_all_the_same():
    entry = entry_of(packed(AuditEntry(1.0, "a\udcff\0b", "submit", "x" * 5000)))
    assert entry.actor == "a\ufffd\0b"
    assert (len(entry.target), entry.target[-1]) == (1000, "…")


@given(exports())
def test_the_verifier_of_the_documentation_is_right(key: AuditKey, tmp_path_factory, made):
    """What docs/audit.md tells outsiders to run finds the same."""
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert program is not None
    folder = tmp_path_factory.mktemp("outside")
    (folder / "audit.pem").write_text(key.public_pem, encoding="ascii")
    lines = chained(made[0], made[1], key)
    changed = lines[0].replace(b'"outcome":"done"', b'"outcome":"fine"').replace(b"denied", b"fine")
    for name, content, fine in (("whole", lines, True), ("bad", [changed, *lines[1:]], False)):
        (folder / name).write_bytes(b"\n".join(content) + b"\n")
        argv, sys.argv = sys.argv, ["verify.py", str(folder / name), str(folder / "audit.pem")]
        try:
            with redirect_stdout(io.StringIO()) as said:
                if fine:
                    exec(program[1], {})
                    assert said.getvalue().startswith(f"{len(made[0])} entries")
                else:
                    with pytest.raises(AssertionError):
                        exec(program[1], {})
        finally:
            sys.argv = argv


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "authority" / "audit.key"
    made = AuditKey.at(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert AuditKey.at(path).public_pem == made.public_pem
    path.chmod(0o644)
    with pytest.raises(InvalidArgument, match="can be read by others"):
        AuditKey.at(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidArgument, match=r"audit\.key"):
        AuditKey.at(path)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_key_is_refused(tmp_path: Path):
    path = tmp_path / "audit.key"
    path.write_text("nonsense")
    path.chmod(0o600)
    with pytest.raises(InvalidArgument, match="holds no Ed25519 key"):
        AuditKey.at(path)
    with pytest.raises(InvalidArgument, match="holds no public Ed25519 key"):
        checking(b"nonsense", name="audit.pem")


def test_canonical_is_what_the_documentation_says():
    assert canonical({"b": 1, "a": 'é"\n\u2028'}) == '{"a":"é\\"\\n\u2028","b":1}'.encode()
