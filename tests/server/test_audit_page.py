"""The page and the terminal show whatever an audit finds, also where it finds no ledger."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from privacy.audit.auditing import Audit, audit
from privacy.audit.document import for_page, present_setting
from privacy.audit.ledger_audit import LedgerAudit
from privacy.audit.sealing import read_sealed
from privacy.door import ServerDoor
from privacy.ledger import Ledger
from privacy.query import NoiseKind, TrustModel
from privacy.records import digest_of_rules
from privacy.release import ClippedSum, Refusal
from privacy.signing import SigningKey
from server.audit_files import DOCUMENT, PAGE, write_audit
from server.audit_page import MOST_REFUSED, render_audit
from server.audit_view import show_audit
from tests.privacy.audit.signed_anew import history_of, sign_anew
from tests.privacy.damaged_ledger import LEDGER
from tests.privacy.examples import SetClock, a_door, a_noise, a_policy, a_query, giving, users

PEOPLE = {"sums": users([[1, 0], [0, 1]])}


def a_sound_ledger(folder: Path, *, sigma: float = 2.0) -> Path:
    door = a_door(folder, noise=NoiseKind.SEEDED)
    door.answer(a_query(sigma=sigma), giving(PEOPLE))
    return folder / LEDGER


def a_damaged_ledger(folder: Path) -> Path:
    path = a_sound_ledger(folder)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TRIGGER records_are_not_changed")
        database.execute("UPDATE records SET time = 'soon' WHERE sequence = 2")
        database.commit()
    return path


def junk(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "junk.sqlite").write_text("junk", encoding="utf-8")
    return folder / "junk.sqlite"


def only_refusals(folder: Path) -> Path:
    a_door(folder).answer(a_query(kind="names"), giving(PEOPLE))
    return folder / LEDGER


def nothing_at_all(folder: Path) -> Path:
    path = a_sound_ledger(folder)
    return _signed_anew(folder, history_of(path)[0][:1])


def foreign_rules(folder: Path) -> Path:
    history, _ = history_of(a_sound_ledger(folder))
    rules = {"rules": {"a": 1}, "policy": digest_of_rules({"a": 1})}
    return _signed_anew(folder, [*history[:2], (history[1][0], "rules", rules)])


def no_epsilon(folder: Path) -> Path:
    history, _ = history_of(a_sound_ledger(folder))
    larger = [
        (time, kind, content | {"sigma": 1e12} if kind == "reserved" else content)
        for time, kind, content in history
    ]
    return _signed_anew(folder, larger)


def _signed_anew(folder: Path, history: list[tuple[str, str, object]]) -> Path:
    sign_anew(folder / "anew.sqlite", SigningKey.create(folder / "anew.key"), history)
    return folder / "anew.sqlite"


def shown(found: Audit) -> str:
    return render_audit(for_page(found, present_setting(), most_releases=1000))


@pytest.mark.parametrize(
    "make",
    [
        a_sound_ledger,
        a_damaged_ledger,
        junk,
        only_refusals,
        nothing_at_all,
        foreign_rules,
        no_epsilon,
    ],
)
def test_document_page_and_terminal_show_whatever_was_found(
    tmp_path: Path, make: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = audit([make(tmp_path / "ledgers")])
    key = SigningKey.create(tmp_path / "officer.key")
    write_audit(tmp_path / "out", found, present_setting(), key)
    report = read_sealed(tmp_path / "out" / DOCUMENT)
    assert report.is_signed_by(key.public)
    page = (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
    assert report.digest in page
    assert f"<strong>{found.verdict}</strong>" in page
    show_audit(found)
    assert capsys.readouterr().out.count(found.verdict) >= 1


def test_what_is_no_ledger_is_unusable_and_not_failed(tmp_path: Path) -> None:
    page = shown(audit([junk(tmp_path)]))
    assert "could not be read</td>\n<td>UNUSABLE</td>" in page
    assert "FAIL" not in page


def test_server_that_adds_the_noise_is_shown_beside_the_regions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = a_query(trust_model=TrustModel.CENTRAL)
    clipped = a_door(tmp_path, trust_models={TrustModel.CENTRAL}).answer(query, giving(PEOPLE))
    assert isinstance(clipped, ClippedSum)
    server = Ledger(tmp_path / "server-ledger.sqlite", a_policy(region="adder"), clock=SetClock())
    ServerDoor(server, a_noise(NoiseKind.DISCRETE)).release(query, [clipped])
    found = audit([tmp_path])
    page = shown(found)
    assert "adder (adds the noise)" in page
    assert "added by the server (1)" in page
    show_audit(found)
    assert "adder" in capsys.readouterr().out


def test_ledger_with_foreign_rules_was_read(tmp_path: Path) -> None:
    page = shown(audit([foreign_rules(tmp_path)]))
    assert "was read, but cannot be judged by its rules" in page
    assert "could not be read" not in page


def test_refusals_of_a_ledger_without_releases_are_shown(tmp_path: Path) -> None:
    assert "north: refusals" in shown(audit([only_refusals(tmp_path)]))


def test_epsilon_that_no_accountant_counted_does_not_pass(tmp_path: Path) -> None:
    door = a_door(
        tmp_path, noise=NoiseKind.SEEDED, least_noise_multiplier=2.0**-16, epsilon=1e15,
        lifetime_epsilon=1e15,
    )  # fmt: skip
    assert not isinstance(door.answer(a_query(sigma=2.0**-16), giving(PEOPLE)), Refusal)
    found = audit([tmp_path / LEDGER])
    page = shown(found)
    assert "<td>-</td></tr>" in page
    assert "but nothing is promised" in page


def test_many_refusals_and_incidents_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, _ = history_of(only_refusals(tmp_path))
    time, _, refused = next(line for line in history if line[1] == "refused")
    many = [(time, "refused", refused | {"reason": f"r-{place}"}) for place in range(300)]
    found = audit([_signed_anew(tmp_path, [*history[:1], *many])])
    assert f"... and {300 - MOST_REFUSED} more, in the JSON report" in shown(found)
    assert "... and 250 more, in the JSON report" in shown(found)
    show_audit(found)
    assert "... and 250 more, in the JSON report" in capsys.readouterr().out
    assert len(json.loads(found.ledgers[0].detail("refused"))) == 300


def test_nothing_that_a_file_says_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x1b[H\nPASS: all is well [bold]x[/] \ud800\x9b1A"
    one = LedgerAudit(path="a", region=hostile, faults=[hostile], incidents=[hostile])
    show_audit(Audit(ledgers=[one]))
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "\x9b" not in out
    assert "[bold]x[/]" in out
    assert not any(line.startswith("PASS") for line in out.splitlines())
