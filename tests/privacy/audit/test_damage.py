"""An audit passes a ledger only if every stored value is what it was; else it says which is not."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from privacy.audit.auditing import audit
from privacy.audit.ledger_audit import LedgerAudit, Verdict, audit_ledger
from privacy.query import NoiseKind
from privacy.server_record import HEADS, write_server_record
from privacy.signing import SigningKey
from tests.privacy.damaged_ledger import (
    LEDGER,
    NEW,
    PEOPLE,
    Specimen,
    asked,
)
from tests.privacy.examples import a_door, giving
from tests.privacy.test_copies import CHAIN, REPLIES, damages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return Specimen(tmp_path_factory.mktemp("audited"), witnessed=False)


@pytest.fixture
def specimen(made: Specimen) -> Iterator[Specimen]:
    made.restore()
    yield made
    made.restore()


def look(specimen: Specimen) -> LedgerAudit:
    return audit_ledger(specimen.path, heads=specimen.heads)


def test_ledger_that_nobody_damaged_passes_and_tells_all(specimen: Specimen) -> None:
    found = look(specimen)
    assert (found.verdict, found.faults) == (Verdict.PASS, [])
    assert found.simulated
    assert found.releases == 6
    assert found.rests_on_server == 1
    assert sum(found.refusals.values()) == 1
    told = " ".join(found.incidents)
    assert "the program failed" in told
    assert "not known to have ended" in told
    released = json.loads(found.detail("released"))
    assert [one["entry"] for one in released] == list(range(1, 7))


@pytest.mark.parametrize("name", CHAIN)
def test_change_to_the_chain_fails(specimen: Specimen, name: str) -> None:
    with specimen.opened_by_force() as database:
        database.executescript(CHAIN[name])
    found = look(specimen)
    assert found.verdict is Verdict.FAIL
    assert found.faults[0]


@pytest.mark.parametrize("name", REPLIES)
def test_changed_reply_fails_and_its_entry_is_named(specimen: Specimen, name: str) -> None:
    with specimen.opened_by_force() as database:
        database.executescript(REPLIES[name])
    found = look(specimen)
    assert found.verdict is Verdict.FAIL
    assert "reply of entry" in found.faults[0]


def test_removed_reply_fails(specimen: Specimen) -> None:
    with specimen.opened_by_force() as database:
        database.execute("DELETE FROM replies WHERE entry = 1")
    assert "reply of entry 1 is missing" in look(specimen).faults[0]


def cells(specimen: Specimen) -> list[tuple[str, str, int]]:
    """Return table, column and row of every value that is stored."""
    with specimen.opened_by_force() as database:
        return [
            (table, str(column), int(row))
            for table in ("records", "checkpoints", "replies")
            for (row,) in database.execute(f"SELECT rowid FROM {table}")  # noqa: S608
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall()
        ]


OTHER_VALUES: dict[str, Callable[[Any], object]] = {
    "another of its kind": lambda value: (
        value + 1000
        if isinstance(value, int)
        else value[:-1] + bytes([value[-1] ^ 1])
        if isinstance(value, bytes)
        else value[:-1] + chr(ord(value[-1]) ^ 1)
    ),
    "nothing": lambda value: None,
    "something else": lambda value: b"\xff\x00" if isinstance(value, str) else "x",
    "with a space": lambda value: f"{value} " if isinstance(value, str) else -1,
}


@pytest.mark.parametrize("change", OTHER_VALUES)
def test_any_stored_value_that_is_changed_fails_with_its_record_or_entry(
    specimen: Specimen, change: str
) -> None:
    everything = cells(specimen)
    assert len(everything) > 100
    specimen.restore()
    passed = []
    for table, column, row in everything:
        with specimen.opened_by_force() as database:
            (value,) = database.execute(
                f"SELECT {column} FROM {table} WHERE rowid = ?",  # noqa: S608
                (row,),
            ).fetchone()
            other = OTHER_VALUES[change](value)
            if column in ("sequence", "entry") and not isinstance(other, int):
                continue  # SQLite itself does not let a row's number be anything else
            database.execute(
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?",  # noqa: S608
                (other, row),
            )
        found = look(specimen)
        if found.verdict is not Verdict.FAIL or not any(
            word in found.faults[0].lower() for word in ("record", "entry", "head")
        ):
            passed.append((table, column, row, found.faults))
        specimen.restore()
    assert passed == []


@pytest.mark.parametrize("pragma", ["application_id", "user_version"])
def test_changed_numbers_of_the_header_fail(specimen: Specimen, pragma: str) -> None:
    with closing(sqlite3.connect(specimen.path)) as database:
        database.execute(f"PRAGMA {pragma} = 7")
    assert look(specimen).verdict is Verdict.FAIL


@pytest.mark.parametrize("part", [0.05, 0.2, 0.5, 0.9, 0.999])
def test_file_that_was_cut_short_fails(specimen: Specimen, part: float) -> None:
    content = specimen.files[LEDGER]
    specimen.overwrite(LEDGER, content[: int(part * len(content))])
    assert look(specimen).verdict is Verdict.FAIL


def test_beginning_of_the_file_gone_fails_by_its_mark(specimen: Specimen) -> None:
    content = specimen.files[LEDGER]
    specimen.overwrite(LEDGER, b"\0" * 16 + content[16:])
    assert look(specimen).verdict is Verdict.FAIL


def test_changed_tables_do_not_hide_what_else_was_changed(specimen: Specimen) -> None:
    with closing(sqlite3.connect(specimen.path)) as database:
        database.execute("DROP TRIGGER records_are_not_changed")
        database.execute("UPDATE records SET time = 'soon' WHERE sequence = 6")
        database.commit()
    found = look(specimen)
    assert "tables or triggers" in found.faults[0]
    assert "Record 6" in found.faults[1]


# Whole ledgers that are not what they were: heads or other ledgers show it.


def folder_of(tmp_path: Path, specimen: Specimen) -> Path:
    """Return a folder with the ledger, and what its server kept, as an auditor gets them."""
    folder = tmp_path / "ledgers"
    folder.mkdir()
    shutil.copy(specimen.path, folder / "north.sqlite")
    write_server_record(folder / HEADS, specimen.heads[-1:], run="run-1")
    return folder


def test_old_copy_is_behind_the_servers_heads(specimen: Specimen, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, specimen)
    later = specimen.door().answer(asked(NEW), giving(PEOPLE))
    assert later.head
    write_server_record(folder / HEADS, [later.head], run="run-1")
    found = audit([folder])
    assert found.verdict is Verdict.FAIL
    assert "rolled back" in found.ledgers[0].faults[0]


def test_key_swapped_and_all_signed_anew_is_not_the_servers_ledger(
    specimen: Specimen, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, specimen)
    forge(folder / "north.sqlite", tmp_path / "another.key")
    found = audit([folder])
    assert found.verdict is Verdict.FAIL
    assert "another ledger" in found.ledgers[0].faults[0]
    (folder / HEADS).unlink()
    alone = audit([folder])
    assert alone.verdict is Verdict.PASS  # with the key in other hands, nothing inside can tell
    assert any("key" in told for told in alone.ledgers[0].unchecked)


def forge(path: Path, key: Path) -> None:
    """Write a ledger's whole history anew under another key, in the same file."""
    from privacy.records import Record, add_up
    from privacy.signed_head import sign_head

    signing = SigningKey.create(key)
    with closing(sqlite3.connect(path)) as database:
        for table in ("records", "checkpoints"):
            for act in ("changed", "removed"):
                database.execute(f"DROP TRIGGER {table}_are_not_{act}")
        signed = {row[0] for row in database.execute("SELECT sequence FROM checkpoints")}
        records: list[Record] = []
        rows = database.execute("SELECT sequence, time, kind, content FROM records").fetchall()
        previous = "0" * 64
        for sequence, time, kind, content in rows:
            told = json.loads(content)
            if kind == "opened":
                told["public_key"] = signing.public
            text = json.dumps(told, sort_keys=True, separators=(",", ":"))
            line = json.dumps([str(sequence), time, kind, text, previous], separators=(",", ":"))
            digest = hashlib.sha256(line.encode()).hexdigest()
            head = sign_head(signing, "north", sequence, digest)
            signature = head.signature if sequence in signed else ""
            records.append(Record(sequence, time, kind, text, previous, digest, signature))
            database.execute(
                "UPDATE records SET content = ?, previous = ?, hash = ? WHERE sequence = ?",
                (text, previous, digest, sequence),
            )
            if signature:
                database.execute(
                    "UPDATE checkpoints SET signature = ? WHERE sequence = ?",
                    (signature, sequence),
                )
            previous = records[-1].link
        add_up(records)
        database.commit()
        from privacy.ledger_file import _own_schema

        for kind, name, _, sql in _own_schema():
            if kind == "trigger" and name:
                database.execute(sql)
        database.commit()


