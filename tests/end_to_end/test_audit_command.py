"""`fedinterest audit` from the command line: statuses, a signed document, a page for people."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

import fedinterest
from privacy.audit.schema import audit_schema
from privacy.audit.sealing import read_sealed
from tests.end_to_end.conftest import Finished

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "audit.schema.json"


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedinterest", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )


def in_this_process(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Run the command without starting Python anew; return its exit status and what it says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fedinterest", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            fedinterest.main()
    told = capsys.readouterr()
    return int(left.value.code or 0), " ".join((told.out + told.err).split())


@pytest.fixture(scope="module")
def written(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's kind of run, audited and signed by an officer."""
    out = tmp_path_factory.mktemp("audit")
    assert command("key", out / "officer.key").returncode == 0
    done = command("audit", finished.world.folder, "--out", out, "--sign", out / "officer.key")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIMULATED" in done.stdout
    assert "PASS: adding or removing any one user" in done.stdout
    return out


def test_document_is_signed_and_fits_its_schema(written: Path) -> None:
    report = read_sealed(written / "audit.json")
    assert report.is_genuine
    jsonschema.validate(report.content, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert report.content["simulated"] is True
    assert report.content["verdict"] == "PASS"
    for one in report.content["ledgers"]:
        assert len(one["released"]) == one["releases"] > 0
        for span in one["spans"]:
            assert span["accountants_agree"]
            assert span["pld"] <= 1.001 * span["epsilon"]
            assert span["epsilon"] <= max(span["rdp"], span["zcdp"])
            assert span["epsilon"] == pytest.approx(4.0, abs=1e-3)


def test_published_schema_is_up_to_date() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == audit_schema()


def test_signed_document_that_was_changed_is_found(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (written / "audit.json").read_text(encoding="utf-8")
    assert in_this_process(capsys, "audit", "--check", written / "audit.json")[0] == 0
    for place, change in enumerate(
        [
            text.replace('"PASS"', '"FAIL"', 1),
            text.replace("e^4", "e^1", 1),
            re.sub(r'"signature":"[0-9a-f]', '"signature":"x', text),
            re.sub(r'"sha256":"....', '"sha256":"0000', text),
        ]
    ):
        path = tmp_path / f"{place}.json"
        path.write_text(change, encoding="utf-8")
        status, told = in_this_process(capsys, "audit", "--check", path)
        assert (status, "changed since" in told) == (1, True)
    spaced = tmp_path / "spaced.json"
    spaced.write_text(json.dumps(json.loads(text), indent=2), encoding="utf-8")
    assert in_this_process(capsys, "audit", "--check", spaced)[0] == 0  # the same content


class Outside(HTMLParser):
    """Collects whatever a page would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]


def test_page_needs_no_network_and_has_pictures(written: Path) -> None:
    text = (written / "audit.html").read_text(encoding="utf-8")
    page = Outside()
    page.feed(text)
    assert page.found == []
    assert "script" not in page.tags
    assert "svg" in page.tags
    assert "url(" not in text
    assert "SIMULATED" in text
    assert "@page { size: A4" in text


def test_document_on_standard_output_is_json_and_unsigned_without_a_key(finished: Finished) -> None:
    ledger = finished.world.folder / "ledgers" / "region-1.sqlite"
    done = command("audit", ledger, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["signature"] is None
    assert [one["region"] for one in told["audit"]["ledgers"]] == ["region-1"]


def test_failed_claim_is_status_1_and_the_entry_named(finished: Finished, tmp_path: Path) -> None:
    import shutil
    import sqlite3
    from contextlib import closing

    folder = tmp_path / "ledgers"
    shutil.copytree(finished.world.folder / "ledgers", folder)
    path = folder / "region-2.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TRIGGER records_are_not_changed")
        database.execute(
            "UPDATE records SET content = replace(content, '\"sigma\":', '\"sigma\":1') "
            "WHERE sequence = 6"
        )
        database.commit()
    done = command("audit", folder)
    assert done.returncode == 1
    assert "region-2" in done.stdout
    assert "FAIL" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_unusable_input_is_status_2_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "song.sqlite").write_text("an old song")
    (tmp_path / "dangling.sqlite").symlink_to(tmp_path / "nowhere")
    for words in (
        ["audit"],
        ["audit", tmp_path / "empty"],
        ["audit", tmp_path / "nowhere"],
        ["audit", tmp_path / "song.sqlite"],
        ["audit", tmp_path / "dangling.sqlite"],
        ["audit", tmp_path / "song.sqlite", "--heads", tmp_path / "song.sqlite"],
        ["audit", tmp_path / "song.sqlite", "--policy", tmp_path / "nowhere.toml"],
        ["audit", tmp_path / "song.sqlite", "--sign", tmp_path / "song.sqlite"],
        ["audit", "--check", tmp_path / "song.sqlite"],
    ):
        status, told = in_this_process(capsys, *words)
        assert status == 2, (words, told)
        assert told
        assert "Traceback" not in told
