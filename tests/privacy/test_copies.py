"""From a ledger that was copied, rolled back or damaged, nothing is ever released unseen."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from privacy.door import Door
from privacy.errors import LedgerError
from privacy.ledger_check import is_elsewhere, read_account, verify_ledger
from privacy.query import Contributions
from privacy.release import LEDGER_UNUSABLE, Answer, Refusal, Release
from privacy.signed_head import SignedHead
from privacy.signing import SigningKey
from privacy.window import Window
from tests.privacy.damaged_ledger import (
    FIRST,
    KEY,
    LAST,
    LEDGER,
    LOG,
    NEW,
    PEOPLE,
    WITNESS,
    Specimen,
    asked,
    says_the_same,
)
from tests.privacy.examples import a_door, forbidden, giving

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Specimen]:
    return {
        name: Specimen(
            tmp_path_factory.mktemp(name), witnessed=name != "alone", with_log=name == "crashed"
        )
        for name in ("alone", "witnessed", "crashed")
    }


@pytest.fixture(params=["alone", "witnessed", "crashed"])
def specimen(made: dict[str, Specimen], request: pytest.FixtureRequest) -> Specimen:
    found = made[request.param]
    found.restore()
    return found


@pytest.fixture
def witnessed(made: dict[str, Specimen]) -> Specimen:
    made["witnessed"].restore()
    return made["witnessed"]


@pytest.fixture
def alone(made: dict[str, Specimen]) -> Specimen:
    made["alone"].restore()
    return made["alone"]


def refused(door: Door, round_number: int = NEW) -> Refusal:
    """Ask for a round whose users must not be touched."""
    answer = door.answer(asked(round_number), forbidden())
    assert isinstance(answer, Refusal)
    assert "Nothing was sent" in answer.sentence
    return answer


def assert_closed(door: Door, caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """Assert that nothing leaves, old or new, and that the log, not the server, is told why."""
    for round_number in (NEW, FIRST, LAST):
        caplog.clear()
        refusal = refused(door, round_number)
        assert (refusal.reason, refusal.head) == (LEDGER_UNUSABLE, None)
        assert "Traceback" not in caplog.text
        for word in words:
            assert word in caplog.text
        assert str(door.ledger.path) not in refusal.sentence


def not_verified(specimen: Specimen) -> str:
    """Return the sentence that says why the ledger does not hold."""
    try:
        found = verify_ledger(specimen.path, witness=specimen.witness, heads=specimen.heads)
    except LedgerError as error:
        return str(error)
    assert not found.holds
    return " ".join(found.faults)


def test_ledger_that_nobody_damaged_goes_on(specimen: Specimen) -> None:
    assert specimen.holds()
    for round_number, sent in specimen.sent.items():
        again = specimen.door().answer(asked(round_number), forbidden())
        assert says_the_same(again, sent)
    before = len(specimen.door().ledger.entries())
    assert isinstance(specimen.door().answer(asked(NEW), giving(PEOPLE)), Release)
    assert len(specimen.door().ledger.entries()) == before + 1
    assert specimen.holds()


# Copies.


def test_copy_of_a_ledger_in_use_answers_nothing_and_the_ledger_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door = a_door(tmp_path / "own")
    door.answer(asked(FIRST), giving(PEOPLE))
    door.answer(asked(LAST), giving(PEOPLE))

    def contribute(window: Window) -> Mapping[str, Contributions]:
        (tmp_path / "copy").mkdir()
        for name in (LEDGER, KEY):
            shutil.copy(tmp_path / "own" / name, tmp_path / "copy" / name)
        return PEOPLE

    assert isinstance(door.answer(asked(NEW), contribute), Release)
    copy = tmp_path / "copy" / LEDGER
    assert_closed(a_door(tmp_path / "copy"), caplog, "copied or moved", "ledger adopt")
    assert is_elsewhere(copy, read_account(copy))
    assert isinstance(door.answer(asked(NEW + 1), giving(PEOPLE)), Release)
    assert verify_ledger(door.ledger.path).holds


def test_copy_put_in_the_place_of_a_ledger_answers_nothing(
    alone: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    copy = alone.folder / "copy"
    shutil.copy(alone.path, copy)
    alone.remove(LEDGER)
    copy.rename(alone.path)
    assert_closed(alone.door(), caplog, "copied or moved")
    alone.restore()  # the same file again, whatever it was called meanwhile
    assert isinstance(alone.door().answer(asked(NEW), giving(PEOPLE)), Release)


def test_second_name_of_a_ledgers_file_answers_nothing(alone: Specimen, tmp_path: Path) -> None:
    os.link(alone.path, tmp_path / LEDGER)  # SQLite keeps one log for each name
    shutil.copy(alone.folder / KEY, tmp_path / KEY)
    try:
        refused(a_door(tmp_path))
        refused(alone.door())
    finally:
        (tmp_path / LEDGER).unlink()


def roll_back(specimen: Specimen) -> SignedHead:
    """Release once more, then write the old file back over the new one."""
    answer = specimen.door().answer(asked(NEW), giving(PEOPLE))
    assert isinstance(answer, Release)
    assert answer.head
    specimen.door().ledger.account()  # the last to close the file removes SQLite's log
    specimen.overwrite(LEDGER, specimen.files[LEDGER])
    return answer.head


def test_old_copy_written_back_is_behind_its_witness(
    witnessed: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    roll_back(witnessed)
    assert_closed(witnessed.door(), caplog, "rolled back")
    assert "rolled back" in not_verified(witnessed)


def test_old_copy_written_back_is_behind_the_heads_that_a_server_has(alone: Specimen) -> None:
    head = roll_back(alone)
    (fault,) = verify_ledger(alone.path, heads=[head]).faults
    assert "rolled back" in fault


def test_ledger_that_went_on_from_an_old_copy_is_on_another_branch(alone: Specimen) -> None:
    head = roll_back(alone)
    for round_number in (NEW, NEW + 1):  # alone, it cannot know
        answer = alone.door().answer(asked(round_number, nonce="another"), giving(PEOPLE))
        assert isinstance(answer, Release)
    (fault,) = verify_ledger(alone.path, heads=[head]).faults
    assert "other contents" in fault


def test_log_of_a_crashed_ledger_that_is_removed_is_missed_by_the_witness(
    made: dict[str, Specimen], caplog: pytest.LogCaptureFixture
) -> None:
    crashed = made["crashed"]
    crashed.restore()
    crashed.remove(LOG)
    assert_closed(crashed.door(), caplog, "rolled back")
    assert "rolled back" in not_verified(crashed)


# Files that are gone, exchanged or open to others.


@pytest.mark.parametrize("also", [[], [KEY], [WITNESS]], ids=str)
def test_ledger_that_is_gone_is_not_begun_anew_while_its_key_or_witness_remains(
    witnessed: Specimen, caplog: pytest.LogCaptureFixture, also: list[str]
) -> None:
    witnessed.remove(LEDGER, *also)
    assert_closed(witnessed.door(), caplog, "is gone", "Restore the ledger")
    assert not witnessed.holds()
    for name in {KEY, WITNESS} - set(also):
        assert (witnessed.folder / name).read_bytes() == witnessed.files[name]
    assert not any((witnessed.folder / name).exists() for name in also)


def test_ledger_that_is_removed_under_a_running_client_is_not_begun_anew(
    specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    door = specimen.door()
    door.answer(asked(FIRST), forbidden())
    specimen.remove(LEDGER, LOG)
    assert_closed(door, caplog)
    assert_closed(specimen.door(), caplog, "is gone")


def test_witness_that_is_gone_is_missed(
    witnessed: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    witnessed.remove(WITNESS)
    assert_closed(witnessed.door(), caplog, WITNESS)
    assert WITNESS in not_verified(witnessed)


def test_witness_of_another_ledger_is_noticed(
    witnessed: Specimen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_door(tmp_path, witness=tmp_path / WITNESS).answer(asked(FIRST), giving(PEOPLE))
    witnessed.overwrite(WITNESS, (tmp_path / WITNESS).read_bytes())
    assert_closed(witnessed.door(), caplog, "another ledger")
    assert "another ledger" in not_verified(witnessed)


def another_kind_of_key() -> bytes:
    return X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def exchange(key: Path) -> None:
    key.unlink()
    SigningKey.create(key)


def make_a_folder(key: Path) -> None:
    key.unlink()
    key.mkdir(mode=0o700)


KEYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "cannot be read"),
    "for-others": (lambda key: key.chmod(0o640), "chmod 600"),
    "for-everybody": (lambda key: key.chmod(0o604), "chmod 600"),
    "exchanged": (exchange, "has public_key"),
    "empty": (lambda key: key.write_bytes(b""), "does not hold"),
    "no-key": (lambda key: key.write_text("an old song"), "does not hold"),
    "another-kind": (lambda key: key.write_bytes(another_kind_of_key()), "another kind"),
    "a-folder": (make_a_folder, "cannot be read"),
}


@pytest.mark.parametrize("name", KEYS)
def test_key_that_is_not_the_ledgers_own_or_not_its_own_alone_signs_nothing(
    specimen: Specimen, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage, words = KEYS[name]
    key = specimen.folder / KEY
    damage(key)
    assert_closed(specimen.door(), caplog, words)
    assert specimen.holds()  # to look at a ledger takes no private key


ALGORITHMS_NOBODY_KNOWS = ["MC4CAQAwBQYDU2VwBCIEI", "MC4CAQAwBQYDK2VxBCIEI"]


@pytest.mark.parametrize("beginning", ALGORITHMS_NOBODY_KNOWS)
def test_key_of_an_unknown_algorithm_signs_nothing(
    alone: Specimen, beginning: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = alone.files[KEY].decode()
    alone.overwrite(KEY, text.replace("MC4CAQAwBQYDK2VwBCIEI", beginning).encode())
    assert_closed(alone.door(), caplog, KEY)


# Records, checkpoints and replies, changed by somebody who can write to the disk.

CHAIN = {
    "first charge made cheaper": "UPDATE records SET content = "
    "replace(content, '\"sigma\":2.0', '\"sigma\":9.0') WHERE sequence = 4",
    "last charge made cheaper": "UPDATE records SET content = "
    "replace(content, '\"sigma\":2.0', '\"sigma\":9.0') WHERE sequence = "
    "(SELECT max(sequence) FROM records WHERE kind = 'reserved')",
    "first record removed": "DELETE FROM records WHERE sequence = 1",
    "a charge removed": "DELETE FROM records WHERE sequence = 4",
    "last record removed": "DELETE FROM records WHERE sequence = "
    "(SELECT max(sequence) FROM records)",
    "all records removed": "DELETE FROM records",
    "two records exchanged": "UPDATE records SET sequence = CASE sequence "
    "WHEN 4 THEN -6 ELSE -4 END WHERE sequence IN (4, 6); "
    "UPDATE records SET sequence = -sequence WHERE sequence < 0",
    "a commit made a failure": "UPDATE records SET kind = 'failed' WHERE sequence = 5",
    "a time changed": "UPDATE records SET time = '2020' || substr(time, 5) WHERE sequence = 5",
    "a hash changed": "UPDATE records SET hash = previous WHERE sequence = 5",
    "a link changed": "UPDATE records SET previous = hash WHERE sequence = 5",
    "rules made looser": "UPDATE records SET content = replace(content, 'replace', 'add') "
    "|| ' ' WHERE kind = 'rules'",
    "older signature changed": "UPDATE checkpoints SET signature = "
    "replace(signature, 'a', 'b') WHERE sequence = 5",
    "older signature removed": "DELETE FROM checkpoints WHERE sequence = 5",
    "older signature added": "INSERT INTO checkpoints SELECT 3, signature FROM checkpoints "
    "WHERE sequence = 5",
    "last signature spelt in capitals": "UPDATE checkpoints SET signature = upper(signature) "
    "WHERE sequence = (SELECT max(sequence) FROM records)",
    "a record added": "INSERT INTO records SELECT sequence + 1, time, kind, content, hash, "
    "previous FROM records WHERE sequence = (SELECT max(sequence) FROM records)",
    "last signature removed": "DELETE FROM checkpoints WHERE sequence = "
    "(SELECT max(sequence) FROM records)",
    "last signature changed": "UPDATE checkpoints SET signature = "
    "replace(signature, 'a', 'b') WHERE sequence = (SELECT max(sequence) FROM records)",
    "last signature exchanged": "UPDATE checkpoints SET signature = "
    "(SELECT signature FROM checkpoints WHERE sequence = 5) WHERE sequence = "
    "(SELECT max(sequence) FROM records)",
    "all signatures removed": "DELETE FROM checkpoints",
    "another program's": "PRAGMA application_id = 1",
    "another format": "PRAGMA user_version = 1",
}


@pytest.mark.parametrize("name", CHAIN)
def test_change_to_the_chain_stops_everything(specimen: Specimen, name: str) -> None:
    with specimen.opened_by_force() as database:
        database.executescript(CHAIN[name])
    assert specimen.stored_values() != specimen.values
    refused(specimen.door())
    for round_number, sent in specimen.sent.items():
        answer = specimen.door().answer(asked(round_number), forbidden())
        assert isinstance(answer, Refusal) or says_the_same(answer, sent)
        assert isinstance(answer, Refusal) or specimen.witness is None
    assert not_verified(specimen)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_end_of_the_chain_removed_with_its_signatures_is_missed_by_witness_and_server(
    specimen: Specimen, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    with specimen.opened_by_force() as database:
        database.execute(
            "DELETE FROM records WHERE sequence > (SELECT max(sequence) FROM records) - ?", (count,)
        )
        database.executescript(
            "DELETE FROM checkpoints WHERE sequence > (SELECT max(sequence) FROM records);"
            "DELETE FROM replies WHERE entry = (SELECT max(entry) FROM replies)"
        )
    if specimen.witness:
        assert_closed(specimen.door(), caplog, "rolled back")
    assert "rolled back" in not_verified(specimen)


def test_chain_that_was_forged_from_some_charge_on_is_not_signed(
    alone: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    with alone.opened_by_force() as database:
        previous = "0" * 64
        for row in database.execute("SELECT * FROM records ORDER BY sequence").fetchall():
            sequence, time, kind, content = row[:4]
            content = content.replace('"sigma":2.0', '"sigma":9.0')
            parts = [str(sequence), time, kind, content, previous]
            line = json.dumps(parts, separators=(",", ":"))
            digest = hashlib.sha256(line.encode()).hexdigest()
            database.execute(
                "UPDATE records SET content = ?, previous = ?, hash = ? WHERE sequence = ?",
                (content, previous, digest, sequence),
            )
            previous = digest
    assert_closed(alone.door(), caplog, "cannot be trusted")
    assert "signature" in not_verified(alone)


REPLIES = {
    "changed": "UPDATE replies SET reply = zeroblob(length(reply)) WHERE entry = 1",
    "cut short": "UPDATE replies SET reply = substr(reply, 1, 100) WHERE entry = 1",
    "exchanged": "UPDATE replies SET entry = CASE entry WHEN 1 THEN -2 ELSE -1 END "
    "WHERE entry IN (1, 2); UPDATE replies SET entry = -entry WHERE entry < 0",
}


@pytest.mark.parametrize("name", REPLIES)
def test_changed_reply_is_never_sent(
    specimen: Specimen, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with specimen.opened_by_force() as database:
        database.executescript(REPLIES[name])
    assert_closed(specimen.door(), caplog, "reply of entry")
    assert "reply of entry" in not_verified(specimen)


def test_reply_that_is_changed_under_a_running_client_is_never_sent(specimen: Specimen) -> None:
    door = specimen.door()
    assert says_the_same(door.answer(asked(FIRST), forbidden()), specimen.sent[FIRST])
    with specimen.opened_by_force() as database:
        database.executescript(REPLIES["changed"])
    assert refused(door, FIRST).reason == LEDGER_UNUSABLE


def test_reply_that_is_gone_is_not_drawn_again(specimen: Specimen) -> None:
    with specimen.opened_by_force() as database:
        database.execute("DELETE FROM replies")
    for round_number in specimen.sent:
        assert refused_as(specimen.door(), round_number) == "already-charged"


def refused_as(door: Door, round_number: int) -> str:
    answer = door.answer(asked(round_number), forbidden())
    assert isinstance(answer, Refusal)
    return answer.reason


def test_change_beside_the_chain_stops_new_answers_too(alone: Specimen) -> None:
    with alone.opened_by_force() as database:
        database.execute("UPDATE replies SET reply = zeroblob(1) WHERE entry = 1")
    refused(alone.door())


ODD_VALUES: dict[str, object] = {
    "null": None,
    "number": 7,
    "bytes": b"x",
    "huge": 2**62,
    "text": "x",
}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(
            column,
            ODD_VALUES[value],
            id=f"{column}-{value}",
        )
        for column in ("time", "kind", "content", "previous", "hash", "signature", "reply")
        for value in ODD_VALUES
    ],
)
def test_value_of_another_type_stops_answers_with_a_sentence(
    alone: Specimen, column: str, value: object
) -> None:
    table = {"signature": "checkpoints", "reply": "replies"}.get(column, "records")
    with alone.opened_by_force() as database:  # a byte of the file says which type a value has
        database.execute(
            f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})",  # noqa: S608
            (value,),
        )
    refused(alone.door(), LAST)
    assert not_verified(alone)


# Damage at random.


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Return a change to a file's content: cut short, overwritten, flipped, or blanked."""
    where = draw(st.floats(0, 1, exclude_max=True))
    kind = draw(st.sampled_from(["cut", "overwrite", "flip", "blank", "repeat"]))
    noise = draw(st.binary(min_size=1, max_size=200))
    length = draw(st.integers(1, 4096))

    def damage(content: bytes) -> bytes:
        at = int(where * len(content))
        match kind:
            case "cut":
                return content[:at]
            case "overwrite":
                return content[:at] + noise[: len(content) - at] + content[at + len(noise) :]
            case "flip":
                flipped = bytes([content[at] ^ (1 << (noise[0] % 8))])
                return content[:at] + flipped + content[at + 1 :]
            case "blank":
                return content[:at] + bytes(len(content[at : at + length])) + content[at + length :]
            case _:  # an old page in the place of a newer one
                page = content[(at // 4096) * 4096 :][:4096]
                other = (noise[0] % max(1, len(content) // 4096)) * 4096
                return content[:other] + page + content[other + len(page) :]

    return damage


def heads_in(content: bytes) -> set[tuple[int, str]]:
    """Return number and hash of each head in a witness' content; lines cut short do not count."""
    lines = [json.loads(line) for line in content.split(b"\n") if line.endswith(b"}")]
    return {(line["sequence"], line["head"]) for line in lines}


def assert_nothing_left_unseen(specimen: Specimen, new: Answer, old: Answer) -> None:
    """Assert that what a damaged ledger released stands on an undamaged chain."""
    assert isinstance(new, Refusal) or new.is_genuine
    assert isinstance(old, Refusal) or says_the_same(old, specimen.sent[FIRST])
    for answer in (new, old):
        assert not isinstance(answer, Refusal) or answer.sentence


@contextmanager
def unheard() -> Iterator[None]:
    """Log nothing: whoever keeps what is logged keeps errors, and with them open files."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def look_at(specimen: Specimen, name: str, damage: Callable[[bytes], bytes]) -> None:
    damaged = damage(specimen.files[name])

    def put_damaged() -> None:
        specimen.restore()
        specimen.overwrite(name, damaged)

    with unheard():
        put_damaged()
        values, held = specimen.stored_values(), specimen.holds()
        put_damaged()
        new = specimen.door().answer(asked(NEW), giving(PEOPLE))
        put_damaged()
        old = specimen.door().answer(asked(FIRST), forbidden())
    assert_nothing_left_unseen(specimen, new, old)
    whole = specimen.values
    if name == KEY:
        own = {head.public_key for head in specimen.heads}
        assert isinstance(new, Refusal) or {new.head and new.head.public_key} == own
        assert held
        return
    if name == WITNESS:
        assert isinstance(new, Refusal) or heads_in(damaged) <= heads_in(specimen.files[name])
        return
    if held or not (isinstance(new, Refusal) and isinstance(old, Refusal)):
        assert values.chain == whole.chain
        # An agent forgets replies in time, and goes on without; whoever verifies misses them.
        assert set(values.replies or [()]) <= set(whole.replies or [])
    if held:
        assert values.replies == whole.replies


SETTINGS = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


@SETTINGS
@given(damages())
def test_random_damage_to_the_file_releases_nothing_unseen(
    made: dict[str, Specimen], damage: Callable[[bytes], bytes]
) -> None:
    look_at(made["alone"], LEDGER, damage)


@SETTINGS
@given(damages())
def test_random_damage_to_the_log_of_a_crashed_ledger_releases_nothing_unseen(
    made: dict[str, Specimen], damage: Callable[[bytes], bytes]
) -> None:
    look_at(made["crashed"], LOG, damage)


@SETTINGS
@given(damages())
def test_random_damage_to_the_key_signs_nothing_else(
    made: dict[str, Specimen], damage: Callable[[bytes], bytes]
) -> None:
    look_at(made["alone"], KEY, damage)


@SETTINGS
@given(damages())
def test_random_damage_to_the_witness_is_noticed(
    made: dict[str, Specimen], damage: Callable[[bytes], bytes]
) -> None:
    look_at(made["witnessed"], WITNESS, damage)