def test_two_branches_of_one_ledger_part_at_a_record(specimen: Specimen, tmp_path: Path) -> None:
    specimen.door().answer(asked(NEW), giving(PEOPLE))
    specimen.door().ledger.account()
    one = shutil.copy(specimen.path, tmp_path / "one.sqlite")
    specimen.restore()
    specimen.door().answer(asked(NEW, nonce="another"), giving(PEOPLE))
    specimen.door().ledger.account()
    other = shutil.copy(specimen.path, tmp_path / "other.sqlite")
    found = audit([Path(one), Path(other)])
    assert [look.verdict for look in found.ledgers] == [Verdict.PASS] * 2
    assert found.verdict is Verdict.FAIL
    assert "differ from record" in found.comparison.faults[0]


def test_earlier_copy_beside_its_ledger_is_noted(specimen: Specimen, tmp_path: Path) -> None:
    early = shutil.copy(specimen.path, tmp_path / "early.sqlite")
    specimen.door().answer(asked(NEW), giving(PEOPLE))
    specimen.door().ledger.account()
    late = shutil.copy(specimen.path, tmp_path / "late.sqlite")
    found = audit([Path(early), Path(late)])
    assert found.verdict is Verdict.PASS
    assert "earlier copy" in found.comparison.unchecked[0]


