"""A head vouches for all that was before it, and a witness keeps heads."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import DamagedLedgerError, LedgerError
from privacy.ledger import Ledger
from privacy.ledger_care import adopt_ledger
from privacy.ledger_check import is_elsewhere, read_account, verify_ledger
from privacy.signed_head import SignedHead, Witness
from tests.privacy.examples import a_ledger, a_query


def head_after(ledger: Ledger, releases: int) -> SignedHead:
    """Let a ledger answer some rounds; return the last head."""
    for number in range(1, releases + 1):
        entry = ledger.reserve(a_query(round_number=number, sigma=20.0), "float").entry
        head = ledger.commit(entry, b"reply")
    return head


@pytest.mark.parametrize(
    "change",
    [
        {"region": "south"},
        {"sequence": 1},
        {"head": "0" * 64},
        {"public_key": "1" * 64},
        {"signature": "00" * 64},
    ],
)
def test_head_that_was_changed_is_not_genuine(tmp_path: Path, change: dict[str, Any]) -> None:
    head = head_after(a_ledger(tmp_path), 2)
    assert head.is_genuine
    assert not replace(head, **change).is_genuine


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"region": "north"},
        {"region": 1, "sequence": "2", "head": "", "public_key": "", "signature": ""},
    ],
)
def test_what_is_no_head_is_not_read(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="signed head"):
        SignedHead.from_json(content)


def test_witness_keeps_every_head_under_which_something_left(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, witness=tmp_path / "witness")
    first = head_after(ledger, 1)
    ledger.reserve(a_query(round_number=2), "float")  # nothing leaves
    entry = ledger.reserve(a_query(round_number=3), "float").entry
    second = ledger.commit(entry, b"reply")
    opened, *others = Witness(tmp_path / "witness").heads()
    assert opened.sequence == 1
    assert others == [first, second]


def test_line_that_a_crash_cut_short_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=path)
    head = head_after(ledger, 1)
    with path.open("a") as file:
        file.write(json.dumps(asdict(head), sort_keys=True)[:50])
    assert Witness(path).heads()[1:] == [head]
    again = ledger.commit(ledger.reserve(a_query(round_number=2), "float").entry, b"reply")
    assert Witness(path).heads()[1:] == [head, again]


def test_witness_of_another_ledger_stops_everything(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    head_after(a_ledger(tmp_path / "one", witness=witness), 1)
    other = a_ledger(tmp_path / "other")
    head_after(other, 1)
    with pytest.raises(DamagedLedgerError, match="another ledger"):
        a_ledger(tmp_path / "other", witness=witness).account()


def test_witness_that_vanished_stops_everything(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=witness)
    head_after(ledger, 1)
    witness.unlink()
    with pytest.raises(LedgerError, match="adopt"):
        ledger.reserve(a_query(round_number=2), "float")


@pytest.mark.parametrize("line", ['{"no": "head"}', "{}", '["a"]}'])
def test_witness_with_a_line_that_is_no_head_stops_everything(tmp_path: Path, line: str) -> None:
    witness = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=witness)
    head_after(ledger, 1)
    witness.write_text(witness.read_text() + line + "\n")
    with pytest.raises(DamagedLedgerError, match="no head"):
        ledger.account()


def test_repeated_requests_do_not_make_the_witness_grow(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=witness)
    head_after(ledger, 2)
    size = witness.stat().st_size
    for _ in range(5):
        assert ledger.reserve(a_query(round_number=1, sigma=20.0), "float").reply is not None
    assert witness.stat().st_size == size


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\xff" * 100, b"epsilon = 1\n"])
def test_witness_without_a_head_stops_everything(tmp_path: Path, content: bytes) -> None:
    witness = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=witness)
    head_after(ledger, 1)
    witness.write_bytes(content)
    with pytest.raises(DamagedLedgerError):
        ledger.account()
    assert not verify_ledger(ledger.path, witness=witness).holds


@pytest.mark.parametrize("content", [b"", b'\n{"head": "1f'])
def test_witness_whose_first_head_a_crash_cut_short_is_begun_anew(
    tmp_path: Path, content: bytes
) -> None:
    witness = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=witness)
    ledger.account()
    witness.write_bytes(content)
    assert verify_ledger(ledger.path, witness=witness).holds
    first = head_after(ledger, 1)
    assert [head.sequence for head in Witness(witness).heads()] == [1, first.sequence]


# Adopting.


def moved(folder: Path) -> Path:
    """Return a ledger that has been copied to another place, with its key."""
    ledger = a_ledger(folder)
    head_after(ledger, 2)
    copy = folder / "moved" / "ledger.sqlite"
    copy.parent.mkdir()
    copy.write_bytes(ledger.path.read_bytes())
    key = copy.with_suffix(".key")
    key.write_bytes(ledger.path.with_suffix(".key").read_bytes())
    key.chmod(0o600)
    return copy


def test_copy_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    copy = moved(tmp_path)
    assert is_elsewhere(copy, read_account(copy))
    with pytest.raises(DamagedLedgerError, match="copied or moved"):
        a_ledger(copy.parent).account()
    head = adopt_ledger(copy, reason="the old disk is broken")
    assert head.is_genuine
    account = a_ledger(copy.parent).account()
    assert len(account.entries) == 2
    assert (account.sequence, account.head) == (head.sequence, head.head)
    assert not is_elsewhere(copy, account)


def test_ledger_behind_its_witness_cannot_be_adopted(tmp_path: Path) -> None:
    copy = moved(tmp_path)
    witness = tmp_path / "witness"
    original = a_ledger(tmp_path)
    entry = original.reserve(a_query(round_number=3, sigma=20.0), "float").entry
    Witness(witness).note(original.commit(entry, b"reply"))
    with pytest.raises(DamagedLedgerError, match="rolled back"):
        adopt_ledger(copy, witness=witness, reason="backup")
    assert len(read_account(copy).entries) == 2


def test_lost_witness_is_begun_anew(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    ledger = a_ledger(tmp_path, witness=witness)
    head_after(ledger, 1)
    witness.unlink()
    adopt_ledger(ledger.path, witness=witness, reason="witness lost")
    ledger.reserve(a_query(round_number=2), "float")
    assert verify_ledger(ledger.path, witness=witness).holds


def test_another_key_adopts_nothing(tmp_path: Path) -> None:
    copy = moved(tmp_path)
    a_ledger(tmp_path / "stranger").account()
    with pytest.raises(DamagedLedgerError, match="not its own"):
        adopt_ledger(copy, key=tmp_path / "stranger" / "ledger.key", reason="theft")


def test_there_must_be_a_ledger_to_adopt(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger"):
        adopt_ledger(tmp_path / "ledger.sqlite", reason="hope")


# Looking from outside.


def test_looking_changes_nothing(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    head_after(ledger, 2)
    before = ledger.path.read_bytes()
    account = read_account(ledger.path)
    assert verify_ledger(ledger.path).holds
    assert ledger.path.read_bytes() == before
    assert account == ledger.account()


def test_what_was_not_given_is_told_as_unchecked(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    head = head_after(ledger, 1)
    assert len(verify_ledger(ledger.path).unchecked) == 2
    assert len(verify_ledger(ledger.path, heads=[head]).unchecked) == 1


def test_head_that_a_server_holds_shows_a_rollback(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    head_after(ledger, 1)
    early = ledger.path.read_bytes()
    entry = ledger.reserve(a_query(round_number=2, sigma=20.0), "float").entry
    head = ledger.commit(entry, b"reply")
    ledger.path.write_bytes(early)
    found = verify_ledger(ledger.path, heads=[head])
    assert not found.holds
    assert "rolled back" in found.faults[0]


def test_key_that_was_exchanged_shows_in_a_servers_head(tmp_path: Path) -> None:
    real = head_after(a_ledger(tmp_path / "real"), 1)
    forged = a_ledger(tmp_path / "forged")
    head_after(forged, 1)
    assert verify_ledger(forged.path).holds
    assert not verify_ledger(forged.path, heads=[real]).holds