def test_two_ledgers_of_one_client_do_not_count_each_other(tmp_path: Path) -> None:
    paths = []
    for name in ("first", "second"):
        a_door(tmp_path / name, noise=NoiseKind.SEEDED).answer(asked(1), giving(PEOPLE))
        paths.append(tmp_path / name / LEDGER)
    found = audit(paths)
    assert found.verdict is Verdict.FAIL
    assert "are both of north" in found.comparison.faults[0]


def test_two_ledgers_of_one_client_merged_into_one_file_fail(tmp_path: Path) -> None:
    for name in ("first", "second"):
        a_door(tmp_path / name, noise=NoiseKind.SEEDED).answer(asked(1), giving(PEOPLE))
    merged = tmp_path / "first" / LEDGER
    with closing(sqlite3.connect(merged)) as database:
        database.execute("ATTACH ? AS second", (str(tmp_path / "second" / LEDGER),))
        (last,) = database.execute("SELECT max(sequence) FROM records").fetchone()
        database.execute(
            "INSERT INTO records SELECT sequence + ?, time, kind, content, previous, hash "
            "FROM second.records",
            (last,),
        )
        database.execute(
            "INSERT INTO checkpoints SELECT sequence + ?, signature FROM second.checkpoints",
            (last,),
        )
        database.commit()
    found = audit_ledger(merged)
    assert found.verdict is Verdict.FAIL
    assert f"Record {last + 1}" in found.faults[0]


# At random.


@settings(
    max_examples=2500,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(damage=damages())
def test_random_damage_passes_only_if_every_stored_value_is_unchanged(
    made: Specimen, damage: Callable[[bytes], bytes]
) -> None:
    made.restore()
    made.overwrite(LEDGER, damage(made.files[LEDGER]))
    found = look(made)
    if found.verdict is Verdict.PASS:
        assert made.stored_values() == made.values
    elif found.verdict is Verdict.UNUSABLE:  # without its mark it is a file like any other
        assert made.path.read_bytes()[68:72] != made.files[LEDGER][68:72]
        assert found.unchecked
    else:
        assert all(found.faults)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(text=st.text(max_size=60), where=st.sampled_from(["content", "kind", "time"]))
def test_owner_who_signs_nonsense_gets_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str, where: str
) -> None:
    """Whoever has the key can make any chain hold; an auditor's program must bear it."""
    from privacy.errors import DamagedLedgerError
    from privacy.records import Record, add_up

    def record(sequence: int, time: str, kind: str, content: str, previous: str) -> Record:
        line = json.dumps([str(sequence), time, kind, content, previous], separators=(",", ":"))
        digest = hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()
        return Record(sequence, time, kind, content, previous, digest)

    values = {"time": "2026-03-02T12:00:00.000+00:00", "kind": "opened", "content": "{}"}
    values[where] = text
    with pytest.raises(DamagedLedgerError, match="Record 1"):
        add_up([record(1, previous="0" * 64, **values)])
